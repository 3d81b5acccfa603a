//! P-256 keys made of a seed.

use std::fmt;

use p256::ecdsa::signature::Signer;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{DerSignature, Signature, SigningKey, VerifyingKey};
use p256::pkcs8::{DecodePublicKey, EncodePublicKey};
use sha1::Digest as _;
use sha2::Sha256;
use spki::SubjectPublicKeyInfoOwned;
use spki::der::Decode;

/// A key pair whose secret is the hash of a text, and which therefore is no secret.
pub(super) struct Key {
    secret: SigningKey,
    public: PublicKey,
}

/// The public half of a key on P-256, whoever has the other half.
#[derive(Clone)]
pub(crate) struct PublicKey {
    verifier: VerifyingKey,
    spki: Vec<u8>,
}

impl Key {
    #[expect(
        clippy::expect_used,
        reason = "a hash is a scalar of the curve but for one text in 2^32, and any other seed will do"
    )]
    pub(super) fn seeded(seed: &str) -> Self {
        let secret = SigningKey::from_slice(&Sha256::digest(seed)).expect("the seed makes a key");
        let public = PublicKey::of(*secret.verifying_key());
        Self { public, secret }
    }

    pub(super) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// An ECDSA signature with SHA-256, in DER.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: DerSignature = self.secret.sign(message);
        signature.as_bytes().to_vec()
    }

    /// The public key as `SubjectPublicKeyInfo`, in DER.
    pub(super) fn spki(&self) -> &[u8] {
        self.public.spki()
    }

    /// How both kinds of log name a key: the SHA-256 of its `SubjectPublicKeyInfo`.
    pub(super) fn log_id(&self) -> [u8; 32] {
        Sha256::digest(self.spki()).into()
    }
}

impl PublicKey {
    #[expect(clippy::expect_used, reason = "every point of the curve has an encoding")]
    fn of(verifier: VerifyingKey) -> Self {
        let spki = verifier.to_public_key_der().expect("a point encodes").into_vec();
        Self { verifier, spki }
    }

    /// Reads a `SubjectPublicKeyInfo` in DER; nothing, where it is not of a key on P-256.
    pub(crate) fn from_der(spki: &[u8]) -> Option<Self> {
        VerifyingKey::from_public_key_der(spki).ok().map(Self::of)
    }

    /// Whether this key made an ECDSA signature, in DER, over something with this SHA-256.
    pub(crate) fn signed(&self, digest: &[u8; 32], signature: &[u8]) -> bool {
        DerSignature::from_bytes(signature)
            .and_then(Signature::try_from)
            .and_then(|signature| self.verifier.verify_prehash(digest, &signature))
            .is_ok()
    }

    /// The key as `SubjectPublicKeyInfo`, in DER.
    pub(super) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The key as certificates hold it.
    #[expect(clippy::expect_used, reason = "these bytes were encoded by this type")]
    pub(super) fn public_key_info(&self) -> SubjectPublicKeyInfoOwned {
        SubjectPublicKeyInfoOwned::from_der(&self.spki).expect("our own encoding decodes")
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
