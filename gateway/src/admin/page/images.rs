//! Images in use: those that decisions were made about.

use std::collections::HashMap;

use maud::{Markup, html};
use serde_json::Value;

use super::decisions::plain;
use super::{Look, list, text};

/// How many are shown.
const ROWS: usize = 500;

struct Used<'a> {
    newest: &'a Value,
    at: &'a str,
    times: usize,
}

/// Each once, the one that was asked for last first.
pub(super) fn in_use(look: &Look) -> Markup {
    let mut order = Vec::new();
    let mut used = HashMap::<(&str, &str), Used<'_>>::new();
    for told in &look.decisions {
        for image in list(told, "images").iter().filter(|image| image["digest"].is_string()) {
            let key = (text(image, "image"), text(image, "digest"));
            let entry = used.entry(key).or_insert_with(|| {
                order.push(key);
                Used { newest: image, at: text(told, "time"), times: 0 }
            });
            entry.times += 1;
        }
    }
    html! {
        h1 { "Images" }
        @if order.is_empty() { p.empty { "None was asked for." } }
        @else {
            div.scroll { table {
                caption {
                    (order.len()) " in the decisions that are kept, the one asked for last first."
                    @if order.len() > ROWS { " The first " (ROWS) " of them." }
                }
                thead { tr { th scope="col" { "Image" } th scope="col" { "Verdict" } th scope="col" { "Signed by" } th.number scope="col" { "Asked for" } th scope="col" { "Last" } } }
                tbody { @for used in order.iter().take(ROWS).filter_map(|key| used.get(key)) { (row(used)) } }
            } }
        }
    }
}

fn row(used: &Used<'_>) -> Markup {
    let (image, digest) = (text(used.newest, "image"), text(used.newest, "digest"));
    let verdict = text(used.newest, "verdict");
    html! {
        tr {
            th scope="row" { a href={ "/?about=" (image) "@" (digest) } { code { (image) "@" (digest) } } }
            td { span class=(verdict) { (verdict) } " (" (text(used.newest, "reason")) ")" }
            td { @for signer in list(used.newest, "signers") { code { (plain(signer)) } br; } }
            td.number { (used.times) }
            td { time datetime=(used.at) { (used.at) } }
        }
    }
}
