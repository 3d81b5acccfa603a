//! `countersign tenants`: what each tenant of a gateway that runs uses.

use anyhow::bail;
use clap::Args;
use http::{Method, StatusCode};
use serde_json::Value;

use super::reached::Reached;
use super::{Answer, Output, complain, say};

/// How the gateway is reached, and how to answer.
#[derive(Args, Debug)]
#[command(after_help = "Exit codes: 0 told, 1 the gateway has no tenants, 2 could not tell or bad usage.")]
pub(super) struct Tenants {
    #[command(flatten)]
    gateway: Reached,
    /// How to answer.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// What is told of each, and as what.
const COLUMNS: [(&str, &str); 8] = [
    ("tenant", "TENANT"),
    ("weight", "WEIGHT"),
    ("policies", "POLICIES"),
    ("pulls", "PULLS"),
    ("pullsRefused", "REFUSED"),
    ("reviews", "REVIEWS"),
    ("reviewsDenied", "DENIED"),
    ("memoryBytes", "MEMORY"),
];

/// Asks the gateway.
pub(super) fn tenants(arguments: &Tenants) -> anyhow::Result<Answer> {
    let (status, usage) = arguments.gateway.ask(Method::GET, "/tenants", &Value::Null)?;
    if status != StatusCode::OK {
        bail!("the gateway answered {status}");
    }
    let all = usage.as_array().map(Vec::as_slice).unwrap_or_default();
    match arguments.output {
        Output::Json => say(&usage.to_string()),
        Output::Text if all.is_empty() => complain("the gateway has no tenants"),
        Output::Text => table(all).iter().for_each(|line| say(line)),
    }
    Ok(if all.is_empty() { Answer::No } else { Answer::Yes })
}

fn table(all: &[Value]) -> Vec<String> {
    let row = |of: &Value| COLUMNS.map(|(field, _)| text(&of[field]));
    let rows: Vec<[String; 8]> =
        std::iter::once(COLUMNS.map(|(_, title)| title.to_owned())).chain(all.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let line = |row: &[String; 8]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// What is not known of a tenant for whom nothing is in memory is a dash.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tenant_is_a_line_and_what_is_not_known_a_dash() {
        let usage = json!({"tenant": "payments", "weight": 2, "policies": null, "pulls": 12, "pullsRefused": 0,
            "reviews": 3, "reviewsDenied": 1, "memoryBytes": 4096});
        let lines = table(&[usage]);
        assert_eq!(lines[0], "TENANT    WEIGHT  POLICIES  PULLS  REFUSED  REVIEWS  DENIED  MEMORY");
        assert_eq!(lines[1], "payments  2       -         12     0        3        1       4096");
    }
}
