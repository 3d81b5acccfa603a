//! Keys: `key` and `keyless.ca-cert`, which are written alike.

use std::sync::Arc;

use super::demands::Demands;
use super::{Accepted, kms};
use crate::externals::External;
use crate::facts::{Basis, LogDemand};
use crate::key::{HashAlgorithm, PublicKey};
use crate::object::{Object, Report};
use crate::public_keys::{self, InvalidKeys};
use crate::secrets::NAMESPACE;

/// Where a key may come from. Exactly one is wanted.
const SOURCES: [&str; 3] = ["data", "kms", "secretRef"];

/// How policy-controller spells these in complaints.
const SPELLED: [&str; 3] = ["data", "kms", "secretref"];

const HASHES: [HashAlgorithm; 4] =
    [HashAlgorithm::Sha224, HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512];

/// The bases of `key`, one for each key, and whom it accepts.
pub(super) fn read(
    key: &Object<'_>,
    demands: &Demands,
    report: &mut Report,
) -> Option<(Vec<Basis>, Accepted)> {
    let hash = hash(key, report);
    let keys = match content(key, report)? {
        Content::Written(data) => {
            public_keys::parse(data, hash).map_err(|error| not_keys(key, data, error, report)).ok()?
        }
        Content::Named(text, path) => match public_keys::parse(&text, hash) {
            Ok(keys) => keys,
            Err(error) => {
                report.unusable(&path, format!("contains an invalid public key: {error}"));
                return None;
            }
        },
    };
    // No log entry is checked that speaks of this hash.
    if demands.log() != LogDemand::Nothing && keys.iter().any(|key| key.hash == HashAlgorithm::Sha224) {
        report.unusable(&key.at("hashAlgorithm"), "no log entry speaks of sha224");
    }
    let ids = keys.iter().map(PublicKey::id).collect();
    Some((keys.into_iter().map(|key| demands.key(key)).collect(), Accepted::Keys(ids)))
}

/// The certificates, in PEM, of `ca-cert`, which is written as a key is.
pub(super) fn certificates(written: &Object<'_>, report: &mut Report) -> Option<Arc<str>> {
    hash(written, report);
    let (text, path) = match content(written, report)? {
        Content::Written(data) => (Arc::from(data), written.at("data")),
        Content::Named(text, path) => (text, path),
    };
    if written.has("data") && !text.contains(CERTIFICATE) {
        // What policy-controller accepts there, and does nothing with.
        public_keys::parse(&text, HashAlgorithm::Sha256)
            .map_err(|error| not_keys(written, &text, error, report))
            .ok()?;
    }
    let certificates = pem::parse_many(&*text).unwrap_or_default();
    if certificates.is_empty() || certificates.iter().any(|block| block.tag() != "CERTIFICATE") {
        report.unusable(&path, "wants certificates in PEM, and nothing else");
        return None;
    }
    Some(text)
}

/// What a block of PEM that is a certificate begins with.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// What a reference is to.
enum Content<'a> {
    /// It stands there.
    Written(&'a str),
    /// It was looked up, and is named at this path.
    Named(Arc<str>, String),
}

/// Checks a reference and follows it. What cannot be had leaves the policy unusable.
fn content<'a>(key: &Object<'a>, report: &mut Report) -> Option<Content<'a>> {
    key.only(&[&SOURCES[..], &["hashAlgorithm"]].concat(), report);
    match SOURCES.iter().filter(|source| key.has(source)).count() {
        0 => report.errors.neither(SPELLED.map(|source| key.at(source))),
        1 => {}
        _ => report.errors.both(SPELLED.map(|source| key.at(source))),
    }
    if let Some(reference) = key.text("kms", report) {
        if let Some(why) = kms::complaint(reference) {
            report.errors.invalid(reference, key.at("kms"), why);
            return None;
        }
        return named(External::Kms(reference.to_owned()), key.at("kms"), report);
    }
    if let Some(secret) = key.object("secretRef", report) {
        secret.only(&["name", "namespace"], report);
        if let Some(namespace) = secret.text("namespace", report).filter(|namespace| *namespace != NAMESPACE)
        {
            let why = "secretref.namespace is invalid. If set, it should use the same namespace where the policy-controller was deployed";
            report.errors.invalid(namespace, key.at("secretref.namespace"), why);
        }
        let name = secret.text("name", report).unwrap_or_default().to_owned();
        return named(External::Secret(name), key.at("secretRef"), report);
    }
    key.text("data", report).map(Content::Written)
}

fn named<'a>(external: External, path: String, report: &mut Report) -> Option<Content<'a>> {
    report.external(external, &path).map(|text| Content::Named(text, path))
}

fn not_keys(key: &Object<'_>, data: &str, error: InvalidKeys, report: &mut Report) {
    // A complaint ends up in logs, and a private key must not.
    let shown = if data.contains("PRIVATE KEY") { "(a private key)" } else { data };
    let why = match error {
        InvalidKeys::NotKeys => String::new(),
        InvalidKeys::Unsupported | InvalidKeys::TooMany => error.to_string(),
    };
    report.errors.invalid(shown, key.at("data"), why);
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
