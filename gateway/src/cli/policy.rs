//! `countersign policy check`.

use std::path::PathBuf;

use clap::Args;
use policies::PolicySet;
use serde_json::json;

use super::{Answer, Output, complain, say};
use crate::clock::seconds_since_1970;
use crate::rules::{RulesError, from_files};

/// Which files are checked, and how it is told.
#[derive(Args, Debug)]
pub(super) struct Check {
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Warnings are a no too.
    #[arg(long)]
    strict: bool,
    /// How to answer.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Loads the files as the gateway would, together.
pub(super) fn check(arguments: &Check) -> anyhow::Result<Answer> {
    let policies = match from_files(&arguments.files) {
        Ok(policies) => policies,
        Err(RulesError::Policies(error)) => {
            match arguments.output {
                Output::Text => complain(&error.to_string()),
                Output::Json => say(&refused(&error).to_string()),
            }
            return Ok(Answer::No);
        }
        Err(error) => return Err(error.into()),
    };
    let now = i64::try_from(seconds_since_1970()).unwrap_or(i64::MAX);
    let warnings = policies.warnings_at(now);
    match arguments.output {
        Output::Text => {
            warnings.iter().for_each(|warning| say(&format!("warning: {warning}")));
            names(&policies).for_each(|name| say(&format!("ok: {name}")));
        }
        Output::Json => {
            let warnings = warnings.iter().map(|warning| {
                json!({"file": warning.origin, "policy": warning.policy, "message": warning.message})
            });
            let (warnings, names) = (warnings.collect::<Vec<_>>(), names(&policies).collect::<Vec<_>>());
            say(&json!({"ok": true, "policies": names, "warnings": warnings, "errors": []}).to_string());
        }
    }
    Ok(if arguments.strict && !warnings.is_empty() { Answer::No } else { Answer::Yes })
}

fn names(policies: &PolicySet) -> impl Iterator<Item = &str> {
    policies.names().chain(policies.revocations())
}

fn refused(error: &policies::LoadError) -> serde_json::Value {
    let errors = error.problems().iter();
    let errors = errors.map(|it| json!({"file": it.origin, "policy": it.policy, "message": it.message}));
    json!({"ok": false, "policies": [], "warnings": [], "errors": errors.collect::<Vec<_>>()})
}
