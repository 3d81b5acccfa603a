//! What the program of a policy is shown of what its authorities found, in policy-controller's form.

use serde_json::{Map, Value, json};

use super::findings::Vouched;
use crate::facts::{Claim, Signature, Signer};

/// The claims of a GitHub workflow, as they are named there and by Fulcio.
const WORKFLOW: [(&str, &str); 5] = [
    ("githubWorkflowTrigger", "githubWorkflowTrigger"),
    ("githubWorkflowSha", "githubWorkflowSHA"),
    ("githubWorkflowName", "githubWorkflowName"),
    ("githubWorkflowRepo", "githubWorkflowRepository"),
    ("githubWorkflowRef", "githubWorkflowRef"),
];

/// The whole input: the authorities that are satisfied, and whatever else the program asked for.
pub(super) fn of_policy(
    vouched: &[(&str, Vouched<'_>)],
    configs: Option<&Value>,
    object: Map<String, Value>,
) -> Value {
    let mut input = object;
    let matches = vouched.iter().map(|(name, by)| ((*name).to_owned(), of_authority(by))).collect();
    input.insert("authorityMatches".to_owned(), Value::Object(matches));
    if let Some(configs) = configs {
        input.insert("config".to_owned(), configs.clone());
    }
    Value::Object(input)
}

fn of_authority(by: &Vouched<'_>) -> Value {
    match by {
        Vouched::Static => json!({"static": true}),
        Vouched::Signatures(signatures) => {
            json!({"signatures": signatures.iter().map(|it| Value::Object(of_signature(it))).collect::<Vec<_>>()})
        }
        Vouched::Attestations(attestations) => {
            let attestations = attestations.iter().map(|(wanted, signatures)| {
                let signatures = signatures.iter().map(|signature| {
                    let mut shown = of_signature(signature);
                    shown.insert("predicateType".to_owned(), json!(&*wanted.named));
                    if let Claim::Attestation(attestation) = &signature.claim {
                        shown.insert("digest".to_owned(), json!(attestation.statement.to_string()));
                    }
                    Value::Object(shown)
                });
                ((*wanted.name).to_owned(), signatures.collect::<Value>())
            });
            json!({"attestations": attestations.collect::<Map<_, _>>()})
        }
    }
}

/// A signature; what it does not say is left out.
fn of_signature(signature: &Signature) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("id".to_owned(), json!(signature.id));
    if let Signer::Certificate(identity) = &signature.signer {
        shown.insert("issuer".to_owned(), json!(identity.issuer));
        if let Some(subject) = identity.subjects.first() {
            shown.insert("subject".to_owned(), json!(subject));
        }
        for (name, claim) in WORKFLOW {
            if let Some(value) = identity.claims.get(claim) {
                shown.insert(name.to_owned(), json!(value));
            }
        }
        if !identity.claims.is_empty() {
            // Ours: all claims, by the names of their extensions.
            shown.insert("claims".to_owned(), json!(identity.claims));
        }
    }
    shown
}
