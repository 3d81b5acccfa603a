//! Signatures by a key alone: ECDSA over P-256, P-384 and P-521, Ed25519, and RSA of 2048 to 4096 bits.

use std::borrow::Cow;

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::signature::{
    self as algorithms, RsaParameters, RsaPssSaltLength, UnparsedPublicKey, VerificationAlgorithm,
};
use policies::{Flaw, FlawKind, HashAlgorithm, PublicKey};
use sigstore_verify::types::{self, ArtifactDigest};
use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::{Decode as _, Reader as _, SliceReader};
use x509_cert::spki::SubjectPublicKeyInfoRef;

use crate::flaw::flaw;

// From RFC 3279, RFC 5480, RFC 4055 and RFC 8410.
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// How long the modulus of an RSA key may be, in bits. Shorter ones are weak, and longer ones are slow.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

// Some tools make the salt as long as it can be, as Go does by default.
const PSS_SHA256_LONG: RsaParameters =
    algorithms::RSA_PSS_2048_8192_SHA256.with_pss_salt_length(RsaPssSaltLength::Max);
const PSS_SHA384_LONG: RsaParameters =
    algorithms::RSA_PSS_2048_8192_SHA384.with_pss_salt_length(RsaPssSaltLength::Max);
const PSS_SHA512_LONG: RsaParameters =
    algorithms::RSA_PSS_2048_8192_SHA512.with_pss_salt_length(RsaPssSaltLength::Max);

/// What is signed.
pub(crate) enum Message<'a> {
    /// These bytes.
    Bytes(Cow<'a, [u8]>),
    /// The bytes with this digest, which are not at hand.
    Digest(&'a ArtifactDigest),
}

/// What kind of key it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    P256,
    P384,
    P521,
    Ed25519,
    /// Signatures are by PKCS #1 version 1.5 or PSS.
    Rsa,
    /// Signatures are by PSS alone.
    RsaPss,
}

/// Passes where the signature is by this key, over this message hashed as the key says.
///
/// # Errors
/// [`FlawKind::Unsupported`] where such keys are not checked here, or not with that hash, and
/// [`FlawKind::Signature`].
pub(crate) fn verify(key: &PublicKey, message: &Message<'_>, signature: &[u8]) -> Result<(), Flaw> {
    let unusable = |detail: &str| flaw(FlawKind::Unsupported, format_args!("the key of the policy {detail}"));
    let info = SubjectPublicKeyInfoRef::try_from(key.der.as_ref())
        .map_err(|_| unusable("is no SubjectPublicKeyInfo"))?;
    let point = info.subject_public_key.as_bytes().ok_or_else(|| unusable("has unused bits"))?;
    let kind = kind(&info, point).ok_or_else(|| unusable("is of a kind or size that is not checked here"))?;
    let algorithms = algorithms(kind, key.hash);
    if algorithms.is_empty() {
        return Err(unusable(&format!("is not used with {}", key.hash.as_str())));
    }
    let digest = match message {
        Message::Bytes(_) => None,
        Message::Digest(digest) => Some(imported(digest, key.hash, kind)?),
    };
    let signed = algorithms.iter().any(|algorithm| {
        let key = UnparsedPublicKey::new(*algorithm, point);
        match (message, &digest) {
            (Message::Digest(_), Some(digest)) => key.verify_digest(digest, signature).is_ok(),
            (Message::Bytes(bytes), None) => key.verify(bytes, signature).is_ok(),
            (Message::Digest(_), None) | (Message::Bytes(_), Some(_)) => false,
        }
    });
    if signed { Ok(()) } else { Err(flaw(FlawKind::Signature, "not signed with this key")) }
}

/// A digest in place of the message that it is of.
fn imported(of: &ArtifactDigest, hash: HashAlgorithm, kind: Kind) -> Result<Digest, Flaw> {
    let unsupported = |detail: &str| flaw(FlawKind::Unsupported, detail);
    if kind == Kind::Ed25519 {
        return Err(unsupported("Ed25519 signs no digest, and what was signed is not at hand"));
    }
    if (of.algorithm(), hash) != (types::HashAlgorithm::Sha2256, HashAlgorithm::Sha256) {
        return Err(unsupported("what was signed is known by its sha256 alone"));
    }
    Digest::import_less_safe(of.as_bytes(), &digest::SHA256)
        .map_err(|_| unsupported("the signed digest is not as long as a sha256"))
}

