//! Decisions: what was denied and why, what would have been, and one of them whole.

use maud::{Markup, html};
use serde_json::Value;

use super::{Look, list, text};

/// How many rows a list has.
const ROWS: usize = 50;

/// What was denied, and what would be if policies did not only warn; or what a search found.
pub(super) fn overview(look: &Look, about: Option<&str>) -> Markup {
    if let Some(about) = about {
        return html! {
            h1 { "Decisions about " code { (about) } }
            (table("Newest first.", &look.decisions.iter().collect::<Vec<_>>(), "None is kept."))
        };
    }
    let outcome = |wanted: &str| look.decisions.iter().filter(|told| text(told, "outcome") == wanted).count();
    let denied: Vec<_> = look.decisions.iter().filter(|told| text(told, "outcome") != "allowed").collect();
    let warned: Vec<_> = look.decisions.iter().filter(|told| would_be_denied(told)).collect();
    html! {
        h1 { "Decisions" }
        p {
            @match &look.ready {
                Ok(remark) => { "The gateway is ready" (remark) ". " }
                Err(why) => { strong.denied { "The gateway is not ready: " (why) ". " } }
            }
            "Of the " (look.decisions.len()) " decisions that are kept, "
            (outcome("allowed")) " were yes, " (outcome("denied")) " no, and " (outcome("undecided")) " could not be told."
        }
        h2 { "Denied" }
        (table("What was asked for and not given, newest first.", &denied, "Nothing was denied."))
        h2 { "Would be denied" }
        (table(
            "What was let pass only because a policy warns or the gateway observes, newest first.",
            &warned,
            "Nothing would be denied that was not.",
        ))
    }
}

/// Whether a decision is yes only because of a mode.
fn would_be_denied(told: &Value) -> bool {
    let observed = told["observed"] == true && text(told, "outcome") != "allowed";
    let policies = list(told, "images").iter().flat_map(|image| list(image, "policies"));
    let mut failed = policies.filter(|policy| text(policy, "outcome") == "failed");
    observed || (text(told, "outcome") == "allowed" && failed.any(|policy| text(policy, "mode") == "warn"))
}

fn table(caption: &str, decisions: &[&Value], none: &str) -> Markup {
    if decisions.is_empty() {
        return html! { p.empty { (none) } };
    }
    html! {
        div.scroll {
            table {
                caption {
                    (caption)
                    @if decisions.len() > ROWS { " The first " (ROWS) " of " (decisions.len()) ": search for the others." }
                }
                thead { tr { th scope="col" { "When" } th scope="col" { "Outcome" } th scope="col" { "Asked" } th scope="col" { "Images" } th scope="col" { "Why" } } }
                tbody { @for told in decisions.iter().take(ROWS) { (row(told)) } }
            }
        }
    }
}

fn row(told: &Value) -> Markup {
    let outcome = text(told, "outcome");
    let decision = text(told, "decision");
    html! {
        tr {
            td { time datetime=(text(told, "time")) { (shortly(text(told, "time"))) } }
            td { span class=(outcome) { (outcome) } @if told["observed"] == true { " (observed)" } }
            th scope="row" { a href={ "/why?about=" (decision) } { (asked(told)) } }
            td { @for image in list(told, "images") { code { (text(image, "asked")) } br; } }
            td { (text(told, "reason")) }
        }
    }
}

/// What was asked, in a few words.
fn asked(told: &Value) -> String {
    let review = &told["review"];
    if review.is_object() {
        let name =
            [text(review, "name"), text(review, "generateName")].into_iter().find(|name| !name.is_empty());
        let (namespace, name) = (text(review, "namespace"), name.unwrap_or("(unnamed)"));
        return format!("{} {} {namespace}/{name}", text(review, "operation"), text(review, "kind"));
    }
    format!("{} {}", text(&told["pull"], "method"), text(&told["pull"], "path"))
}

/// A moment without its fractions, which nobody compares.
fn shortly(time: &str) -> String {
    time.split('.').next().unwrap_or_default().trim_end_matches('Z').replace('T', " ")
}

