//! `countersign policy`.

use std::path::PathBuf;

use super::{Answer, complain, say};
use crate::rules::{RulesError, from_files};

pub(super) fn check(files: &[PathBuf]) -> anyhow::Result<Answer> {
    match from_files(files) {
        Ok(policies) => {
            for warning in policies.warnings() {
                say(&format!("warning: {warning}"));
            }
            for name in policies.names() {
                say(&format!("ok: {name}"));
            }
            Ok(Answer::Yes)
        }
        Err(RulesError::Policies(error)) => {
            complain(&error.to_string());
            Ok(Answer::No)
        }
        Err(error) => Err(error.into()),
    }
}
