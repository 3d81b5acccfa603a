//! The log entry that cosign keeps beside a signature: what Rekor promised to record.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use policies::{Flaw, FlawKind};
use serde_json::Value;
use sigstore_verify::types::{
    CanonicalizedBody, InclusionPromise, KindVersion, LogId, LogIndex, LogKeyId, SignedTimestamp,
    TransparencyLogEntry,
};

use crate::flaw::flaw;
use crate::unique_json;

/// The annotation that holds the entry, in JSON: a promise (signed entry timestamp) and what is promised.
const ANNOTATION: &str = "dev.sigstore.cosign/bundle";

/// The entry in these annotations, of which nothing is verified yet.
///
/// # Errors
/// [`FlawKind::LogEntry`] where there is none: a certificate lives for minutes, and without a log nobody can tell
/// whether a signature was made in them. [`FlawKind::Unsupported`] where it is of another kind than `hashedrekord`.
pub(crate) fn read(annotations: &BTreeMap<String, String>) -> Result<TransparencyLogEntry, Flaw> {
    let text = annotations.get(ANNOTATION).filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| flaw(FlawKind::LogEntry, "there is no log entry beside the signature"))?;
    let entry = unique_json::parse(text.as_bytes())
        .map_err(|error| malformed(format!("log entry is malformed: {error}")))?;
    let promise = base64(&entry, "/SignedEntryTimestamp")?;
    let body = base64(&entry, "/Payload/body")?;
    let index = entry.pointer("/Payload/logIndex").and_then(Value::as_u64);
    let index = index.and_then(|index| LogIndex::new(index).ok());
    let index = index.ok_or_else(|| malformed("log entry has no logIndex".into()))?;
    let time = integrated_time(&entry).and_then(|seconds| Timestamp::from_second(seconds).ok());
    let time = time.ok_or_else(|| malformed("log entry has no integratedTime".into()))?;
    let log = hex::decode(string(&entry, "/Payload/logID")?)
        .map_err(|error| malformed(format!("log entry has a malformed logID: {error}")))?;
    let kind = kind(&body)?;
    let entry =
        TransparencyLogEntry::new(index, LogId::new(LogKeyId::new(log)), kind, CanonicalizedBody::new(body));
    Ok(entry
        .with_integrated_time(time)
        .with_inclusion_promise(InclusionPromise::new(SignedTimestamp::new(promise))))
}

/// When the entry in these annotations says that it was recorded, in seconds since 1970.
pub(crate) fn claimed_time(annotations: &BTreeMap<String, String>) -> Option<i64> {
    let entry = unique_json::parse(annotations.get(ANNOTATION)?.as_bytes()).ok()?;
    integrated_time(&entry)
}

/// Nought is what Rekor writes for "none", and nothing was signed before 1970.
fn integrated_time(entry: &Value) -> Option<i64> {
    let seconds = entry.pointer("/Payload/integratedTime")?.as_i64()?;
    (seconds > 0).then_some(seconds)
}

/// What kind of entry a body is. The body is what the log signed, so it cannot be relabelled.
fn kind(body: &[u8]) -> Result<KindVersion, Flaw> {
    let body = unique_json::parse(body)
        .map_err(|error| malformed(format!("the body of the log entry is malformed: {error}")))?;
    match (string(&body, "/kind")?, string(&body, "/apiVersion")?) {
        ("hashedrekord", "0.0.1") => Ok(KindVersion::HashedRekordV001),
        (kind, version) => Err(flaw(
            FlawKind::Unsupported,
            format_args!(
                "log entry is of kind {kind:?} in version {version:?}, where a signature has a hashedrekord 0.0.1"
            ),
        )),
    }
}

fn base64(document: &Value, pointer: &str) -> Result<Vec<u8>, Flaw> {
    STANDARD
        .decode(string(document, pointer)?)
        .map_err(|error| malformed(format!("log entry has a malformed {}: {error}", name(pointer))))
}

