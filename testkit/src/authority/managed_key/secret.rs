//! The secret half of a managed key.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair};
use p384::ecdsa::signature::hazmat::PrehashSigner;
use p384::pkcs8::{DecodePrivateKey, EncodePublicKey};

use super::{KeyKind, RsaSize};
use crate::authority::hash::Hash;
use crate::authority::key::Key;

pub(super) enum Secret {
    Seeded(Key),
    Ecdsa(EcdsaKeyPair),
    /// With SHA-256, which aws-lc-rs does not sign with on this curve.
    P384Sha256(p384::ecdsa::SigningKey),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
}

#[expect(clippy::expect_used, reason = "keys that the libraries made themselves encode and sign")]
impl Secret {
    pub(super) fn generate(kind: KeyKind) -> Self {
        let ecdsa = |algorithm| EcdsaKeyPair::generate(algorithm).expect("a key");
        let rsa = |size: RsaSize| RsaKeyPair::generate(size.into()).expect("a key");
        match kind {
            KeyKind::EcdsaP256 => Self::Ecdsa(ecdsa(&signature::ECDSA_P256_SHA256_ASN1_SIGNING)),
            KeyKind::EcdsaP384 => Self::Ecdsa(ecdsa(&signature::ECDSA_P384_SHA384_ASN1_SIGNING)),
            KeyKind::EcdsaP384Sha256 => {
                let key = ecdsa(&signature::ECDSA_P384_SHA384_ASN1_SIGNING);
                let document = key.to_pkcs8v1().expect("it encodes");
                let key = p384::SecretKey::from_pkcs8_der(document.as_ref()).expect("it decodes");
                Self::P384Sha256(key.into())
            }
            KeyKind::EcdsaP521 => Self::Ecdsa(ecdsa(&signature::ECDSA_P521_SHA512_ASN1_SIGNING)),
            KeyKind::EcdsaP521Sha256 => Self::Ecdsa(ecdsa(&signature::ECDSA_P521_SHA256_ASN1_SIGNING)),
            KeyKind::Ed25519 => Self::Ed25519(Ed25519KeyPair::generate().expect("a key")),
            KeyKind::RsaPkcs1(size) => Self::Rsa(rsa(size), &signature::RSA_PKCS1_SHA256),
            KeyKind::RsaPss(size) => Self::Rsa(rsa(size), &signature::RSA_PSS_SHA256),
        }
    }

    pub(super) fn seeded_ed25519(seed: &[u8; 32]) -> Self {
        Self::Ed25519(Ed25519KeyPair::from_seed_unchecked(seed).expect("every 32 bytes are a seed"))
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Seeded(key) => key.sign(message),
            Self::Ecdsa(key) => key.sign(&random, message).expect("it signs").as_ref().to_vec(),
            Self::P384Sha256(key) => {
                let signature: p384::ecdsa::DerSignature =
                    key.sign_prehash(&Hash::Sha256.of(message)).expect("it signs");
                signature.as_bytes().to_vec()
            }
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Self::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(*encoding, &random, message, &mut signature).expect("it signs");
                signature
            }
        }
    }

    /// DER of a `SubjectPublicKeyInfo`.
    pub(super) fn public(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Seeded(key) => return key.spki().to_vec(),
            Self::P384Sha256(key) => {
                return key.verifying_key().to_public_key_der().expect("it encodes").into_vec();
            }
            Self::Ecdsa(key) => key.public_key().as_der().expect("it encodes"),
            Self::Ed25519(key) => key.public_key().as_der().expect("it encodes"),
            Self::Rsa(key, _) => key.public_key().as_der().expect("it encodes"),
        };
        der.as_ref().to_vec()
    }
}

impl From<RsaSize> for KeySize {
    fn from(size: RsaSize) -> Self {
        match size {
            RsaSize::Bits2048 => Self::Rsa2048,
            RsaSize::Bits3072 => Self::Rsa3072,
        }
    }
}
