//! `countersign why`: what a gateway that runs decided, and how it came about.

mod told;

use anyhow::bail;
use clap::Args;
use http::{Method, StatusCode};
use serde_json::Value;

use super::reached::Reached;
use super::{Answer, Output, complain, say};

/// What is asked about.
#[derive(Args, Debug)]
#[command(after_help = "A gateway keeps its newest decisions, and those of other replicas are with them. \
                        Exit codes: 0 it was allowed, 1 it was not, 2 could not tell, nothing is kept of it, or bad usage.")]
pub(super) struct Why {
    /// The decision that a denial names, an object (NAME or NAMESPACE/NAME), or an image (NAME, NAME:TAG, NAME@DIGEST or
    /// a digest). A Pod that is made from a template has no name yet when it is decided on: it is found by what its name
    /// begins with.
    #[arg(value_name = "DECISION|OBJECT|IMAGE", required_unless_present = "would_deny")]
    about: Option<String>,
    /// The namespace of the object.
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// What would have been denied, had admission.observe not let it pass: each case once, the most frequent first.
    #[arg(long, conflicts_with_all = ["about", "namespace"])]
    would_deny: bool,
    /// How many decisions to tell, newest first.
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    limit: usize,
    #[command(flatten)]
    gateway: Reached,
    /// How to answer.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Asks the gateway.
pub(super) fn why(arguments: &Why) -> anyhow::Result<Answer> {
    let Some(about) = &arguments.about else {
        return would_deny(arguments);
    };
    let encoded = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let mut path = format!("/decisions?about={}&limit={}", encoded(about), arguments.limit);
    if let Some(namespace) = &arguments.namespace {
        path.push_str(&format!("&namespace={}", encoded(namespace)));
    }
    let (status, report) = arguments.gateway.ask(Method::GET, &path, &Value::Null)?;
    if !matches!(status, StatusCode::OK | StatusCode::NOT_FOUND) {
        bail!("the gateway answered {status}");
    }
    let newest = report["decisions"][0]["outcome"].as_str();
    match arguments.output {
        Output::Json => say(&report.to_string()),
        Output::Text if newest.is_some() => told::decisions(&report).iter().for_each(|line| say(line)),
        Output::Text => complain(&format!(
            "{about}: no decision about it is kept here: it is too long ago, or another replica made it"
        )),
    }
    Ok(match newest {
        Some("allowed") => Answer::Yes,
        Some("denied") => Answer::No,
        Some(_) | None => Answer::Unclear,
    })
}

fn would_deny(arguments: &Why) -> anyhow::Result<Answer> {
    let (status, report) = arguments.gateway.ask(Method::GET, "/disagreements", &Value::Null)?;
    if status != StatusCode::OK {
        bail!("the gateway answered {status}");
    }
    match arguments.output {
        Output::Json => say(&report.to_string()),
        Output::Text => told::disagreements(&report).iter().for_each(|line| say(line)),
    }
    let none = report["cases"].as_array().is_none_or(Vec::is_empty);
    Ok(if none { Answer::Yes } else { Answer::No })
}
