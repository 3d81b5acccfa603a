//! Keys: `key` and `keyless.ca-cert`, which are written alike.

use super::demands::Demands;
use super::{Accepted, kms};
use crate::facts::{Basis, LogDemand};
use crate::key::{HashAlgorithm, PublicKey};
use crate::object::{Object, Report};
use crate::public_keys::{self, InvalidKeys};

/// Where a key may come from. Exactly one is wanted.
const SOURCES: [&str; 3] = ["data", "kms", "secretRef"];

/// How policy-controller spells these in complaints.
const SPELLED: [&str; 3] = ["data", "kms", "secretref"];

/// The namespace that policy-controller is installed in, and that secrets of policies are read from.
const NAMESPACE: &str = "cosign-system";

const HASHES: [HashAlgorithm; 4] =
    [HashAlgorithm::Sha224, HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512];

/// The bases of `key`, one for each key, and whom it accepts.
pub(super) fn read(
    key: &Object<'_>,
    demands: &Demands,
    report: &mut Report,
) -> Option<(Vec<Basis>, Accepted)> {
    let keys = check(key, report);
    key.refuse(&["kms", "secretRef"], report);
    let keys = keys?;
    // No log entry is checked that speaks of this hash.
    if demands.log() != LogDemand::Nothing && keys.iter().any(|key| key.hash == HashAlgorithm::Sha224) {
        key.refuse(&["hashAlgorithm"], report);
    }
    let ids = keys.iter().map(PublicKey::id).collect();
    Some((keys.into_iter().map(|key| demands.key(key)).collect(), Accepted::Keys(ids)))
}

/// Checks a reference to keys. Those that stand in it are read.
pub(super) fn check(key: &Object<'_>, report: &mut Report) -> Option<Vec<PublicKey>> {
    key.only(&[&SOURCES[..], &["hashAlgorithm"]].concat(), report);
    match SOURCES.iter().filter(|source| key.has(source)).count() {
        0 => report.errors.neither(SPELLED.map(|source| key.at(source))),
        1 => {}
        _ => report.errors.both(SPELLED.map(|source| key.at(source))),
    }
    if let Some(reference) = key.text("kms", report)
        && let Some(why) = kms::complaint(reference)
    {
        report.errors.invalid(reference, key.at("kms"), why);
    }
    if let Some(secret) = key.object("secretRef", report) {
        secret.only(&["name", "namespace"], report);
        secret.text("name", report);
        if let Some(namespace) = secret.text("namespace", report).filter(|namespace| *namespace != NAMESPACE)
        {
            let why = "secretref.namespace is invalid. If set, it should use the same namespace where the policy-controller was deployed";
            report.errors.invalid(namespace, key.at("secretref.namespace"), why);
        }
    }
    let hash = hash(key, report);
    let data = key.text("data", report)?;
    match public_keys::parse(data, hash) {
        Ok(keys) => Some(keys),
        Err(error) => {
            // A complaint ends up in logs, and a private key must not.
            let shown = if data.contains("PRIVATE KEY") { "(a private key)" } else { data };
            let why = match error {
                InvalidKeys::NotKeys => String::new(),
                InvalidKeys::Unsupported | InvalidKeys::TooMany => error.to_string(),
            };
            report.errors.invalid(shown, key.at("data"), why);
            None
        }
    }
}

fn hash(key: &Object<'_>, report: &mut Report) -> HashAlgorithm {
    let Some(written) = key.text("hashAlgorithm", report) else {
        return HashAlgorithm::default();
    };
    let known = HASHES.into_iter().find(|hash| written.trim().eq_ignore_ascii_case(hash.as_str()));
    known.unwrap_or_else(|| {
        report.errors.invalid(written, key.at("hashAlgorithm"), "");
        HashAlgorithm::default()
    })
}
