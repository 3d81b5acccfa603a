//! What policy-controller's own tests say holds here too, or stands in the table of deviations of
//! `docs/policy-controller.md`.

mod cases;
mod files;
mod messages;

use crate::test_support::policy;
use crate::{Document, LoadError, PolicySet};

fn load(text: &str) -> Result<PolicySet, LoadError> {
    PolicySet::load([Document { origin: "test.yaml", text }])
}

/// Everything that is wrong with a file, as policy-controller joins it. That something is not honoured yet is none of
/// its messages.
fn complaint(text: &str) -> String {
    let problems = load(text).map_or_else(|error| error.problems().to_vec(), |_| Vec::new());
    let messages = problems.into_iter().map(|problem| problem.message);
    messages.filter(|message| !message.starts_with("not supported yet: ")).collect::<Vec<_>>().join("\n")
}

/// What is wrong with a policy of this specification.
fn complaint_of(spec: &str) -> String {
    complaint(&policy("p", spec))
}
