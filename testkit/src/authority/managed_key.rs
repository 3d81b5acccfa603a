//! Keys that somebody keeps, and signs with without a certificate.

mod secret;

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::certificates;
use super::hash::Hash;
use super::key::Key;
use secret::Secret;

/// A key pair that policies can name by its public half.
///
/// Keys other than those [made of a seed](Self::seeded) differ with every run.
#[derive(Clone)]
pub struct ManagedKey {
    secret: Arc<Secret>,
    kind: KeyKind,
    public: Arc<[u8]>,
}

/// What kind of key it is, and how it signs.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum KeyKind {
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384,
    /// ECDSA on P-384 with SHA-256, as cosign signs with such a key.
    EcdsaP384Sha256,
    /// ECDSA on P-521 with SHA-512.
    EcdsaP521,
    /// ECDSA on P-521 with SHA-256, as cosign signs with such a key.
    EcdsaP521Sha256,
    /// Ed25519 over the message itself.
    Ed25519,
    /// RSA with PKCS #1 v1.5 padding and SHA-256.
    RsaPkcs1(RsaSize),
    /// RSA with PSS padding and SHA-256.
    RsaPss(RsaSize),
}

/// How long an RSA key is, in bits.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RsaSize {
    /// 2048 bits.
    Bits2048,
    /// 3072 bits.
    Bits3072,
}

impl KeyKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP384Sha256,
        Self::EcdsaP521,
        Self::EcdsaP521Sha256,
        Self::Ed25519,
        Self::RsaPkcs1(RsaSize::Bits2048),
        Self::RsaPkcs1(RsaSize::Bits3072),
        Self::RsaPss(RsaSize::Bits2048),
        Self::RsaPss(RsaSize::Bits3072),
    ];

    /// The hash that it signs, as policies spell it. Ed25519 signs the message itself.
    pub fn hash_algorithm(self) -> &'static str {
        self.hash().as_str()
    }

    pub(super) fn hash(self) -> Hash {
        match self {
            Self::EcdsaP384 => Hash::Sha384,
            Self::EcdsaP521 => Hash::Sha512,
            Self::EcdsaP256
            | Self::EcdsaP384Sha256
            | Self::EcdsaP521Sha256
            | Self::Ed25519
            | Self::RsaPkcs1(_)
            | Self::RsaPss(_) => Hash::Sha256,
        }
    }

    /// How Sigstore's documents name it, which is by the key's own hash.
    pub(super) fn details(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "PKIX_ECDSA_P256_SHA_256",
            Self::EcdsaP384 | Self::EcdsaP384Sha256 => "PKIX_ECDSA_P384_SHA_384",
            Self::EcdsaP521 | Self::EcdsaP521Sha256 => "PKIX_ECDSA_P521_SHA_512",
            Self::Ed25519 => "PKIX_ED25519",
            Self::RsaPkcs1(RsaSize::Bits2048) => "PKIX_RSA_PKCS1V15_2048_SHA256",
            Self::RsaPkcs1(RsaSize::Bits3072) => "PKIX_RSA_PKCS1V15_3072_SHA256",
            Self::RsaPss(RsaSize::Bits2048) => "PKIX_RSA_PSS_2048_SHA256",
            Self::RsaPss(RsaSize::Bits3072) => "PKIX_RSA_PSS_3072_SHA256",
        }
    }
}

impl ManagedKey {
    /// The P-256 key of this seed, whose signatures are the same with every run.
    pub fn seeded(seed: &str) -> Self {
        Self::from(Key::seeded(seed))
    }

    /// The Ed25519 key of this seed, whose signatures are the same with every run.
    pub fn seeded_ed25519(seed: &str) -> Self {
        Self::of(KeyKind::Ed25519, Secret::seeded_ed25519(&Sha256::digest(seed).into()))
    }

    /// A new key of some kind. Of RSA keys this takes some tenths of a second.
    pub fn generate(kind: KeyKind) -> Self {
        Self::of(kind, Secret::generate(kind))
    }

    fn of(kind: KeyKind, secret: Secret) -> Self {
        let public = secret.public().into();
        Self { secret: Arc::new(secret), kind, public }
    }

    /// What kind of key it is.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The public half: DER of a `SubjectPublicKeyInfo`.
    pub fn public_der(&self) -> &[u8] {
        &self.public
    }

    /// The public half in PEM, as policies hold it.
    pub fn public_pem(&self) -> String {
        certificates::armoured("PUBLIC KEY", [&*self.public])
    }

    /// A signature over a message; that of an ECDSA key in DER.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.secret.sign(message)
    }
}

impl From<Key> for ManagedKey {
    fn from(key: Key) -> Self {
        Self::of(KeyKind::EcdsaP256, Secret::Seeded(key))
    }
}

impl fmt::Debug for ManagedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagedKey").field("kind", &self.kind).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};

    use super::*;

    fn algorithm(kind: KeyKind) -> &'static dyn VerificationAlgorithm {
        match kind {
            KeyKind::EcdsaP256 => &signature::ECDSA_P256_SHA256_ASN1,
            KeyKind::EcdsaP384 => &signature::ECDSA_P384_SHA384_ASN1,
            KeyKind::EcdsaP384Sha256 => &signature::ECDSA_P384_SHA256_ASN1,
            KeyKind::EcdsaP521 => &signature::ECDSA_P521_SHA512_ASN1,
            KeyKind::EcdsaP521Sha256 => &signature::ECDSA_P521_SHA256_ASN1,
            KeyKind::Ed25519 => &signature::ED25519,
            KeyKind::RsaPkcs1(_) => &signature::RSA_PKCS1_2048_8192_SHA256,
            KeyKind::RsaPss(_) => &signature::RSA_PSS_2048_8192_SHA256,
        }
    }

    #[test]
    fn every_kind_of_key_signs_as_it_says() {
        for kind in KeyKind::ALL {
            let key = ManagedKey::generate(kind);
            let public = ParsedPublicKey::new(algorithm(kind), key.public_der()).unwrap();
            let signature = key.sign(b"message");
            public.verify_sig(b"message", &signature).unwrap();
            assert!(public.verify_sig(b"another", &signature).is_err(), "{kind:?}");
            assert!(key.public_pem().starts_with("-----BEGIN PUBLIC KEY-----\n"));
        }
    }

    #[test]
    fn a_seed_is_a_key_and_every_other_key_is_new() {
        let keys = [
            ManagedKey::seeded("one"),
            ManagedKey::seeded("one"),
            ManagedKey::seeded("two"),
            ManagedKey::seeded_ed25519("one"),
            ManagedKey::seeded_ed25519("one"),
            ManagedKey::generate(KeyKind::Ed25519),
            ManagedKey::generate(KeyKind::Ed25519),
        ];
        let different: BTreeSet<_> = keys.iter().map(ManagedKey::public_der).collect();
        assert_eq!(different.len(), 5);
    }
}
