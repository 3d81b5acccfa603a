//! What came of each object when all of them were put in force, as its status says it.

use std::collections::BTreeMap;
use std::sync::Arc;

use policies::Problem;
use serde_json::{Value, json};

use super::Documents;
use super::held::Object;
use crate::rules::Rules;

/// The longest message, in bytes: `kubectl get` shows it on one line.
const MESSAGE_LIMIT: usize = 1024;

/// What came of the objects, by where they are from.
#[derive(Debug, Default)]
pub(super) struct Report(BTreeMap<String, Account>);

#[derive(Debug)]
struct Account {
    /// What was read, so that nothing is said of an object that changed since.
    text: Arc<str>,
    wrong: Option<Wrong>,
    warnings: Vec<String>,
}

#[derive(Debug)]
struct Wrong {
    reason: Reason,
    message: String,
}

/// Why an object is not what its author wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reason {
    /// It is written wrong. What it speaks of is denied.
    Refused,
    /// It is written well, and something that it needs is not there. What it speaks of is denied.
    Unusable,
    /// It is written well, and so is another that says of itself what only one can be. What both speak of is denied.
    Overlaps,
}

impl Report {
    /// Of which nothing is wrong.
    fn well(documents: &Documents) -> Self {
        let accounts = documents.iter().map(|(origin, text)| {
            (origin.clone(), Account { text: text.clone(), wrong: None, warnings: Vec::new() })
        });
        Self(accounts.collect())
    }

    /// Of tenants, with what is wrong with which of them.
    pub(super) fn of_tenants(documents: &Documents, wrong: &[(String, Reason, String)]) -> Self {
        let mut report = Self::well(documents);
        for (origin, reason, message) in wrong {
            report.wrong(origin, *reason, message);
        }
        report
    }

    /// Of the rules that were made of these.
    pub(super) fn of(documents: &Documents, rules: &Rules, problems: &[Problem]) -> Self {
        let mut report = Self::well(documents);
        for problem in problems {
            report.wrong(&problem.origin, Reason::Refused, &problem.message);
        }
        for (name, why) in rules.policies.unusable() {
            let kind = if name.contains('/') { "ImagePolicy" } else { "ClusterImagePolicy" };
            report.wrong(&format!("{kind}/{name}"), Reason::Unusable, why);
        }
        for (name, why) in rules.missing() {
            report.wrong(&format!("TrustRoot/{name}"), Reason::Unusable, why);
        }
        for warning in rules.policies.warnings() {
            if let Some(account) = report.0.get_mut(&warning.origin) {
                account.warnings.push(warning.message.replace('\n', ": "));
            }
        }
        report
    }

    fn wrong(&mut self, origin: &str, reason: Reason, message: &str) {
        let Some(account) = self.0.get_mut(origin) else { return };
        let message = message.replace('\n', ": ");
        match &mut account.wrong {
            Some(wrong) if wrong.reason == reason => {
                wrong.message.push_str("; ");
                wrong.message.push_str(&message);
            }
            // That it is refused says why it is unusable.
            Some(_) => {}
            None => account.wrong = Some(Wrong { reason, message }),
        }
    }

    /// The status that an object should have, where it has another.
    pub(super) fn status(&self, origin: &str, object: &Object, now: &str) -> Option<Value> {
        let account = self.0.get(origin).filter(|account| account.text == object.text)?;
        let (status, reason, message) = match &account.wrong {
            None if account.warnings.is_empty() => ("True", "InForce", "in force".to_owned()),
            None => ("True", "InForce", format!("in force; {}", account.warnings.join("; "))),
            Some(wrong) => ("False", wrong.reason.as_str(), wrong.message.clone()),
        };
        let mut message = message;
        shorten(&mut message);
        let condition = |since: &Value| {
            json!({
                "type": "Ready", "status": status, "reason": reason, "message": message,
                "observedGeneration": object.generation, "lastTransitionTime": since,
            })
        };
        let before = object.status.pointer("/conditions/0");
        let since =
            before.filter(|before| before["status"] == status).map(|before| &before["lastTransitionTime"]);
        let begins = json!(now);
        let mut wanted = json!({
            "observedGeneration": object.generation,
            "conditions": [condition(since.unwrap_or(&begins))],
        });
        if let Some(images) = images(&object.text) {
            wanted["images"] = json!(images);
        }
        (wanted != *object.status).then_some(wanted)
    }
}

/// How many globs a policy has.
fn images(text: &str) -> Option<usize> {
    let document: Value = serde_json::from_str(text).ok()?;
    document.pointer("/spec/images")?.as_array().map(Vec::len)
}

fn shorten(message: &mut String) {
    if message.len() > MESSAGE_LIMIT {
        let end = message.floor_char_boundary(MESSAGE_LIMIT);
        message.truncate(end);
        message.push('…');
    }
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "Refused",
            Self::Unusable => "Unusable",
            Self::Overlaps => "Overlaps",
        }
    }
}
