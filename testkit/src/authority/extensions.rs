//! The X.509 extensions of Fulcio's certificates.

use der::Encode;
use der::asn1::{Ia5String, OctetString, Utf8StringRef};
use x509_cert::ext::pkix::name::{GeneralName, OtherName};
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::ext::{AsExtension, Extension};

use super::identity::{Identity, ObjectIdentifier, San, fulcio, fulcio_number};
use super::key::{Key, PublicKey};

const TIMESTAMP_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");

/// Whether a reader that does not know the extension must refuse the certificate.
#[derive(Clone, Copy)]
enum Weight {
    Critical,
    Optional,
}

/// What kind of authority a certificate is for.
#[derive(Clone, Copy)]
pub(super) enum Rank {
    /// At the top; certifies itself.
    Root,
    /// Below the root; certifies leaves for code signing, and no other authority.
    Intermediate,
}

/// The extensions of an authority's certificate.
pub(super) fn of_authority(rank: Rank, key: &Key, issuer: &Key) -> Vec<Extension> {
    let path_len_constraint = match rank {
        Rank::Root => None,
        Rank::Intermediate => Some(0),
    };
    let constraints = BasicConstraints { ca: true, path_len_constraint };
    let usage = KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign);
    let mut extensions = vec![
        extension(&usage, Weight::Critical),
        extension(&constraints, Weight::Critical),
        extension(&SubjectKeyIdentifier(octets(key.public().identifier())), Weight::Optional),
        extension(&authority_key(issuer), Weight::Optional),
    ];
    match rank {
        Rank::Root => {}
        Rank::Intermediate => extensions.push(extension(&code_signing(), Weight::Optional)),
    }
    extensions
}

/// The extensions of a signer's certificate, all but the timestamps.
pub(super) fn of_leaf(identity: &Identity, key: &PublicKey, issuer: &Key) -> Vec<Extension> {
    let usage = KeyUsage(KeyUsages::DigitalSignature.into());
    let subject = SubjectAltName(vec![general_name(&identity.subject)]);
    let mut extensions = vec![
        extension(&usage, Weight::Critical),
        extension(&code_signing(), Weight::Optional),
        extension(&SubjectKeyIdentifier(octets(key.identifier())), Weight::Optional),
        extension(&authority_key(issuer), Weight::Optional),
        extension(&subject, Weight::Critical),
        claim(&fulcio(1), &identity.issuer),
        claim(&fulcio(8), &identity.issuer),
    ];
    extensions.extend(identity.claims.iter().map(|(id, value)| claim(id, value)));
    extensions
}

/// The extensions of a timestamp authority's certificate, as RFC 3161 §2.3 wants them.
pub(super) fn of_timestamper(key: &Key, issuer: &Key) -> Vec<Extension> {
    let usage = KeyUsage(KeyUsages::DigitalSignature.into());
    let purpose = ExtendedKeyUsage(vec![const_oid::db::rfc5280::ID_KP_TIME_STAMPING]);
    vec![
        extension(&usage, Weight::Critical),
        extension(&purpose, Weight::Critical),
        extension(&SubjectKeyIdentifier(octets(key.public().identifier())), Weight::Optional),
        extension(&authority_key(issuer), Weight::Optional),
    ]
}

/// The timestamps of a certificate log: octets within octets, as RFC 6962 §3.3 wants.
pub(super) fn timestamps(list: Vec<u8>) -> Extension {
    raw(TIMESTAMP_LIST, Weight::Optional, encoded(&octets(list)))
}

/// The DER encoding of something that was made here.
#[expect(clippy::expect_used, reason = "only over-long values do not encode, and none here has 256 MiB")]
pub(super) fn encoded(value: &impl Encode) -> Vec<u8> {
    value.to_der().expect("the value encodes")
}

fn extension<E: AsExtension + Encode>(value: &E, weight: Weight) -> Extension {
    raw(E::OID, weight, encoded(value))
}

fn raw(extn_id: ObjectIdentifier, weight: Weight, value: Vec<u8>) -> Extension {
    Extension {
        extn_id,
        critical: match weight {
            Weight::Critical => true,
            Weight::Optional => false,
        },
        extn_value: octets(value),
    }
}

/// The first six of Fulcio's extensions hold bare text, which is not DER; the later ones hold a string.
fn claim(identifier: &ObjectIdentifier, value: &str) -> Extension {
    let value = match fulcio_number(identifier) {
        Some(1..=6) => value.as_bytes().to_vec(),
        Some(_) | None => utf8(value),
    };
    raw(*identifier, Weight::Optional, value)
}

fn code_signing() -> ExtendedKeyUsage {
    ExtendedKeyUsage(vec![const_oid::db::rfc5280::ID_KP_CODE_SIGNING])
}

fn authority_key(issuer: &Key) -> AuthorityKeyIdentifier {
    AuthorityKeyIdentifier {
        key_identifier: Some(octets(issuer.public().identifier())),
        authority_cert_issuer: None,
        authority_cert_serial_number: None,
    }
}

#[expect(clippy::expect_used, reason = "the encoding was made one line before")]
fn general_name(name: &San) -> GeneralName {
    match name {
        San::Uri(uri) => GeneralName::UniformResourceIdentifier(ascii(uri)),
        San::Email(address) => GeneralName::Rfc822Name(ascii(address)),
        San::Dns(host) => GeneralName::DnsName(ascii(host)),
        San::OtherName(name) => GeneralName::OtherName(OtherName {
            type_id: fulcio(7),
            value: der::Decode::from_der(&utf8(name)).expect("our own encoding decodes"),
        }),
    }
}

#[expect(clippy::expect_used, reason = "`San` documents the limit, and a test that breaks it is wrong")]
fn ascii(text: &str) -> Ia5String {
    Ia5String::new(text).expect("the name is ASCII")
}

#[expect(clippy::expect_used, reason = "only the length could be refused, at 256 MiB")]
fn utf8(text: &str) -> Vec<u8> {
    encoded(&Utf8StringRef::new(text).expect("the text is short enough"))
}

#[expect(clippy::expect_used, reason = "only the length could be refused, at 256 MiB")]
pub(super) fn octets(bytes: Vec<u8>) -> OctetString {
    OctetString::new(bytes).expect("the value is short enough")
}
