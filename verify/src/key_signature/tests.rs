use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair as _, RSA_PSS_SHA256, RsaKeyPair, RsaSignatureEncoding};
use oci::Digest as OciDigest;
use x509_cert::der::Encode as _;
use x509_cert::der::asn1::{Any, BitString};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use super::*;

fn public(der: &[u8], hash: HashAlgorithm) -> PublicKey {
    PublicKey { der: der.into(), hash }
}

fn found(key: &PublicKey, message: &Message<'_>, signature: &[u8]) -> Option<FlawKind> {
    verify(key, message, signature).map_err(|flaw| flaw.kind).err()
}

fn spki(oid: ObjectIdentifier, parameters: Option<Any>, key: &[u8]) -> PublicKey {
    let algorithm = AlgorithmIdentifierOwned { oid, parameters };
    let info =
        SubjectPublicKeyInfoOwned { algorithm, subject_public_key: BitString::from_bytes(key).unwrap() };
    public(&info.to_der().unwrap(), HashAlgorithm::Sha256)
}

/// An RSA key of some length. Nobody has its other half.
fn rsa(oid: ObjectIdentifier, parameters: Option<Any>, bits: usize) -> PublicKey {
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    modulus[0] >>= modulus.len() * 8 - bits;
    let parts = [UintRef::new(&modulus).unwrap().to_der().unwrap(), vec![2, 3, 1, 0, 1]].concat();
    let length = u16::try_from(parts.len()).unwrap().to_be_bytes();
    spki(oid, parameters, &[&[0x30, 0x82, length[0], length[1]][..], &parts].concat())
}

#[test]
fn rsa_keys_are_neither_weak_nor_slow() {
    let signature = |key: &PublicKey| found(key, &Message::Bytes(b"message".into()), &[0; 256]);
    for (bits, known) in
        [(1024, false), (2047, false), (2048, true), (4096, true), (4097, false), (8192, false)]
    {
        let expected = if known { FlawKind::Signature } else { FlawKind::Unsupported };
        for key in [rsa(RSA, Some(Any::null()), bits), rsa(RSA, None, bits), rsa(RSA_PSS, None, bits)] {
            assert_eq!(signature(&key), Some(expected), "{bits}");
        }
    }
    assert_eq!(signature(&rsa(RSA_PSS, Some(Any::null()), 2048)), Some(FlawKind::Unsupported));
    assert_eq!(signature(&spki(RSA, None, &[0x30, 3, 2, 1, 1])), Some(FlawKind::Unsupported));
}

#[test]
fn keys_of_other_kinds_or_in_other_spellings_are_not_checked() {
    let curve = |oid: &str| Some(Any::encode_from(&ObjectIdentifier::new(oid).unwrap()).unwrap());
    let (p256, secp256k1) = (|| curve("1.2.840.10045.3.1.7"), "1.3.132.0.10");
    let point = |first: u8| [&[first][..], &[1; 64]].concat();
    let signature = |key: &PublicKey| found(key, &Message::Bytes(b"message".into()), b"signature");
    assert_eq!(signature(&spki(EC, p256(), &point(4))), Some(FlawKind::Signature));
    for key in [
        spki(EC, p256(), &point(2)[..33]),
        spki(EC, p256(), &[]),
        spki(EC, None, &point(4)),
        spki(EC, curve(secp256k1), &point(4)),
        spki(ED25519, p256(), &[1; 32]),
        spki(ObjectIdentifier::new_unwrap("1.3.101.113"), None, &[1; 57]),
        public(b"", HashAlgorithm::Sha256),
    ] {
        assert_eq!(signature(&key), Some(FlawKind::Unsupported), "{key:?}");
    }
}

#[test]
fn what_is_signed_is_hashed_as_the_policy_says() {
    let secret = EcdsaKeyPair::generate(&algorithms::ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let signature = secret.sign(&SystemRandom::new(), b"message").unwrap();
    let der: PublicKeyX509Der<'_> = secret.public_key().as_der().unwrap();
    let by = |hash, message: &Message<'_>| found(&public(der.as_ref(), hash), message, signature.as_ref());
    let bytes = || Message::Bytes(b"message".into());
    assert_eq!(by(HashAlgorithm::Sha256, &bytes()), None);
    assert_eq!(by(HashAlgorithm::Sha384, &bytes()), Some(FlawKind::Signature));
    assert_eq!(by(HashAlgorithm::Sha224, &bytes()), Some(FlawKind::Unsupported));
    let digest = |bytes: &[u8]| {
        let hash = <[u8; 32]>::try_from(OciDigest::of(bytes).hash()).unwrap();
        ArtifactDigest::sha256(types::Sha256Hash::new(hash))
    };
    let (same, other) = (digest(b"message"), digest(b"another"));
    assert_eq!(by(HashAlgorithm::Sha256, &Message::Digest(&same)), None);
    assert_eq!(by(HashAlgorithm::Sha256, &Message::Digest(&other)), Some(FlawKind::Signature));
    // Nothing is known of the message but a hash that was not signed.
    assert_eq!(by(HashAlgorithm::Sha384, &Message::Digest(&same)), Some(FlawKind::Unsupported));
}

#[test]
fn a_salt_is_as_long_as_the_hash_or_as_long_as_can_be() {
    static LONG: RsaSignatureEncoding = RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Max);
    static OTHER: RsaSignatureEncoding = RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Custom(7));
    let secret = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: PublicKeyX509Der<'_> = secret.public_key().as_der().unwrap();
    let signed = |encoding: &'static RsaSignatureEncoding| {
        let mut signature = vec![0; secret.public_modulus_len()];
        secret.sign(encoding, &SystemRandom::new(), b"message", &mut signature).unwrap();
        let key = public(der.as_ref(), HashAlgorithm::Sha256);
        found(&key, &Message::Bytes(b"message".into()), &signature)
    };
    assert_eq!(signed(&RSA_PSS_SHA256), None);
    assert_eq!(signed(&LONG), None);
    assert_eq!(signed(&OTHER), Some(FlawKind::Signature));
}
