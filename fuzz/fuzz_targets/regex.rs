//! A regular expression in a policy is refused or compiled, in time and memory that have a bound.

#![no_main]

use libfuzzer_sys::fuzz_target;
use policies::{Document, Externals, PolicySet};

fuzz_target!(|pattern: &str| {
    // JSON is YAML, and has one way to quote.
    let quoted = serde_json::Value::from(pattern);
    let text = format!(
        r#"{{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {{"name": "p"}},
            "spec": {{"images": [{{"glob": "**"}}], "authorities": [{{"keyless": {{"identities": [
            {{"issuerRegExp": {quoted}, "subjectRegExp": {quoted}}}]}}}}]}}}}"#
    );
    match PolicySet::load([Document { origin: "policy.yaml", text: &text }], &Externals::default()) {
        Ok(policies) => assert_eq!(policies.len(), 1),
        Err(error) => assert!(error.problems().iter().all(|problem| !problem.message.is_empty())),
    }
});
