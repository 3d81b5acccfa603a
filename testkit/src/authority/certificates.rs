//! A certificate authority as Fulcio is one: a root, an intermediate below it, and leaves for ten minutes.

use std::str::FromStr;
use std::time::Duration;

use der::asn1::{BitString, UtcTime};
use pem::{EncodeConfig, LineEnding, Pem};
use sha2::{Digest, Sha256};
use spki::AlgorithmIdentifierOwned;
use x509_cert::Certificate;
use x509_cert::certificate::{TbsCertificate, Version};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::{Time, Validity};

use super::START;
use super::extensions::{self, Rank, encoded};
use super::identity::{Identity, ObjectIdentifier};
use super::key::{Key, PublicKey};
use super::sct::{self, CertificateLog, Precertificate};

/// How long a leaf is valid, in seconds.
pub(super) const LEAF_LIFETIME: u64 = 600;
/// How long the authorities are valid, in seconds: ten years.
pub(super) const AUTHORITY_LIFETIME: u64 = 10 * 365 * 86_400;

const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
/// The names are the same for every seed: a verifier that goes by names and not by keys is to be caught.
const ROOT_NAME: &str = "O=testkit,CN=testkit-root";
const INTERMEDIATE_NAME: &str = "O=testkit,CN=testkit-intermediate";

/// A root, and an intermediate that issues.
#[derive(Debug)]
pub(super) struct CertificateAuthority {
    intermediate: Key,
    root_certificate: Vec<u8>,
    intermediate_certificate: Vec<u8>,
}

impl CertificateAuthority {
    pub(super) fn new(seed: &str) -> Self {
        let root = Key::seeded(&format!("{seed}/root"));
        let intermediate = Key::seeded(&format!("{seed}/intermediate"));
        let validity = validity(START, AUTHORITY_LIFETIME);
        let root_content = TbsCertificate {
            subject: name(ROOT_NAME),
            extensions: Some(extensions::of_authority(Rank::Root, &root, &root)),
            ..content(ROOT_NAME, root.public(), validity)
        };
        let intermediate_content = TbsCertificate {
            subject: name(INTERMEDIATE_NAME),
            extensions: Some(extensions::of_authority(Rank::Intermediate, &intermediate, &root)),
            ..content(ROOT_NAME, intermediate.public(), validity)
        };
        Self {
            root_certificate: signed(root_content, &root),
            intermediate_certificate: signed(intermediate_content, &root),
            intermediate,
        }
    }

    /// The intermediate and the root, in this order, in DER.
    pub(super) fn chain(&self) -> [&[u8]; 2] {
        [&self.intermediate_certificate, &self.root_certificate]
    }

    /// A certificate for a signer in DER, valid from a time in seconds since 1970, with a timestamp of each
    /// of these logs.
    pub(super) fn issue(
        &self,
        key: &PublicKey,
        identity: &Identity,
        issued: u64,
        logs: &[&CertificateLog],
    ) -> Vec<u8> {
        let mut leaf = TbsCertificate {
            extensions: Some(extensions::of_leaf(identity, key, &self.intermediate)),
            ..content(INTERMEDIATE_NAME, key, validity(issued, LEAF_LIFETIME))
        };
        if !logs.is_empty() {
            let precertificate =
                Precertificate { issuer_key_hash: self.intermediate.log_id(), tbs: &encoded(&leaf) };
            let list = sct::timestamps(logs, &precertificate, issued * 1000);
            // It goes last: the log signed the certificate without it and in the same order otherwise.
            leaf.extensions.get_or_insert_default().push(extensions::timestamps(list));
        }
        signed(leaf, &self.intermediate)
    }
}

/// Certificates as PEM with Unix line ends, one after the other.
pub(super) fn pem<'a>(certificates: impl IntoIterator<Item = &'a [u8]>) -> String {
    armoured("CERTIFICATE", certificates)
}

/// Documents of one kind as PEM with Unix line ends, one after the other.
pub(super) fn armoured<'a>(kind: &str, documents: impl IntoIterator<Item = &'a [u8]>) -> String {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    documents.into_iter().map(|document| pem::encode_config(&Pem::new(kind, document), config)).collect()
}

/// The parts that all certificates share; the subject is empty, as it is in a leaf.
pub(super) fn content(issuer: &str, key: &PublicKey, validity: Validity) -> TbsCertificate {
    TbsCertificate {
        version: Version::V3,
        serial_number: serial_number(key),
        signature: algorithm(),
        issuer: name(issuer),
        validity,
        subject: Name::default(),
        subject_public_key_info: key.public_key_info(),
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: None,
    }
}

#[expect(clippy::expect_used, reason = "a signature of 72 bytes is a bit string")]
pub(super) fn signed(content: TbsCertificate, key: &Key) -> Vec<u8> {
    let signature = key.sign(&encoded(&content));
    encoded(&Certificate {
        tbs_certificate: content,
        signature_algorithm: algorithm(),
        signature: BitString::from_bytes(&signature).expect("a signature is short"),
    })
}

pub(super) fn algorithm() -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid: ECDSA_WITH_SHA256, parameters: None }
}

#[expect(clippy::expect_used, reason = "the names are constants of this file")]
pub(super) fn name(text: &str) -> Name {
    Name::from_str(text).expect("the name is well-formed")
}

/// A number that is positive and of one length, made of the key, as no two certificates share one.
#[expect(clippy::expect_used, reason = "sixteen bytes are within the twenty that are allowed")]
fn serial_number(key: &PublicKey) -> SerialNumber {
    let mut bytes = Sha256::digest(key.spki());
    bytes[0] = bytes[0] & 0x3f | 0x40;
    SerialNumber::new(&bytes[..16]).expect("the number is short")
}

pub(super) fn validity(start: u64, seconds: u64) -> Validity {
    Validity { not_before: time(start), not_after: time(start + seconds) }
}

#[expect(clippy::expect_used, reason = "what is minted begins in 2026 and ends before 2050")]
fn time(seconds: u64) -> Time {
    let since_1970 = Duration::from_secs(seconds);
    Time::UtcTime(UtcTime::from_unix_duration(since_1970).expect("the year is below 2050"))
}
