//! The forms of bodies, whoever fills them in: keys sorted, no space (RFC 8785).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use oci::Digest;
use serde_json::{Value, json};

use crate::authority::Record;
use crate::authority::hash::Hash;

/// The body of an entry with this specification, if the record is of some kind.
pub(crate) fn body(record: Record, spec: &Value) -> Option<Vec<u8>> {
    let (kind, version) = record.kind()?;
    Some(json!({"apiVersion": version, "kind": kind, "spec": spec}).to_string().into_bytes())
}

/// It names the hash that was signed: the log can verify nothing else.
pub(crate) fn hashed_rekord(hash: Hash, digest: &[u8], signature: &[u8], verifier_pem: &str) -> Value {
    json!({
        "data": {"hash": {"algorithm": hash.as_str(), "value": hex::encode(digest)}},
        "signature": {
            "content": BASE64.encode(signature),
            "publicKey": {"content": BASE64.encode(verifier_pem)},
        },
    })
}

/// It names the envelope as it was handed in, and the payload.
pub(crate) fn dsse(envelope: &[u8], payload: &[u8], signature: &[u8], verifier_pem: &str) -> Value {
    json!({
        "envelopeHash": sha256(envelope),
        "payloadHash": sha256(payload),
        "signatures": [{
            "signature": BASE64.encode(signature),
            "verifier": BASE64.encode(verifier_pem),
        }],
    })
}

/// The same as [`hashed_rekord`] in the second generation, where keys are not in PEM.
pub(crate) fn hashed_rekord_v002(hash: Hash, digest: &[u8], signature: &[u8], verifier: &Value) -> Value {
    json!({"hashedRekordV002": {
        "data": {"algorithm": hash.bundle_name(), "digest": BASE64.encode(digest)},
        "signature": {"content": BASE64.encode(signature), "verifier": verifier},
    }})
}

/// A hash as the first generation writes it.
pub(super) fn sha256(bytes: &[u8]) -> Value {
    json!({"algorithm": "sha256", "value": Digest::of(bytes).hex()})
}
