//! The envelope of a statement: [DSSE](https://github.com/secure-systems-lab/dsse).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;
use policies::{Flaw, FlawKind};
use serde_json::Value;
use sigstore_verify::types::{DsseEnvelope, DsseSignature, KeyId, PayloadBytes, SignatureBytes};

use crate::flaw::flaw;
use crate::unique_json;

/// An envelope with its one signature. Nothing of it is verified yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Envelope {
    /// What the payload is.
    pub(crate) payload_type: String,
    /// What is in it.
    pub(crate) payload: Bytes,
    /// What was signed is this and the type, as [`pae`](Self::pae) puts them together.
    pub(crate) signature: Vec<u8>,
}

impl Envelope {
    /// Reads an envelope in JSON.
    ///
    /// # Errors
    /// [`FlawKind::Unsupported`] where it has more than one signature: what lies beside it vouches for one,
    /// and which one is not said.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, Flaw> {
        let document =
            unique_json::parse(json).map_err(|error| malformed(format!("envelope is malformed: {error}")))?;
        Self::read(&document)
    }

    /// Reads an envelope that is part of a document.
    pub(crate) fn read(document: &Value) -> Result<Self, Flaw> {
        let text = |name: &str| {
            let text = document.get(name).and_then(Value::as_str);
            text.ok_or_else(|| malformed(format!("envelope has no {name}")))
        };
        let signatures = document.get("signatures").and_then(Value::as_array);
        let signature = match signatures.map_or(&[][..], Vec::as_slice) {
            [signature] => signature.get("sig").and_then(Value::as_str).unwrap_or_default(),
            [] => return Err(malformed("envelope has no signature".into())),
            [_, _, ..] => return Err(flaw(FlawKind::Unsupported, "envelope has more than one signature")),
        };
        let signature = decode(signature).filter(|signature| !signature.is_empty());
        Ok(Self {
            payload_type: text("payloadType")?.to_owned(),
            payload: decode(text("payload")?)
                .ok_or_else(|| malformed("the payload of the envelope is no Base64".into()))?
                .into(),
            signature: signature
                .ok_or_else(|| malformed("the signature of the envelope is no Base64".into()))?,
        })
    }

    /// What is signed: type and payload, each with its length (pre-authentication encoding).
    pub(crate) fn pae(&self) -> Vec<u8> {
        sigstore_verify::types::pae(&self.payload_type, &self.payload)
    }

    /// This as the library has it. Key identifiers are left out: nothing vouches for them.
    pub(crate) fn for_library(&self) -> DsseEnvelope {
        let signature = DsseSignature::new(SignatureBytes::new(self.signature.clone()), KeyId::default());
        DsseEnvelope::new(self.payload_type.clone(), PayloadBytes::new(self.payload.to_vec()), signature)
    }
}

/// DSSE allows either alphabet of Base64.
fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

fn malformed(detail: String) -> Flaw {
    flaw(FlawKind::Malformed, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"payloadType":"text","payload":"-_8=","signatures":[{"keyid":"a","sig":"c2ln"}]}"#;

    #[track_caller]
    fn refuses(json: &str, kind: FlawKind) {
        assert_eq!(Envelope::parse(json.as_bytes()).map_err(|flaw| flaw.kind), Err(kind), "{json}");
    }

    #[test]
    fn an_envelope_is_read_in_either_alphabet() {
        let envelope = Envelope::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(envelope.payload, Bytes::from_static(&[0xfb, 0xff]));
        assert_eq!(envelope.signature, b"sig");
        assert_eq!(envelope.pae(), b"DSSEv1 4 text 2 \xfb\xff");
        assert_eq!(Envelope::parse(GOOD.replace("-_8=", "+/8=").as_bytes()), Ok(envelope));
    }

    #[test]
    fn an_envelope_has_one_signature() {
        refuses(&GOOD.replace(r#"{"keyid":"a","sig":"c2ln"}"#, ""), FlawKind::Malformed);
        refuses(&GOOD.replace("}]", r#"},{"sig":"c2ln"}]"#), FlawKind::Unsupported);
    }

    #[test]
    fn what_is_no_envelope_is_refused() {
        for (from, to) in [
            ("-_8=", "?"),
            ("c2ln", "?"),
            ("c2ln", ""),
            ("payloadType", "type"),
            (r#""payload""#, r#""payload":"YQ==","payload""#),
            ("{\"keyid", "[{\"keyid"),
        ] {
            refuses(&GOOD.replacen(from, to, 1), FlawKind::Malformed);
        }
        refuses("", FlawKind::Malformed);
        refuses("[]", FlawKind::Malformed);
    }
}
