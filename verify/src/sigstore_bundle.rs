//! Sigstore bundles: a signature with all that is needed to check it, in one document
//! ([specification](https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto)).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use policies::{Flaw, FlawKind};
use serde_json::Value;
use sigstore_verify::types::{Bundle, MessageSignature, SignatureContent};

use crate::envelope::Envelope;
use crate::flaw::flaw;
use crate::{timestamps, unique_json};

/// The most log entries, timestamps or certificates, each, that a bundle may have. Real ones have one or two.
const PARTS_LIMIT: usize = 16;

/// A bundle of version 0.1, 0.2 or 0.3. Nothing of it is verified yet.
pub(crate) struct Parsed {
    /// The whole, as the library has it.
    pub(crate) bundle: Bundle,
    /// What is signed.
    pub(crate) signed: Signed,
}

/// What a bundle says is signed.
pub(crate) enum Signed {
    /// A message, which is not in the bundle.
    Message(MessageSignature),
    /// An envelope, with what is in it.
    Envelope(Envelope),
}

/// Reads a bundle.
///
/// # Errors
/// [`FlawKind::Malformed`] also where it could be read in two ways: with a name twice, with two contents, or
/// with two things to vouch for the signer. [`FlawKind::Unsupported`] where it has more parts than are looked
/// at.
pub(crate) fn parse(json: &[u8]) -> Result<Parsed, Flaw> {
    let document =
        unique_json::parse(json).map_err(|error| malformed(format!("bundle is malformed: {error}")))?;
    one_of(&document, "", &["messageSignature", "dsseEnvelope"])?;
    one_of(&document, "/verificationMaterial", &["certificate", "x509CertificateChain", "publicKey"])?;
    few(&document)?;
    let envelope = document.get("dsseEnvelope").map(Envelope::read).transpose()?;
    let mut bundle: Bundle = serde_json::from_value(document)
        .map_err(|error| malformed(format!("bundle is malformed: {error}")))?;
    let signed = match (&mut bundle.content, envelope) {
        (content @ SignatureContent::DsseEnvelope(_), Some(envelope)) => {
            // There is one reading of an envelope, and it is ours.
            *content = SignatureContent::DsseEnvelope(envelope.for_library());
            Signed::Envelope(envelope)
        }
        (SignatureContent::MessageSignature(message), None) => Signed::Message(message.clone()),
        _ => {
            return Err(flaw(
                FlawKind::Unsupported,
                "bundle has neither a message signature nor an envelope",
            ));
        }
    };
    Ok(Parsed { bundle, signed })
}

/// When this was recorded or seen, as the bundle says: the last time, in seconds since 1970, where there are
/// several.
pub(crate) fn claimed_time(json: &[u8]) -> Option<i64> {
    let document = unique_json::parse(json).ok()?;
    let list = |name: &str| {
        let list = document.pointer(&format!("/verificationMaterial/{name}")).and_then(Value::as_array);
        list.map_or(&[][..], Vec::as_slice).iter()
    };
    let recorded = list("tlogEntries").filter_map(|entry| {
        let time = entry.get("integratedTime")?;
        time.as_i64().or_else(|| time.as_str()?.parse().ok())
    });
    let seen = list("timestampVerificationData/rfc3161Timestamps").filter_map(|stamp| {
        let token = STANDARD.decode(stamp.get("signedTimestamp")?.as_str()?).ok()?;
        timestamps::claimed_time(&token)
    });
    recorded.chain(seen).filter(|time| *time > 0).max()
}

/// The envelope in a bundle, if there is one.
pub(crate) fn envelope(json: &[u8]) -> Option<Envelope> {
    let document = unique_json::parse(json).ok()?;
    Envelope::read(document.get("dsseEnvelope")?).ok()
}