fn string<'a>(document: &'a Value, pointer: &str) -> Result<&'a str, Flaw> {
    let text = document.pointer(pointer).and_then(Value::as_str);
    text.ok_or_else(|| malformed(format!("log entry has no {}", name(pointer))))
}

fn name(pointer: &str) -> &str {
    pointer.rsplit('/').next().unwrap_or(pointer)
}

fn malformed(detail: String) -> Flaw {
    flaw(FlawKind::Malformed, detail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(body: &Value) -> Value {
        json!({
            "SignedEntryTimestamp": STANDARD.encode("promise"),
            "Payload": {
                "body": STANDARD.encode(body.to_string()),
                "integratedTime": 1_664_111_795,
                "logIndex": 3_942_845,
                "logID": "c0d23d6ad406973f",
            },
        })
    }

    fn read_text(text: &str) -> Result<TransparencyLogEntry, Flaw> {
        read(&BTreeMap::from([(ANNOTATION.to_owned(), text.to_owned())]))
    }

    fn good() -> Value {
        entry(&json!({"kind": "hashedrekord", "apiVersion": "0.0.1", "spec": {}}))
    }

    #[track_caller]
    fn refuses(text: &str, kind: FlawKind) {
        assert_eq!(read_text(text).map_err(|flaw| flaw.kind).err(), Some(kind), "{text}");
    }

    #[test]
    fn an_entry_is_read_as_cosign_wrote_it() {
        let entry = read_text(&good().to_string()).unwrap();
        assert_eq!(entry.kind_version, KindVersion::HashedRekordV001);
        assert_eq!(entry.log_index.get(), 3_942_845);
        assert_eq!(entry.log_id.key_id.as_bytes(), hex::decode("c0d23d6ad406973f").unwrap());
        assert_eq!(entry.integrated_time.unwrap().as_second(), 1_664_111_795);
        let promise = entry.inclusion_promise.unwrap();
        assert_eq!(promise.signed_entry_timestamp.as_bytes(), b"promise");
    }

    #[test]
    fn a_signature_without_an_entry_is_not_vouched_for() {
        assert_eq!(read(&BTreeMap::new()).map_err(|flaw| flaw.kind).err(), Some(FlawKind::LogEntry));
        refuses("", FlawKind::LogEntry);
    }

    #[test]
    fn entries_of_another_kind_are_not_checked() {
        for (kind, version) in
            [("hashedrekord", "0.0.2"), ("rekord", "0.0.1"), ("dsse", "0.0.1"), ("intoto", "0.0.2")]
        {
            let other = entry(&json!({"kind": kind, "apiVersion": version}));
            refuses(&other.to_string(), FlawKind::Unsupported);
        }
    }

    #[test]
    fn a_malformed_entry_is_refused() {
        for (pointer, value) in [
            ("/SignedEntryTimestamp", json!("?")),
            ("/Payload/body", json!(STANDARD.encode("{"))),
            ("/Payload/body", json!(STANDARD.encode(r#"{"kind":"a","kind":"b"}"#))),
            ("/Payload/integratedTime", json!(0)),
            ("/Payload/integratedTime", json!(-1)),
            ("/Payload/integratedTime", json!("1664111795")),
            ("/Payload/integratedTime", json!(i64::MAX)),
            ("/Payload/logIndex", json!(-1)),
            ("/Payload/logIndex", json!(u64::MAX)),
            ("/Payload/logID", json!("xyz")),
            ("/Payload", json!([])),
        ] {
            let mut broken = good();
            *broken.pointer_mut(pointer).unwrap() = value;
            refuses(&broken.to_string(), FlawKind::Malformed);
        }
        let twice = good().to_string().replacen("\"logID\"", "\"logID\":\"00\",\"logID\"", 1);
        refuses(&twice, FlawKind::Malformed);
    }
}
