//! What policy-controller's own tests say holds here too, or stands in the table of deviations of
//! `docs/policy-controller.md`.

mod cases;
mod files;
mod messages;

use crate::test_support::policy;
use crate::{Document, Externals, LoadError, PolicySet};

fn load(text: &str) -> Result<PolicySet, LoadError> {
    PolicySet::load([Document { origin: "test.yaml", text }], &Externals::default().with_cue())
}

/// Everything that is wrong with a file, as policy-controller joins it.
fn complaint(text: &str) -> String {
    let problems = load(text).map_or_else(|error| error.problems().to_vec(), |_| Vec::new());
    let messages = problems.into_iter().map(|problem| problem.message);
    messages.collect::<Vec<_>>().join("\n")
}

/// What is wrong with a policy of this specification.
fn complaint_of(spec: &str) -> String {
    complaint(&policy("p", spec))
}