/// One decision, whole.
pub(super) fn one(look: &Look, about: Option<&str>) -> Option<Markup> {
    let told = look.decisions.iter().find(|told| Some(text(told, "decision")) == about)?;
    let outcome = text(told, "outcome");
    Some(html! {
        h1 { span class=(outcome) { (outcome) } ": " (asked(told)) }
        dl {
            dt { "Decision" } dd { code { (text(told, "decision")) } }
            dt { "When" } dd { time datetime=(text(told, "time")) { (text(told, "time")) } }
            dt { "Took" } dd { (milliseconds(&told["microseconds"])) }
            @if let Some(reason) = told["reason"].as_str() { dt { "Reason" } dd { (reason) } }
            @if told["observed"] == true { dt { "Observed" } dd { "whoever asked was told yes" } }
        }
        @if let Some(message) = told["message"].as_str() { h2 { "What was said" } pre { (message) } }
        @for told in list(told, "images") { (image(told)) }
    })
}

/// What became of one image.
fn image(told: &Value) -> Markup {
    let verdict = text(told, "verdict");
    html! {
        section {
            h2 { code { (text(told, "asked")) } }
            dl {
                dt { "Verdict" } dd { span class=(verdict) { (verdict) } " (" (text(told, "reason")) ")" }
                @for (name, key) in [("Where", "path"), ("Image", "image"), ("Digest", "digest"), ("Answered from", "cache"),
                    ("Judged", "judged"), ("Signatures found", "signaturesFound"), ("Error", "error"), ("Revoked", "revoked"),
                    ("No policy matches", "noMatch")] {
                    @if let Some(value) = told[key].as_str() { dt { (name) } dd { code { (value) } } }
                }
                dt { "Took" } dd { (milliseconds(&told["microseconds"])) }
            }
            @if !list(told, "policies").is_empty() { (policies(list(told, "policies"))) }
            @if !list(told, "signatures").is_empty() { (signatures(list(told, "signatures"))) }
        }
    }
}

fn policies(policies: &[Value]) -> Markup {
    html! {
        div.scroll { table {
            caption { "Policies that speak of it" }
            thead { tr { th scope="col" { "Policy" } th scope="col" { "Pattern" } th scope="col" { "Mode" } th scope="col" { "Outcome" } th scope="col" { "Asked for, and found instead" } } }
            tbody { @for policy in policies { tr {
                th scope="row" { (text(policy, "name")) }
                td { code { (text(policy, "pattern")) } }
                td { (text(policy, "mode")) }
                td { span class=(text(policy, "outcome")) { (text(policy, "outcome")) } }
                td {
                    (text(policy, "says"))
                    @for authority in list(policy, "authorities") {
                        p {
                            strong { (text(authority, "name")) } ": " (text(authority, "reason")) " " (text(authority, "says"))
                            @for expected in list(authority, "expected") { br; "asked for: " code { (plain(expected)) } }
                            @for found in list(authority, "found") { br; "found: " code { (plain(found)) } }
                            @for flaw in list(authority, "flaws") { br; "flaw: " (plain(flaw)) }
                        }
                    }
                }
            } } }
        } }
    }
}

fn signatures(signatures: &[Value]) -> Markup {
    html! {
        div.scroll { table {
            caption { "Signatures found" }
            thead { tr { th scope="col" { "Material" } th scope="col" { "By whom, or what is wrong with it" } } }
            tbody { @for signature in signatures { tr {
                th scope="row" { code { (text(signature, "material")) } }
                td {
                    @if signature["signer"].is_null() { (text(signature, "flaw")) ": " (text(signature, "says")) }
                    @else { code { (plain(&signature["signer"])) } }
                }
            } } }
        } }
    }
}

/// A value for people: a signer as "subject by issuer", anything else as it is.
pub(super) fn plain(value: &Value) -> String {
    if let Some(text) = value.as_str() {
        return text.to_owned();
    }
    match (list(value, "subjects"), value["issuer"].as_str(), value["key"].as_str()) {
        (subjects, Some(issuer), _) if !subjects.is_empty() => {
            let subjects: Vec<_> = subjects.iter().map(plain).collect();
            format!("{} by {issuer}", subjects.join(", "))
        }
        (_, _, Some(key)) => format!("key {key}"),
        _ => value.to_string(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "no answer takes 2^52 microseconds")]
fn milliseconds(microseconds: &Value) -> String {
    microseconds.as_u64().map_or_else(String::new, |count| format!("{:.2} ms", count as f64 / 1000.0))
}

/// What is said where there is no such decision.
pub(super) fn none(about: Option<&str>) -> Markup {
    html! {
        h1 { "No such decision" }
        p { code { (about.unwrap_or_default()) } " is not kept any more, or was made by another replica." }
    }
}
