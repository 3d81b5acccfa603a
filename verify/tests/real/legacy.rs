//! Ten real signatures with all that cosign writes beside them, and what tampering makes of them.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use policies::FlawKind;
use serde_json::{Value, json};
use verify::{Material, TrustRoot};

use crate::shared::{
    Annotations, BUNDLE, CERTIFICATE, SIGNATURE, annotations, entries, folder, json, material, refused,
    signed,
};

/// One signature: what was signed, and what lies beside it.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) payload: Vec<u8>,
    pub(crate) annotations: Annotations,
}

impl Sample {
    fn read(folder: &Path) -> Self {
        Self {
            payload: std::fs::read(folder.join("payload.json")).unwrap(),
            annotations: annotations(&json(&folder.join("layer.json"))["annotations"]),
        }
    }

    pub(crate) fn material(&self) -> Material {
        material(&self.payload, self.annotations.clone())
    }

    fn with(&self, annotation: &str, value: impl Into<String>) -> Material {
        let mut edited = self.clone();
        edited.annotations.insert(annotation.to_owned(), value.into());
        edited.material()
    }

    fn without(&self, annotation: &str) -> Material {
        let mut edited = self.clone();
        edited.annotations.remove(annotation).unwrap();
        edited.material()
    }

    /// The same with one value of its log entry replaced by another.
    fn with_entry(&self, name: &str, edit: impl FnOnce(&Value) -> Value) -> Material {
        let mut entry: Value = serde_json::from_str(&self.annotations[BUNDLE]).unwrap();
        let value = entry.pointer_mut(name).unwrap();
        *value = edit(value);
        self.with(BUNDLE, entry.to_string())
    }
}

pub(crate) fn samples() -> Option<Vec<Sample>> {
    let folders = entries(&folder("cosign-legacy")?).into_iter().filter(|path| path.is_dir());
    let samples: Vec<_> = folders.map(|folder| Sample::read(&folder)).collect();
    assert_eq!(samples.len(), 10);
    Some(samples)
}

#[track_caller]
fn all_refused(kind: FlawKind, edit: impl Fn(&Sample, &Sample) -> Material) {
    let Some(samples) = samples() else { return };
    let trust_root = TrustRoot::public_good().unwrap();
    let others = samples.iter().cycle().skip(1);
    for (sample, other) in samples.iter().zip(others) {
        refused(&edit(sample, other), &trust_root, kind);
    }
}

#[test]
fn real_signatures_verify_at_their_own_digest() {
    let Some(samples) = samples() else { return };
    let trust_root = TrustRoot::public_good().unwrap();
    for sample in samples {
        let signature = signed(&sample.material(), &trust_root);
        let payload: Value = serde_json::from_slice(&sample.payload).unwrap();
        let digest = &payload["critical"]["image"]["docker-manifest-digest"];
        assert_eq!(signature.subjects.len(), 1);
        assert_eq!(*digest, signature.subjects[0].to_string());
    }
}

#[test]
fn a_chain_is_not_needed_where_the_root_has_it() {
    let Some(samples) = samples() else { return };
    let trust_root = TrustRoot::public_good().unwrap();
    for sample in samples {
        signed(&sample.without("dev.sigstore.cosign/chain"), &trust_root);
    }
}

#[test]
fn another_instances_root_does_not_vouch_for_them() {
    let Some(samples) = samples() else { return };
    let trust_root = TrustRoot::staging().unwrap();
    for sample in samples {
        refused(&sample.material(), &trust_root, FlawKind::LogEntry);
    }
}

#[test]
fn the_log_entry_of_another_signature_is_refused() {
    all_refused(FlawKind::Certificate, |sample, other| {
        sample.with(BUNDLE, other.annotations[BUNDLE].clone())
    });
}

#[test]
fn a_log_entry_that_was_edited_is_refused() {
    let one_more = |value: &Value| json!(value.as_i64().unwrap() + 1);
    all_refused(FlawKind::LogEntry, |sample, _| sample.with_entry("/Payload/integratedTime", one_more));
    all_refused(FlawKind::LogEntry, |sample, _| sample.with_entry("/Payload/logIndex", one_more));
    all_refused(FlawKind::LogEntry, |sample, _| {
        sample.with_entry("/Payload/logID", |log| json!(log.as_str().unwrap().replacen('c', "d", 1)))
    });
    all_refused(FlawKind::LogEntry, |sample, other| {
        let other: Value = serde_json::from_str(&other.annotations[BUNDLE]).unwrap();
        sample.with_entry("/SignedEntryTimestamp", |_| other["SignedEntryTimestamp"].clone())
    });
    // A line feed more, which the promise does not cover.
    all_refused(FlawKind::LogEntry, |sample, _| {
        sample.with_entry("/Payload/body", |body| {
            let mut body = STANDARD.decode(body.as_str().unwrap()).unwrap();
            body.push(b'\n');
            json!(STANDARD.encode(body))
        })
    });
}

#[test]
fn a_signature_that_no_log_has_is_refused() {
    all_refused(FlawKind::LogEntry, |sample, _| sample.without(BUNDLE));
}

#[test]
fn a_signature_without_certificate_needs_a_key() {
    all_refused(FlawKind::Unsupported, |sample, _| sample.without(CERTIFICATE));
}

#[test]
fn the_certificate_of_another_signature_is_refused() {
    all_refused(FlawKind::Certificate, |sample, other| {
        sample.with(CERTIFICATE, other.annotations[CERTIFICATE].clone())
    });
}

#[test]
fn another_signature_is_refused() {
    all_refused(FlawKind::Signature, |sample, other| {
        sample.with(SIGNATURE, other.annotations[SIGNATURE].clone())
    });
}

#[test]
fn a_payload_with_one_bit_flipped_is_refused() {
    all_refused(FlawKind::Signature, |sample, _| {
        let mut edited = sample.clone();
        // A hexadecimal digit of the digest, which stays one.
        let digest = edited.payload.windows(7).position(|window| window == b"sha256:").unwrap() + 7;
        let digit = &mut edited.payload[digest];
        *digit = if digit.is_ascii_digit() { *digit ^ 1 } else { b'0' };
        edited.material()
    });
}

#[test]
fn a_signed_timestamp_that_does_not_verify_is_a_flaw() {
    let token = json!({"SignedRFC3161Timestamp": STANDARD.encode("no timestamp")}).to_string();
    all_refused(FlawKind::Timestamp, |sample, _| {
        sample.with("dev.sigstore.cosign/rfc3161timestamp", token.clone())
    });
    all_refused(FlawKind::Timestamp, |sample, _| sample.with("dev.sigstore.cosign/rfc3161timestamp", "{}"));
}
