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

/// An entry that a log promised to record. Nothing of it is verified yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Promised {
    /// What is recorded.
    pub(crate) kind: Kind,
    /// The record itself, in the log's own spelling of JSON.
    pub(crate) body: Vec<u8>,
    /// Where in the log it is.
    pub(crate) index: LogIndex,
    /// When it was recorded.
    pub(crate) time: Timestamp,
    /// The log: the sha256 of its key.
    pub(crate) log: Vec<u8>,
    /// The log's signature over all of this.
    pub(crate) promise: Vec<u8>,
}

/// What kind of thing an entry records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// One that the library reads.
    Known(KindVersion),
    /// An attestation as cosign 1 recorded it, `intoto` 0.0.1, which the library does not read.
    OldAttestation,
}

/// What an entry has to be of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Of {
    /// A signature over a payload.
    Message,
    /// An envelope.
    Envelope,
}

/// The entry in these annotations, if there is one. Nothing of it is verified yet.
///
/// # Errors
/// [`FlawKind::Unsupported`] where it is of a kind that does not go with what is signed.
pub(crate) fn read(annotations: &BTreeMap<String, String>, of: Of) -> Result<Option<Promised>, Flaw> {
    let Some(text) = annotations.get(ANNOTATION).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
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
    let kind = kind(&body, of)?;
    Ok(Some(Promised { kind, body, index, time, log, promise }))
}

impl Promised {
    /// Where in the log it is, once the promise is verified: the log signed that too.
    pub(crate) fn index(&self) -> policies::LogIndex {
        policies::LogIndex { log: hex::encode(&self.log), index: self.index.get() }
    }

    /// This as the library has it.
    pub(crate) fn for_library(self, kind: KindVersion) -> TransparencyLogEntry {
        let log = LogId::new(LogKeyId::new(self.log));
        TransparencyLogEntry::new(self.index, log, kind, CanonicalizedBody::new(self.body))
            .with_integrated_time(self.time)
            .with_inclusion_promise(InclusionPromise::new(SignedTimestamp::new(self.promise)))
    }
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
fn kind(body: &[u8], of: Of) -> Result<Kind, Flaw> {
    let body = unique_json::parse(body)
        .map_err(|error| malformed(format!("the body of the log entry is malformed: {error}")))?;
    match (of, string(&body, "/kind")?, string(&body, "/apiVersion")?) {
        (Of::Message, "hashedrekord", "0.0.1") => Ok(Kind::Known(KindVersion::HashedRekordV001)),
        (Of::Envelope, "dsse", "0.0.1") => Ok(Kind::Known(KindVersion::DsseV001)),
        (Of::Envelope, "intoto", "0.0.2") => Ok(Kind::Known(KindVersion::IntotoV002)),
        (Of::Envelope, "intoto", "0.0.1") => Ok(Kind::OldAttestation),
        (Of::Message | Of::Envelope, kind, version) => Err(flaw(
            FlawKind::Unsupported,
            format_args!("log entry is of kind {kind:?} in version {version:?}, which is not checked here"),
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

    fn read_text(text: &str) -> Result<Option<Promised>, Flaw> {
        read(&BTreeMap::from([(ANNOTATION.to_owned(), text.to_owned())]), Of::Message)
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
        let entry = read_text(&good().to_string()).unwrap().unwrap();
        assert_eq!(entry.kind, Kind::Known(KindVersion::HashedRekordV001));
        let entry = entry.for_library(KindVersion::HashedRekordV001);
        assert_eq!(entry.log_index.get(), 3_942_845);
        assert_eq!(entry.log_id.key_id.as_bytes(), hex::decode("c0d23d6ad406973f").unwrap());
        assert_eq!(entry.integrated_time.unwrap().as_second(), 1_664_111_795);
        let promise = entry.inclusion_promise.unwrap();
        assert_eq!(promise.signed_entry_timestamp.as_bytes(), b"promise");
    }

    #[test]
    fn a_signature_may_have_no_entry() {
        assert_eq!(read(&BTreeMap::new(), Of::Message), Ok(None));
        assert_eq!(read_text(""), Ok(None));
    }

    #[test]
    fn an_entry_is_of_a_kind_that_goes_with_what_is_signed() {
        let kinds = [
            ("hashedrekord", "0.0.1", Some(Kind::Known(KindVersion::HashedRekordV001)), None),
            ("hashedrekord", "0.0.2", None, None),
            ("rekord", "0.0.1", None, None),
            ("dsse", "0.0.1", None, Some(Kind::Known(KindVersion::DsseV001))),
            ("intoto", "0.0.1", None, Some(Kind::OldAttestation)),
            ("intoto", "0.0.2", None, Some(Kind::Known(KindVersion::IntotoV002))),
        ];
        for (kind, version, of_message, of_envelope) in kinds {
            let text = entry(&json!({"kind": kind, "apiVersion": version})).to_string();
            for (of, expected) in [(Of::Message, of_message), (Of::Envelope, of_envelope)] {
                let read = read(&BTreeMap::from([(ANNOTATION.to_owned(), text.clone())]), of);
                let found = read.map(|entry| entry.unwrap().kind).map_err(|flaw| flaw.kind);
                assert_eq!(found, expected.ok_or(FlawKind::Unsupported), "{kind} {version}");
            }
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
