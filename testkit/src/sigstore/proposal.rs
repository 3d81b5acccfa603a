//! Entries that clients propose to the logs, and the bodies that the logs make of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

use super::answer::Refusal;
use crate::authority::Record;
use crate::authority::entry_body::form;
use crate::authority::envelope::{Envelope, IN_TOTO};
use crate::authority::hash::Hash;
use crate::authority::key::PublicKey;
use crate::authority::request::canonical_pem;

/// What an entry is to be of, by its kind and version.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum First {
    HashedRekord {
        #[serde(rename = "apiVersion")]
        version: String,
        spec: Hashed,
    },
    Dsse {
        #[serde(rename = "apiVersion")]
        version: String,
        spec: Enveloped,
    },
}

#[derive(Deserialize)]
struct Hashed {
    data: Hashes,
    signature: Signature,
}

#[derive(Deserialize)]
struct Hashes {
    hash: Named,
}

#[derive(Deserialize)]
struct Named {
    algorithm: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signature {
    content: String,
    public_key: Key,
}

#[derive(Deserialize)]
struct Key {
    content: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Enveloped {
    proposed_content: Content,
}

#[derive(Deserialize)]
struct Content {
    envelope: String,
    verifiers: [String; 1],
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Closed {
    payload_type: String,
    payload: String,
    signatures: [Signed; 1],
}

#[derive(Deserialize)]
struct Signed {
    sig: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Second {
    hashed_rekord_request_v002: Request,
}

#[derive(Deserialize)]
struct Request {
    digest: String,
    signature: SecondSignature,
}

#[derive(Deserialize)]
struct SecondSignature {
    content: String,
    verifier: SecondVerifier,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum SecondKey {
    X509Certificate(Raw),
    PublicKey(Raw),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SecondVerifier {
    key_details: String,
    #[serde(flatten)]
    key: SecondKey,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    raw_bytes: String,
}

/// A key, and the document in which it is.
struct Verifier {
    key: PublicKey,
    kind: &'static str,
    der: Vec<u8>,
}

const CERTIFICATE: &str = "CERTIFICATE";
const PUBLIC_KEY: &str = "PUBLIC KEY";
const UNREAD: Refusal = Refusal::Bad("not an entry of a kind that this log keeps");
const UNSIGNED: Refusal = Refusal::Bad("the signature was not made with the key");

/// The body that a log of the first generation keeps of a proposed entry whose signature is right.
pub(super) fn first(proposal: &[u8]) -> Result<(Record, Vec<u8>), Refusal> {
    let proposal: First = serde_json::from_slice(proposal).map_err(|_| UNREAD)?;
    let (record, spec) = match proposal {
        First::HashedRekord { version, spec } if version == "0.0.1" => {
            let verifier = Verifier::armoured(&spec.signature.public_key.content)?;
            let digest =
                hex::decode(spec.data.hash.value).ok().filter(|_| spec.data.hash.algorithm == "sha256");
            let signature = decoded(&spec.signature.content)?;
            let digest = verifier.checked(&digest.ok_or(UNREAD)?, &signature)?;
            (
                Record::HashedRekordV001,
                form::hashed_rekord(Hash::Sha256, &digest, &signature, &verifier.pem()),
            )
        }
        First::Dsse { version, spec } if version == "0.0.1" => {
            let Content { envelope, verifiers: [verifier] } = spec.proposed_content;
            let verifier = Verifier::armoured(&verifier)?;
            let (content, signature) = opened(&envelope)?;
            verifier.checked(&Sha256::digest(content.signed_bytes()), &signature)?;
            let spec = form::dsse(envelope.as_bytes(), &content.payload, &signature, &verifier.pem());
            (Record::DsseV001, spec)
        }
        First::HashedRekord { .. } | First::Dsse { .. } => return Err(UNREAD),
    };
    Ok((record, form::body(record, &spec).ok_or(UNREAD)?))
}

/// The body that a log of the second generation keeps of a proposed entry whose signature is right.
pub(super) fn second(proposal: &[u8]) -> Result<(Record, Vec<u8>), Refusal> {
    let Second { hashed_rekord_request_v002: request } =
        serde_json::from_slice(proposal).map_err(|_| UNREAD)?;
    let SecondVerifier { key_details, key } = request.signature.verifier;
    if key_details != "PKIX_ECDSA_P256_SHA_256" {
        return Err(UNREAD);
    }
    let (verifier, name) = match key {
        SecondKey::X509Certificate(raw) => {
            (Verifier::read(CERTIFICATE, decoded(&raw.raw_bytes)?)?, "x509Certificate")
        }
        SecondKey::PublicKey(raw) => (Verifier::read(PUBLIC_KEY, decoded(&raw.raw_bytes)?)?, "publicKey"),
    };
    let signature = decoded(&request.signature.content)?;
    let digest = verifier.checked(&decoded(&request.digest)?, &signature)?;
    let written = json!({"keyDetails": key_details, name: {"rawBytes": BASE64.encode(&verifier.der)}});
    let record = Record::HashedRekordV002;
    let spec = form::hashed_rekord_v002(Hash::Sha256, &digest, &signature, &written);
    Ok((record, form::body(record, &spec).ok_or(UNREAD)?))
}

fn opened(envelope: &str) -> Result<(Envelope, Vec<u8>), Refusal> {
    let Closed { payload_type, payload, signatures: [signature] } =
        serde_json::from_str(envelope).map_err(|_| UNREAD)?;
    if payload_type != IN_TOTO {
        return Err(UNREAD);
    }
    let envelope = Envelope { payload_type: IN_TOTO, payload: decoded(&payload)?.into() };
    Ok((envelope, decoded(&signature.sig)?))
}

fn decoded(text: &str) -> Result<Vec<u8>, Refusal> {
    BASE64.decode(text).map_err(|_| UNREAD)
}

impl Verifier {
    /// Reads PEM that was encoded once more.
    fn armoured(encoded: &str) -> Result<Self, Refusal> {
        let document = pem::parse(decoded(encoded)?).map_err(|_| UNREAD)?;
        match document.tag() {
            CERTIFICATE => Self::read(CERTIFICATE, document.into_contents()),
            PUBLIC_KEY => Self::read(PUBLIC_KEY, document.into_contents()),
            _ => Err(UNREAD),
        }
    }

    fn read(kind: &'static str, der: Vec<u8>) -> Result<Self, Refusal> {
        let key = if kind == CERTIFICATE {
            let certificate = Certificate::from_der(&der).map_err(|_| UNREAD)?;
            let info = certificate.tbs_certificate.subject_public_key_info.to_der().map_err(|_| UNREAD)?;
            PublicKey::from_der(&info)
        } else {
            PublicKey::from_der(&der)
        };
        Ok(Self { key: key.ok_or(UNREAD)?, kind, der })
    }

    /// The digest, if the signature over it is this key's.
    fn checked(&self, digest: &[u8], signature: &[u8]) -> Result<[u8; 32], Refusal> {
        let digest = digest.try_into().map_err(|_| UNREAD)?;
        if self.key.signed(&digest, signature) { Ok(digest) } else { Err(UNSIGNED) }
    }

    fn pem(&self) -> String {
        canonical_pem(self.kind, &self.der)
    }
}
