use bytes::Bytes;
use serde_json::json;
use sigstore_verify::types::{ArtifactDigest, CanonicalizedBody, LogId, LogIndex, LogKeyId, Sha256Hash};

use super::*;
use crate::envelope::Envelope;

const KEY: &[u8] = b"key";
const SIGNATURE: &[u8] = b"signature";
const PAYLOAD: &[u8] = b"payload";

fn envelope() -> Envelope {
    let (payload_type, payload) = ("type".into(), Bytes::from_static(PAYLOAD));
    Envelope { payload_type, payload, signature: SIGNATURE.to_vec() }
}

fn twice(bytes: &[u8]) -> String {
    STANDARD.encode(STANDARD.encode(bytes))
}

fn pem() -> String {
    pem_of(KEY)
}

fn pem_of(key: &[u8]) -> String {
    STANDARD.encode(pem::encode(&pem::Pem::new("PUBLIC KEY", key)))
}

fn hash(bytes: &[u8]) -> Value {
    json!({"algorithm": "sha256", "value": sha256(bytes).to_hex()})
}

/// A sound entry of each kind, and what it is of.
fn sound() -> Vec<(KindVersion, Content, Value)> {
    let message = || Content::Payload(Bytes::from_static(PAYLOAD));
    let digest = Content::Digest(ArtifactDigest::sha256(Sha256Hash::new(*sha256(PAYLOAD).as_bytes())));
    let rekord = |hash: Value| {
        let signature = json!({"content": STANDARD.encode(SIGNATURE), "publicKey": {"content": pem()}});
        json!({"data": {"hash": hash}, "signature": signature})
    };
    let longer = json!({"algorithm": "sha512", "value": hex::encode(sha512(PAYLOAD).as_bytes())});
    let second = |bytes: &[u8]| {
        let data = json!({"algorithm": "SHA2_256", "digest": STANDARD.encode(sha256(bytes).as_bytes())});
        let verifier = json!({"publicKey": {"rawBytes": STANDARD.encode(KEY)}});
        let signature = json!({"content": STANDARD.encode(SIGNATURE), "verifier": verifier});
        json!({"hashedRekordV002": {"data": data, "signature": signature}})
    };
    let dsse = json!({
        "payloadHash": hash(PAYLOAD),
        "signatures": [{"signature": STANDARD.encode(SIGNATURE), "verifier": pem()}],
    });
    let signatures = json!([{"sig": twice(SIGNATURE), "publicKey": pem()}]);
    let intoto = json!({"content": {
        "envelope": {"payloadType": "type", "signatures": signatures},
        "payloadHash": hash(PAYLOAD),
    }});
    vec![
        (KindVersion::HashedRekordV001, message(), rekord(hash(PAYLOAD))),
        (KindVersion::HashedRekordV001, message(), rekord(longer)),
        (KindVersion::HashedRekordV001, digest, rekord(hash(PAYLOAD))),
        (KindVersion::HashedRekordV002, message(), second(PAYLOAD)),
        (KindVersion::HashedRekordV002, Content::Envelope(envelope()), second(&envelope().pae())),
        (KindVersion::DsseV001, Content::Envelope(envelope()), dsse),
        (KindVersion::IntotoV002, Content::Envelope(envelope()), intoto),
    ]
}

fn body(kind: KindVersion, spec: &Value) -> Value {
    json!({"kind": kind.kind(), "apiVersion": kind.version(), "spec": spec})
}

fn found(kind: KindVersion, content: &Content, body: &Value) -> Option<FlawKind> {
    let log = LogId::new(LogKeyId::new(vec![0; 32]));
    let body = CanonicalizedBody::new(body.to_string().into_bytes());
    let entry = TransparencyLogEntry::new(LogIndex::default(), log, kind, body);
    of(&entry, Signed { content, signature: SIGNATURE, key: KEY }).map_err(|flaw| flaw.kind).err()
}

/// Every text in a document, by where it is.
fn texts(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(at.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(number, item)| texts(item, &format!("{at}/{number}"), found));
        }
        Value::Object(entries) => {
            entries.iter().for_each(|(name, entry)| texts(entry, &format!("{at}/{name}"), found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn an_entry_is_of_a_signature_in_every_part_or_not_at_all() {
    for (kind, content, spec) in sound() {
        let body = body(kind, &spec);
        assert_eq!(found(kind, &content, &body), None, "{body}");
        let mut parts = Vec::new();
        texts(&body, "", &mut parts);
        assert!(parts.len() >= 6, "{body}");
        for part in parts {
            for other in ["", "AAAA", "sha384", "SHA2_384", "dsse", "0.0.1", &pem_of(b"another")] {
                let mut edited = body.clone();
                let text = edited.pointer_mut(&part).unwrap();
                if text == other {
                    continue;
                }
                *text = other.into();
                assert_eq!(found(kind, &content, &edited), Some(FlawKind::LogEntry), "{edited}");
            }
        }
    }
}

#[test]
fn an_entry_of_more_than_one_signature_is_of_none() {
    for (kind, content, spec) in sound() {
        let mut body = body(kind, &spec);
        for list in ["/spec/signatures", "/spec/content/envelope/signatures"] {
            let Some(signatures) = body.pointer_mut(list).and_then(Value::as_array_mut) else {
                continue;
            };
            signatures.push(signatures[0].clone());
            assert_eq!(found(kind, &content, &body), Some(FlawKind::LogEntry), "{body}");
        }
    }
}

#[test]
fn an_entry_goes_with_what_is_signed() {
    let (message, envelope) = (Content::Payload(Bytes::from_static(PAYLOAD)), Content::Envelope(envelope()));
    for (kind, content) in [
        (KindVersion::HashedRekordV001, &envelope),
        (KindVersion::DsseV001, &message),
        (KindVersion::IntotoV002, &message),
    ] {
        assert_eq!(found(kind, content, &body(kind, &json!({}))), Some(FlawKind::Unsupported), "{kind:?}");
    }
    let twice =
        json!({"kind": "dsse", "apiVersion": "0.0.1"}).to_string().replacen('{', r#"{"kind":"x","#, 1);
    let entry = TransparencyLogEntry::new(
        LogIndex::default(),
        LogId::new(LogKeyId::new(vec![0; 32])),
        KindVersion::DsseV001,
        CanonicalizedBody::new(twice.into_bytes()),
    );
    let flaw = of(&entry, Signed { content: &envelope, signature: SIGNATURE, key: KEY }).unwrap_err();
    assert_eq!(flaw.kind, FlawKind::Malformed);
}
