//! DSSE envelopes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::Serialize;

/// The payload type of in-toto statements.
pub(crate) const IN_TOTO: &str = "application/vnd.in-toto+json";

/// A payload and what it is, which are signed together, as
/// [DSSE](https://github.com/secure-systems-lab/dsse/blob/master/protocol.md) says.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    /// What kind of document the payload is.
    pub(crate) payload_type: &'static str,
    /// The document.
    pub(crate) payload: Bytes,
}

/// The fields in the order in which cosign writes them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    payload_type: &'a str,
    payload: String,
    signatures: [Signature; 1],
}

#[derive(Serialize)]
struct Signature {
    keyid: &'static str,
    sig: String,
}

impl Envelope {
    /// What is signed: the pre-authentication encoding.
    pub(crate) fn signed_bytes(&self) -> Bytes {
        let (kind, payload) = (self.payload_type, &self.payload);
        let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
        [head.as_bytes(), payload].concat().into()
    }

    /// The envelope with its signature, as cosign writes it.
    #[expect(clippy::expect_used, reason = "text always serializes")]
    pub(super) fn closed(&self, signature: &[u8]) -> Bytes {
        let document = Document {
            payload_type: self.payload_type,
            payload: BASE64.encode(&self.payload),
            signatures: [Signature { keyid: "", sig: BASE64.encode(signature) }],
        };
        serde_json::to_vec(&document).expect("the envelope serializes").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_that_of_the_specification() {
        let envelope = Envelope {
            payload_type: "http://example.com/HelloWorld",
            payload: Bytes::from_static(b"hello world"),
        };
        assert_eq!(
            envelope.signed_bytes(),
            "DSSEv1 29 http://example.com/HelloWorld 11 hello world".as_bytes()
        );
        assert_eq!(
            envelope.closed(b"sig"),
            r#"{"payloadType":"http://example.com/HelloWorld","payload":"aGVsbG8gd29ybGQ=","signatures":[{"keyid":"","sig":"c2ln"}]}"#
        );
    }
}