fn one_of(document: &Value, pointer: &str, names: &[&str]) -> Result<(), Flaw> {
    let object = document.pointer(pointer).and_then(Value::as_object);
    let object = object.ok_or_else(|| malformed("bundle has no verificationMaterial".into()))?;
    match names.iter().filter(|name| object.contains_key(**name)).count() {
        1 => Ok(()),
        0 => Err(malformed(format!("bundle has none of {}", names.join(", ")))),
        _ => Err(malformed(format!("bundle has more than one of {}", names.join(", ")))),
    }
}

fn few(document: &Value) -> Result<(), Flaw> {
    for list in
        ["tlogEntries", "timestampVerificationData/rfc3161Timestamps", "x509CertificateChain/certificates"]
    {
        let parts = document.pointer(&format!("/verificationMaterial/{list}")).and_then(Value::as_array);
        if parts.is_some_and(|parts| parts.len() > PARTS_LIMIT) {
            let detail = format_args!("bundle has more than {PARTS_LIMIT} of {list}");
            return Err(flaw(FlawKind::Unsupported, detail));
        }
    }
    Ok(())
}

fn malformed(detail: String) -> Flaw {
    flaw(FlawKind::Malformed, detail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bundle() -> Value {
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": "YQ=="},
                "tlogEntries": [],
                "timestampVerificationData": {"rfc3161Timestamps": []},
            },
            "dsseEnvelope": {"payloadType": "a", "payload": "Yg==", "signatures": [{"sig": "Yw=="}]},
        })
    }

    #[track_caller]
    fn refuses(bundle: &Value, kind: FlawKind) {
        let refused = parse(bundle.to_string().as_bytes()).map_err(|flaw| flaw.kind).err();
        assert_eq!(refused, Some(kind), "{bundle}");
    }

    #[test]
    fn a_bundle_has_one_content_and_one_signer() {
        assert!(parse(bundle().to_string().as_bytes()).is_ok());
        let mut two = bundle();
        two["messageSignature"] = json!({"signature": "YQ=="});
        refuses(&two, FlawKind::Malformed);
        let mut two = bundle();
        two["verificationMaterial"]["publicKey"] = json!({"hint": ""});
        refuses(&two, FlawKind::Malformed);
        for name in ["dsseEnvelope", "verificationMaterial"] {
            let mut without = bundle();
            without.as_object_mut().unwrap().remove(name);
            refuses(&without, FlawKind::Malformed);
        }
        let twice = bundle().to_string().replacen('{', r#"{"mediaType":"x","#, 1);
        assert_eq!(parse(twice.as_bytes()).err().unwrap().kind, FlawKind::Malformed);
        assert_eq!(parse(b"[]").err().unwrap().kind, FlawKind::Malformed);
    }

    #[test]
    fn a_bundle_of_another_version_is_refused() {
        let mut other = bundle();
        other["mediaType"] = "application/vnd.dev.sigstore.bundle.v0.4+json".into();
        refuses(&other, FlawKind::Malformed);
    }

    #[test]
    fn a_bundle_with_too_many_parts_is_refused() {
        for (list, part) in [
            ("/tlogEntries", json!({})),
            ("/timestampVerificationData/rfc3161Timestamps", json!({"signedTimestamp": "YQ=="})),
        ] {
            let mut many = bundle();
            let pointer = format!("/verificationMaterial{list}");
            *many.pointer_mut(&pointer).unwrap() = vec![part; PARTS_LIMIT + 1].into();
            refuses(&many, FlawKind::Unsupported);
        }
    }

    #[test]
    fn the_claimed_time_is_the_latest_of_the_entries() {
        let claimed = |entries: Value| {
            let mut bundle = bundle();
            bundle["verificationMaterial"]["tlogEntries"] = entries;
            claimed_time(bundle.to_string().as_bytes())
        };
        assert_eq!(claimed(json!([{"integratedTime": "12"}, {"integratedTime": 34}, {}])), Some(34));
        assert_eq!(claimed(json!([{"integratedTime": "0"}, {"integratedTime": "x"}])), None);
        assert_eq!(claimed(json!([])), None);
        assert_eq!(claimed_time(b"{"), None);
    }
}
