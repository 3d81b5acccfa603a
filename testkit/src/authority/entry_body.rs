//! What a log keeps of a signature: the canonical bodies of its entries.

pub(crate) mod form;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::{Value, json};

use super::certificates::pem;
use super::envelope::Envelope;
use super::hash::Hash;
use super::managed_key::ManagedKey;
use super::recipe::{Content, Record};
use form::sha256;

/// A signature that is to be recorded.
pub(super) struct Proposal<'a> {
    pub(super) content: &'a Content,
    pub(super) signature: &'a [u8],
    pub(super) verifier: Verifier<'a>,
}

/// What the signature is to be verified with.
#[derive(Clone, Copy)]
pub(super) enum Verifier<'a> {
    /// The key of this certificate, in DER.
    Certificate(&'a [u8]),
    /// This key.
    Key(&'a ManagedKey),
}

impl Proposal<'_> {
    /// The canonical body of the entry (RFC 8785: keys sorted, no space), if there is to be one.
    ///
    /// # Panics
    /// If a message is to be recorded as only an envelope can be.
    pub(super) fn body(&self, record: Record) -> Option<Vec<u8>> {
        let spec = match record {
            Record::Nowhere => return None,
            Record::HashedRekordV001 => self.hashed_rekord(),
            Record::DsseV001 => self.dsse(),
            Record::IntotoV001 => self.intoto_v001(),
            Record::IntotoV002 => self.intoto_v002(),
            Record::HashedRekordV002 => self.hashed_rekord_v002(),
        };
        form::body(record, &spec)
    }

    fn hashed_rekord(&self) -> Value {
        let hash = self.verifier.hash();
        let digest = hash.of(&self.content.signed_bytes());
        form::hashed_rekord(hash, &digest, self.signature, &self.verifier.pem())
    }

    fn dsse(&self) -> Value {
        let (envelope, closed) = self.envelope();
        form::dsse(&closed, &envelope.payload, self.signature, &self.verifier.pem())
    }

    fn intoto_v001(&self) -> Value {
        let (envelope, closed) = self.envelope();
        json!({
            "content": {"hash": sha256(&closed), "payloadHash": sha256(&envelope.payload)},
            "publicKey": BASE64.encode(self.verifier.pem()),
        })
    }

    fn intoto_v002(&self) -> Value {
        let (envelope, closed) = self.envelope();
        json!({
            "content": {
                "envelope": {
                    "payloadType": envelope.payload_type,
                    "signatures": [{
                        "publicKey": BASE64.encode(self.verifier.pem()),
                        // The log encodes what was encoded already.
                        "sig": BASE64.encode(BASE64.encode(self.signature)),
                    }],
                },
                "hash": sha256(&closed),
                "payloadHash": sha256(&envelope.payload),
            },
        })
    }

    fn hashed_rekord_v002(&self) -> Value {
        let hash = self.verifier.hash();
        let digest = hash.of(&self.content.signed_bytes());
        form::hashed_rekord_v002(hash, &digest, self.signature, &self.verifier.raw())
    }

    fn envelope(&self) -> (&Envelope, Bytes) {
        match self.content {
            Content::Envelope(envelope) => (envelope, envelope.closed(self.signature)),
            Content::Message(_) => panic!("only an envelope can be recorded like this"),
        }
    }
}

impl Verifier<'_> {
    fn hash(self) -> Hash {
        match self {
            Self::Certificate(_) => Hash::Sha256,
            Self::Key(key) => key.kind().hash(),
        }
    }

    fn pem(self) -> String {
        match self {
            Self::Certificate(certificate) => pem([certificate]),
            Self::Key(key) => key.public_pem(),
        }
    }

    fn raw(self) -> Value {
        match self {
            Self::Certificate(certificate) => json!({
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "x509Certificate": {"rawBytes": BASE64.encode(certificate)},
            }),
            Self::Key(key) => json!({
                "keyDetails": key.kind().details(),
                "publicKey": {"rawBytes": BASE64.encode(key.public_der())},
            }),
        }
    }
}
