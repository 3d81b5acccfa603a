//! Policies in force, and what they came to.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{Look, list, text};

#[derive(Default)]
struct Counts {
    satisfied: usize,
    warned: usize,
    failed: usize,
}

/// All of them, with how often each spoke in the decisions that are kept.
pub(super) fn all(look: &Look) -> Markup {
    let mut counts = BTreeMap::<&str, Counts>::new();
    let images = look.decisions.iter().flat_map(|told| list(told, "images"));
    for policy in images.flat_map(|image| list(image, "policies")) {
        let count = counts.entry(text(policy, "name")).or_default();
        match (text(policy, "outcome"), text(policy, "mode")) {
            ("failed", "warn") => count.warned += 1,
            ("failed", _) => count.failed += 1,
            _ => count.satisfied += 1,
        }
    }
    html! {
        h1 { "Policies" }
        @if look.policies.is_empty() { p.empty { "None is in force." } }
        @else {
            div.scroll { table {
                caption { (look.policies.len()) " in force, and how often each spoke of an image in the decisions that are kept." }
                thead { tr { th scope="col" { "Policy" } th.number scope="col" { "Satisfied" } th.number scope="col" { "Warned" } th.number scope="col" { "Failed" } th scope="col" { "Usable" } } }
                tbody { @for (name, unusable) in &look.policies {
                    @let count = counts.get(name.as_str());
                    tr {
                        th scope="row" { (name) }
                        td.number { (count.map_or(0, |count| count.satisfied)) }
                        td.number { (count.map_or(0, |count| count.warned)) }
                        td.number { (count.map_or(0, |count| count.failed)) }
                        td { @match unusable { None => "yes", Some(why) => { span.denied { "no: " } (why) " – it denies what it speaks of" } } }
                    }
                } }
            } }
        }
    }
}
