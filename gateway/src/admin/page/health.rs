//! How memory and the registries are doing.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::Look;
use super::counted::samples;

/// Tables of memory, tiers of it, registries, and what could not be told.
pub(super) fn now(look: &Look) -> Markup {
    html! {
        h1 { "Health" }
        p { @match &look.ready {
            Ok(remark) => { span.allowed { "Ready" } (remark) }
            Err(why) => { span.denied { "Not ready" } ": " (why) }
        } }
        (by_label(look, "Lookups, by where they were answered", "countersign_cache_lookups_total", "table", "tier"))
        (by_label(look, "Requests to registries, by what came of them", "countersign_upstream_requests_total", "upstream", "outcome"))
        (simple(look, "Registries that are set aside because they fail", "countersign_upstream_set_aside"))
        (simple(look, "Could not be told, by reason", "countersign_undecided_total"))
        (simple(look, "What replicas share", "countersign_redis"))
        (simple(look, "Memory", "countersign_cache_bytes"))
    }
}

/// One family, with a row for each value of one label and a column for each of another.
fn by_label(look: &Look, caption: &str, family: &str, row: &str, column: &str) -> Markup {
    let mut rows = BTreeMap::<&str, BTreeMap<&str, f64>>::new();
    for sample in samples(&look.counted, family) {
        if let (Some(of), Some(at)) = (sample.labels.get(row), sample.labels.get(column)) {
            *rows.entry(of).or_default().entry(at).or_default() += sample.value;
        }
    }
    let mut columns: Vec<_> = rows.values().flat_map(BTreeMap::keys).copied().collect();
    columns.sort_unstable();
    columns.dedup();
    html! {
        h2 { (caption) }
        @if rows.is_empty() { p.empty { "None yet." } }
        @else { div.scroll { table {
            caption { code { (family) } }
            thead { tr { th scope="col" { (row) } @for column in &columns { th.number scope="col" { (column) } } } }
            tbody { @for (name, counts) in &rows { tr {
                th scope="row" { (name) }
                @for column in &columns { td.number { (counts.get(column).copied().unwrap_or_default()) } }
            } } }
        } } }
    }
}

/// The samples of a family, a row each.
fn simple(look: &Look, caption: &str, family: &str) -> Markup {
    let read = samples(&look.counted, family);
    html! {
        h2 { (caption) }
        @if read.is_empty() { p.empty { "None yet." } }
        @else { div.scroll { table {
            caption { code { (family) } }
            thead { tr { th scope="col" { "Of" } th.number scope="col" { "Value" } } }
            tbody { @for sample in read.iter().filter(|sample| !sample.name.ends_with("_bucket")) { tr {
                th scope="row" {
                    (sample.name.strip_prefix("countersign_").unwrap_or(sample.name))
                    @for (name, value) in &sample.labels { " " (name) " " strong { (value) } }
                }
                td.number { (sample.value) }
            } } }
        } } }
    }
}
