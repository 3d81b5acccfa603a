//! Sigstore bundles.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use oci::Digest;
use serde_json::{Value, json};

use super::hash::Hash;
use super::minted::{Credential, Minted};
use super::recipe::Content;
use super::rekor::Entry;

/// The versions of [bundles](https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum BundleVersion {
    /// 0.1, whose log entries must have a promise.
    V01,
    /// 0.2, whose log entries must have a proof.
    V02,
    /// 0.3, which also holds a single certificate instead of a chain.
    V03,
}

impl BundleVersion {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::V01, Self::V02, Self::V03];

    /// How a bundle of this version says what it is, and how a layer that holds one does.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::V01 => "application/vnd.dev.sigstore.bundle+json;version=0.1",
            Self::V02 => "application/vnd.dev.sigstore.bundle+json;version=0.2",
            Self::V03 => "application/vnd.dev.sigstore.bundle.v0.3+json",
        }
    }
}

impl Minted<'_> {
    /// The signature as a Sigstore bundle. Tests that want it broken in other ways than by an
    /// [`Attack`](super::Attack) edit the document; to relabel it, its `mediaType`.
    pub fn bundle(&self, version: BundleVersion) -> Value {
        let entries: Vec<_> = self.entry.iter().map(Entry::written).collect();
        let (field, credential) = self.credential.written(version);
        let mut material = json!({field: credential, "tlogEntries": entries});
        if let Some(stamps) = &self.stamps {
            let stamp = json!({"signedTimestamp": BASE64.encode(&stamps.of_signature)});
            material["timestampVerificationData"] = json!({"rfc3161Timestamps": [stamp]});
        }
        let (field, content) = self.written();
        json!({"mediaType": version.media_type(), "verificationMaterial": material, field: content})
    }

    fn written(&self) -> (&'static str, Value) {
        let signature = BASE64.encode(&self.signature);
        match &self.content {
            Content::Message(message) => {
                let hash = self.credential.hash();
                let digest = BASE64.encode(hash.of(message));
                let digest = json!({"algorithm": hash.bundle_name(), "digest": digest});
                ("messageSignature", json!({"messageDigest": digest, "signature": signature}))
            }
            Content::Envelope(envelope) => {
                let envelope = json!({
                    "payload": BASE64.encode(&envelope.payload),
                    "payloadType": envelope.payload_type,
                    "signatures": [{"sig": signature}],
                });
                ("dsseEnvelope", envelope)
            }
        }
    }
}

impl Credential {
    fn hash(&self) -> Hash {
        match self {
            Self::Certificate { .. } => Hash::Sha256,
            Self::Key(key) => key.kind().hash(),
        }
    }

    fn written(&self, version: BundleVersion) -> (&'static str, Value) {
        match (self, version) {
            (Self::Key(key), _) => {
                let hint = BASE64.encode(Digest::of(key.public_der()).hash());
                ("publicKey", json!({"hint": hint}))
            }
            (Self::Certificate { leaf, .. }, BundleVersion::V03) => {
                ("certificate", json!({"rawBytes": BASE64.encode(leaf)}))
            }
            (Self::Certificate { leaf, .. }, BundleVersion::V01 | BundleVersion::V02) => {
                ("x509CertificateChain", json!({"certificates": [{"rawBytes": BASE64.encode(leaf)}]}))
            }
        }
    }
}