fn kind(info: &SubjectPublicKeyInfoRef<'_>, point: &[u8]) -> Option<Kind> {
    let algorithm = &info.algorithm;
    let bare = algorithm.parameters.is_none();
    match algorithm.oid {
        // Compressed points are a second spelling of a key, which logs and the library do not share.
        EC if point.first() == Some(&4) => match algorithm.parameters_oid().ok()? {
            P256 => Some(Kind::P256),
            P384 => Some(Kind::P384),
            P521 => Some(Kind::P521),
            _ => None,
        },
        ED25519 if bare => Some(Kind::Ed25519),
        RSA if algorithm.parameters.is_none_or(|parameters| parameters.is_null()) => {
            RSA_BITS.contains(&rsa_bits(point)?).then_some(Kind::Rsa)
        }
        // Parameters would say which hash and salt it may be used with. No tool is known that writes them.
        RSA_PSS if bare => RSA_BITS.contains(&rsa_bits(point)?).then_some(Kind::RsaPss),
        _ => None,
    }
}

/// How long the modulus of an RSA key is (RFC 8017, A.1.1).
fn rsa_bits(key: &[u8]) -> Option<usize> {
    let mut reader = SliceReader::new(key).ok()?;
    let modulus = reader
        .sequence(|parts| {
            let modulus = UintRef::decode(parts)?;
            UintRef::decode(parts)?;
            Ok(modulus)
        })
        .ok()?;
    reader.finish(()).ok()?;
    let (first, rest) = modulus.as_bytes().split_first()?;
    Some(rest.len() * 8 + (u8::BITS - first.leading_zeros()) as usize)
}

/// The algorithms that a signature may be by: none where such a key is not used with that hash.
fn algorithms(kind: Kind, hash: HashAlgorithm) -> Vec<&'static dyn VerificationAlgorithm> {
    use HashAlgorithm::{Sha224, Sha256, Sha384, Sha512};
    match (kind, hash) {
        (Kind::P256, Sha256) => vec![&algorithms::ECDSA_P256_SHA256_ASN1],
        (Kind::P256, Sha384) => vec![&algorithms::ECDSA_P256_SHA384_ASN1],
        (Kind::P256, Sha512) => vec![&algorithms::ECDSA_P256_SHA512_ASN1],
        (Kind::P384, Sha256) => vec![&algorithms::ECDSA_P384_SHA256_ASN1],
        (Kind::P384, Sha384) => vec![&algorithms::ECDSA_P384_SHA384_ASN1],
        (Kind::P384, Sha512) => vec![&algorithms::ECDSA_P384_SHA512_ASN1],
        (Kind::P521, Sha224) => vec![&algorithms::ECDSA_P521_SHA224_ASN1],
        (Kind::P521, Sha256) => vec![&algorithms::ECDSA_P521_SHA256_ASN1],
        (Kind::P521, Sha384) => vec![&algorithms::ECDSA_P521_SHA384_ASN1],
        (Kind::P521, Sha512) => vec![&algorithms::ECDSA_P521_SHA512_ASN1],
        (Kind::Rsa, Sha256) => vec![
            &algorithms::RSA_PKCS1_2048_8192_SHA256,
            &algorithms::RSA_PSS_2048_8192_SHA256,
            &PSS_SHA256_LONG,
        ],
        (Kind::Rsa, Sha384) => vec![
            &algorithms::RSA_PKCS1_2048_8192_SHA384,
            &algorithms::RSA_PSS_2048_8192_SHA384,
            &PSS_SHA384_LONG,
        ],
        (Kind::Rsa, Sha512) => vec![
            &algorithms::RSA_PKCS1_2048_8192_SHA512,
            &algorithms::RSA_PSS_2048_8192_SHA512,
            &PSS_SHA512_LONG,
        ],
        (Kind::RsaPss, Sha256) => vec![&algorithms::RSA_PSS_2048_8192_SHA256, &PSS_SHA256_LONG],
        (Kind::RsaPss, Sha384) => vec![&algorithms::RSA_PSS_2048_8192_SHA384, &PSS_SHA384_LONG],
        (Kind::RsaPss, Sha512) => vec![&algorithms::RSA_PSS_2048_8192_SHA512, &PSS_SHA512_LONG],
        // The hash is part of Ed25519, so none is chosen.
        (Kind::Ed25519, Sha224 | Sha256 | Sha384 | Sha512) => vec![&algorithms::ED25519],
        (Kind::P256 | Kind::P384 | Kind::Rsa | Kind::RsaPss, Sha224) => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
