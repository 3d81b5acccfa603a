//! P-256 keys made of a seed.

use std::fmt;

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::EncodePublicKey;
use sha1::Digest as _;
use sha2::Sha256;
use spki::SubjectPublicKeyInfoOwned;
use spki::der::Decode;

/// A key pair whose secret is the hash of a text, and which therefore is no secret.
pub(super) struct Key {
    secret: SigningKey,
    spki: Vec<u8>,
}

impl Key {
    #[expect(
        clippy::expect_used,
        reason = "a hash is a scalar of the curve but for one text in 2^32, and any other seed will do"
    )]
    pub(super) fn seeded(seed: &str) -> Self {
        let secret = SigningKey::from_slice(&Sha256::digest(seed)).expect("the seed makes a key");
        let public = secret.verifying_key().to_public_key_der().expect("a point encodes");
        Self { spki: public.into_vec(), secret }
    }

    /// An ECDSA signature with SHA-256, in DER.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: DerSignature = self.secret.sign(message);
        signature.as_bytes().to_vec()
    }

    /// The public key as `SubjectPublicKeyInfo`, in DER.
    pub(super) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The public key as certificates hold it.
    #[expect(clippy::expect_used, reason = "these bytes were encoded by this type")]
    pub(super) fn public_key_info(&self) -> SubjectPublicKeyInfoOwned {
        SubjectPublicKeyInfoOwned::from_der(&self.spki).expect("our own encoding decodes")
    }

    /// How both kinds of log name a key: the SHA-256 of its `SubjectPublicKeyInfo`.
    pub(super) fn log_id(&self) -> [u8; 32] {
        Sha256::digest(&self.spki).into()
    }

    /// How certificates name a key: the SHA-1 of its bits, method 1 of RFC 5280 §4.2.1.2.
    pub(super) fn identifier(&self) -> Vec<u8> {
        let info = self.public_key_info();
        sha1::Sha1::digest(info.subject_public_key.raw_bytes()).to_vec()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &hex::encode(self.log_id())).finish()
    }
}
