//! A timestamp authority ([RFC 3161](https://www.rfc-editor.org/rfc/rfc3161)): what was when, in signed CMS.

use std::time::Duration;

use cms::cert::IssuerAndSerialNumber;
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos};
use const_oid::ObjectIdentifier;
use der::asn1::{GeneralizedTime, Int, OctetString, SetOfVec};
use der::{Any, Decode, EncodeValue, Sequence, Tagged};
use sha2::{Digest, Sha256};
use spki::AlgorithmIdentifierOwned;
use x509_cert::attr::Attribute;
use x509_cert::certificate::TbsCertificate;

use super::START;
use super::certificates::{AUTHORITY_LIFETIME, algorithm, content, name, signed, validity};
use super::extensions::{self, Rank, encoded, octets};
use super::key::Key;

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TIMESTAMP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
/// The policy under which Sigstore's own authority works.
const POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.2");

const ROOT_NAME: &str = "O=testkit,CN=testkit-tsa-root";
const LEAF_NAME: &str = "O=testkit,CN=testkit-tsa";

/// An authority that says of anything that it existed at the time it is told.
#[derive(Debug)]
pub(super) struct TimestampAuthority {
    key: Key,
    certificate: Vec<u8>,
    root_certificate: Vec<u8>,
    signer: SignerIdentifier,
}

/// What is signed: `TSTInfo` of RFC 3161 §2.4.2, without its other optional parts.
#[derive(Sequence)]
struct Statement {
    version: u8,
    policy: ObjectIdentifier,
    imprint: Imprint,
    serial_number: u64,
    time: GeneralizedTime,
    #[asn1(optional = "true")]
    nonce: Option<Int>,
}

/// A question: `TimeStampReq` of RFC 3161 §2.4.1. One with extensions is not read.
#[derive(Sequence)]
struct Query {
    version: u8,
    imprint: Imprint,
    #[asn1(optional = "true")]
    policy: Option<ObjectIdentifier>,
    #[asn1(optional = "true")]
    nonce: Option<Int>,
    #[asn1(default = "Default::default")]
    wants_certificates: bool,
}

#[derive(Sequence)]
struct Imprint {
    algorithm: AlgorithmIdentifierOwned,
    hash: OctetString,
}

/// `TimeStampResp` of RFC 3161 §2.4.2.
#[derive(Sequence)]
struct Response {
    status: Status,
    token: ContentInfo,
}

#[derive(Sequence)]
struct Status {
    /// Nought: granted.
    status: u8,
}

impl TimestampAuthority {
    pub(super) fn new(seed: &str) -> Self {
        let root = Key::seeded(&format!("{seed}/tsa-root"));
        let key = Key::seeded(&format!("{seed}/tsa"));
        let validity = validity(START, AUTHORITY_LIFETIME);
        let root_content = TbsCertificate {
            subject: name(ROOT_NAME),
            extensions: Some(extensions::of_authority(Rank::Root, &root, &root)),
            ..content(ROOT_NAME, root.public(), validity)
        };
        let leaf_content = TbsCertificate {
            subject: name(LEAF_NAME),
            extensions: Some(extensions::of_timestamper(&key, &root)),
            ..content(ROOT_NAME, key.public(), validity)
        };
        Self {
            signer: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
                issuer: leaf_content.issuer.clone(),
                serial_number: leaf_content.serial_number.clone(),
            }),
            root_certificate: signed(root_content, &root),
            certificate: signed(leaf_content, &root),
            key,
        }
    }

    /// The authority's own certificate and the root, in this order, in DER.
    pub(super) fn chain(&self) -> [&[u8]; 2] {
        [&self.certificate, &self.root_certificate]
    }

    /// The answer of the authority to the question when these bytes were there: at a time in seconds since 1970.
    pub(super) fn stamp(&self, bytes: &[u8], seconds: u64) -> Vec<u8> {
        self.stamp_hash(Sha256::digest(bytes).to_vec(), None, seconds)
    }

    /// The answer to a question in DER; nothing, where it is not about a SHA-256 or wants what is not given here:
    /// another policy, or the certificates along with the answer.
    pub(super) fn answer(&self, query: &[u8], seconds: u64) -> Option<Vec<u8>> {
        let query = Query::from_der(query).ok()?;
        let hash = query.imprint.hash.into_bytes();
        let plain = query.version == 1 && query.policy.is_none() && !query.wants_certificates;
        let known = query.imprint.algorithm.oid == sha256().oid && hash.len() == 32;
        (plain && known).then(|| self.stamp_hash(hash, query.nonce, seconds))
    }

    #[expect(clippy::expect_used, reason = "what is stamped lies between 2026 and 2050")]
    fn stamp_hash(&self, hash: Vec<u8>, nonce: Option<Int>, seconds: u64) -> Vec<u8> {
        let serial_number = hash.iter().take(7).fold(0, |number, byte| number << 8 | u64::from(*byte));
        let time = GeneralizedTime::from_unix_duration(Duration::from_secs(seconds)).expect("a year");
        let imprint = Imprint { algorithm: sha256(), hash: octets(hash) };
        let statement = Statement { version: 1, policy: POLICY, imprint, serial_number, time, nonce };
        let statement = encoded(&statement);
        let signed_data = SignedData {
            version: CmsVersion::V3,
            digest_algorithms: set(vec![sha256()]),
            signer_infos: SignerInfos(set(vec![self.signer_info(&statement)])),
            encap_content_info: EncapsulatedContentInfo {
                econtent_type: TIMESTAMP,
                econtent: Some(any(&octets(statement))),
            },
            certificates: None,
            crls: None,
        };
        let token = ContentInfo { content_type: SIGNED_DATA, content: any(&signed_data) };
        encoded(&Response { status: Status { status: 0 }, token })
    }

    fn signer_info(&self, statement: &[u8]) -> SignerInfo {
        let digest = octets(Sha256::digest(statement).to_vec());
        let attributes = set(vec![attribute(CONTENT_TYPE, &TIMESTAMP), attribute(MESSAGE_DIGEST, &digest)]);
        SignerInfo {
            version: CmsVersion::V1,
            sid: self.signer.clone(),
            digest_alg: sha256(),
            signature_algorithm: algorithm(),
            // The set is signed under its own tag, not under the one that it has in the structure (RFC 5652 §5.4).
            signature: octets(self.key.sign(&encoded(&attributes))),
            signed_attrs: Some(attributes),
            unsigned_attrs: None,
        }
    }
}

fn sha256() -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid: const_oid::db::rfc5912::ID_SHA_256, parameters: None }
}

fn attribute<T: EncodeValue + Tagged>(oid: ObjectIdentifier, value: &T) -> Attribute {
    Attribute { oid, values: set(vec![any(value)]) }
}

#[expect(clippy::expect_used, reason = "our own encoding decodes")]
fn any<T: EncodeValue + Tagged>(value: &T) -> Any {
    Any::encode_from(value).expect("a value of some tag")
}

#[expect(clippy::expect_used, reason = "the elements of a set here are not the same")]
fn set<T: der::DerOrd>(elements: Vec<T>) -> SetOfVec<T> {
    SetOfVec::try_from(elements).expect("a set")
}
