//! A layer of cosign's tag scheme, put together as the library reads one: a Sigstore bundle of version 0.1.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::Digest;
use policies::{Flaw, FlawKind};
use serde_json::Value;
use sigstore_verify::types::bundle::VerificationMaterial;
use sigstore_verify::types::{
    Bundle, DigestBytes, HashAlgorithm, MediaType, MessageDigest, MessageSignature, PublicKeyIdentifier,
    Rfc3161Timestamp, SignatureBytes, SignatureContent, TimestampToken, TimestampVerificationData,
    VerificationMaterialContent, X509Certificate,
};

use crate::envelope::Envelope;
use crate::flaw::flaw;
use crate::{certificate, timestamps, unique_json};

// Names of the annotations, from cosign's specification of signatures.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";

/// What is to vouch for the signer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Under {
    /// The certificate beside the signature.
    Certificate,
    /// A key that is known already. A certificate beside the signature is not looked at.
    Key,
}

/// The bundle that a signature over a payload and its annotations amount to, without log entry. Nothing of it
/// is verified yet.
///
/// # Errors
/// The first part that is missing, does not parse or is not supported.
pub(crate) fn of_message(
    payload: &[u8],
    annotations: &BTreeMap<String, String>,
    under: Under,
) -> Result<Bundle, Flaw> {
    let digest = DigestBytes::new(Digest::of(payload).hash().to_vec());
    let content = MessageSignature::new(signature(annotations)?)
        .with_message_digest(MessageDigest::new(HashAlgorithm::Sha2256, digest));
    build(SignatureContent::MessageSignature(content), annotations, under)
}

/// The bundle that an envelope and its annotations amount to, without log entry. Nothing of it is verified
/// yet.
///
/// # Errors
/// The first part that is missing, does not parse or is not supported.
pub(crate) fn of_envelope(
    envelope: &Envelope,
    annotations: &BTreeMap<String, String>,
    under: Under,
) -> Result<Bundle, Flaw> {
    build(SignatureContent::DsseEnvelope(envelope.for_library()), annotations, under)
}

fn build(
    content: SignatureContent,
    annotations: &BTreeMap<String, String>,
    under: Under,
) -> Result<Bundle, Flaw> {
    let signer = match under {
        Under::Certificate => {
            VerificationMaterialContent::X509CertificateChain { certificates: certificates(annotations)? }
        }
        Under::Key => VerificationMaterialContent::PublicKey(PublicKeyIdentifier::new("")),
    };
    let material = VerificationMaterial::new(signer).with_timestamp_verification_data(stamps(annotations)?);
    Ok(Bundle::new(MediaType::Bundle0_1, material, content))
}

/// An annotation, if there is one. cosign takes an empty one for none.
fn annotation<'a>(annotations: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    annotations.get(name).map(String::as_str).filter(|text| !text.is_empty())
}

fn signature(annotations: &BTreeMap<String, String>) -> Result<SignatureBytes, Flaw> {
    let text = annotation(annotations, SIGNATURE)
        .ok_or_else(|| flaw(FlawKind::Malformed, "there is no signature"))?;
    let bytes = STANDARD
        .decode(text)
        .map_err(|error| flaw(FlawKind::Malformed, format_args!("signature is malformed: {error}")))?;
    Ok(SignatureBytes::new(bytes))
}

/// The signing certificate, then those between it and a root.
fn certificates(annotations: &BTreeMap<String, String>) -> Result<Vec<X509Certificate>, Flaw> {
    let leaf = annotation(annotations, CERTIFICATE)
        .ok_or_else(|| flaw(FlawKind::Unsupported, "signed with a key, which needs a key authority"))?;
    let mut certificates = vec![certificate::leaf(leaf)?];
    if let Some(chain) = annotation(annotations, CHAIN) {
        certificates.extend(certificate::intermediates(chain)?);
    }
    Ok(certificates)
}

/// The signed timestamp, if there is one. One that is there has to be right: it is never passed over.
fn stamps(annotations: &BTreeMap<String, String>) -> Result<TimestampVerificationData, Flaw> {
    let mut timestamps = TimestampVerificationData::default();
    if let Some(text) = annotation(annotations, TIMESTAMP) {
        let token = token(text).ok_or_else(|| {
            flaw(FlawKind::Timestamp, "the signed timestamp beside the signature is malformed")
        })?;
        timestamps.rfc3161_timestamps.push(Rfc3161Timestamp::new(TimestampToken::new(token)));
    }
    Ok(timestamps)
}

/// When a timestamp authority saw this, as the signed timestamp beside it says, in seconds since 1970.
pub(crate) fn claimed_time(annotations: &BTreeMap<String, String>) -> Option<i64> {
    timestamps::claimed_time(&token(annotation(annotations, TIMESTAMP)?)?)
}

/// The answer of a timestamp authority ([RFC 3161](https://www.rfc-editor.org/rfc/rfc3161)), which cosign
/// keeps in JSON.
fn token(text: &str) -> Option<Vec<u8>> {
    let document = unique_json::parse(text.as_bytes()).ok()?;
    let token = document.get("SignedRFC3161Timestamp").and_then(Value::as_str)?;
    STANDARD.decode(token).ok().filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_timestamp_is_taken_along_or_is_a_flaw() {
        let read = |text: &str| stamps(&BTreeMap::from([(TIMESTAMP.to_owned(), text.to_owned())]));
        let taken = read(r#"{"SignedRFC3161Timestamp":"dG9rZW4="}"#).unwrap();
        assert_eq!(taken.rfc3161_timestamps[0].signed_timestamp.as_bytes(), b"token");
        assert_eq!(stamps(&BTreeMap::new()).unwrap().rfc3161_timestamps, []);
        for text in ["{", "{}", r#"{"SignedRFC3161Timestamp":""}"#, r#"{"SignedRFC3161Timestamp":"?"}"#] {
            assert_eq!(read(text).unwrap_err().kind, FlawKind::Timestamp, "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let kind = |annotations: &[(&str, &str)], under| {
            let annotations = annotations.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            of_message(b"payload", &annotations.collect(), under).map_err(|flaw| flaw.kind).err()
        };
        let keyless = |annotations: &[(&str, &str)]| kind(annotations, Under::Certificate);
        assert_eq!(keyless(&[]), Some(FlawKind::Malformed));
        assert_eq!(keyless(&[(SIGNATURE, "?")]), Some(FlawKind::Malformed));
        assert_eq!(keyless(&[(SIGNATURE, "c2ln")]), Some(FlawKind::Unsupported));
        assert_eq!(keyless(&[(SIGNATURE, "c2ln"), (CERTIFICATE, "")]), Some(FlawKind::Unsupported));
        assert_eq!(keyless(&[(SIGNATURE, "c2ln"), (CERTIFICATE, "?")]), Some(FlawKind::Malformed));
        assert_eq!(kind(&[], Under::Key), Some(FlawKind::Malformed));
        assert_eq!(kind(&[(SIGNATURE, "c2ln")], Under::Key), None);
        assert_eq!(kind(&[(SIGNATURE, "c2ln"), (CERTIFICATE, "?")], Under::Key), None);
    }
}
