//! Whether a log entry is of a signature: of what was signed, by which key, with which signature
//! (CVE-2022-36056).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use policies::{Flaw, FlawKind};
use serde_json::Value;
use sigstore_verify::crypto::{sha256, sha384, sha512};
use sigstore_verify::types::{HashAlgorithm, KindVersion, TransparencyLogEntry};

use crate::claimed::Content;
use crate::flaw::flaw;
use crate::unique_json;

/// A signature by a key, which an entry has to be of.
#[derive(Clone, Copy)]
pub(crate) struct Signed<'a> {
    /// What was signed.
    pub(crate) content: &'a Content,
    /// The signature.
    pub(crate) signature: &'a [u8],
    /// The key: DER of a SubjectPublicKeyInfo.
    pub(crate) key: &'a [u8],
}

/// Passes where an entry is of this signature. Whether a log recorded it is another question.
///
/// What kind of entry it is, its body says: that is what was recorded.
///
/// # Errors
/// [`FlawKind::LogEntry`] where it is of something else, and [`FlawKind::Unsupported`] where it is of a kind
/// that does not go with what is signed.
pub(crate) fn of(entry: &TransparencyLogEntry, signed: Signed<'_>) -> Result<(), Flaw> {
    let body = unique_json::parse(entry.canonicalized_body.as_bytes()).map_err(|error| {
        flaw(FlawKind::Malformed, format_args!("the body of the log entry is malformed: {error}"))
    })?;
    let body = Body(&body);
    let kind = entry.kind_version;
    if (body.text("/kind"), body.text("/apiVersion")) != (Some(kind.kind()), Some(kind.version())) {
        return Err(of_another("kind"));
    }
    match (kind, signed.content) {
        (KindVersion::HashedRekordV001, Content::Payload(_) | Content::Digest(_)) => {
            body.hashed_rekord(signed)
        }
        (KindVersion::HashedRekordV002, _) => body.hashed_rekord_2(signed),
        (KindVersion::DsseV001, Content::Envelope(envelope)) => {
            body.payload("/spec/payloadHash", &envelope.payload)?;
            body.only("/spec/signatures")?;
            body.signature("/spec/signatures/0/signature", signed)?;
            body.pem("/spec/signatures/0/verifier", signed)
        }
        (KindVersion::IntotoV002, Content::Envelope(envelope)) => {
            body.payload("/spec/content/payloadHash", &envelope.payload)?;
            if body.text("/spec/content/envelope/payloadType") != Some(&envelope.payload_type) {
                return Err(of_another("type of payload"));
            }
            body.only("/spec/content/envelope/signatures")?;
            // The log encodes once more what was encoded already.
            let encoded = Some(STANDARD.encode(signed.signature).into_bytes());
            if body.base64("/spec/content/envelope/signatures/0/sig") != encoded {
                return Err(of_another("signature"));
            }
            body.pem("/spec/content/envelope/signatures/0/publicKey", signed)
        }
        _ => Err(flaw(
            FlawKind::Unsupported,
            format_args!(
                "log entry is of kind {} {}, which does not go with it",
                kind.kind(),
                kind.version()
            ),
        )),
    }
}

/// The body of an entry.
struct Body<'a>(&'a Value);

impl Body<'_> {
    fn hashed_rekord(&self, signed: Signed<'_>) -> Result<(), Flaw> {
        let algorithm = match self.text("/spec/data/hash/algorithm") {
            Some("sha256") => HashAlgorithm::Sha2256,
            Some("sha384") => HashAlgorithm::Sha2384,
            Some("sha512") => HashAlgorithm::Sha2512,
            _ => return Err(of_another("hash")),
        };
        let hash = self.text("/spec/data/hash/value").and_then(|value| hex::decode(value).ok());
        self.hash(hash.as_deref(), algorithm, signed)?;
        self.signature("/spec/signature/content", signed)?;
        self.pem("/spec/signature/publicKey/content", signed)
    }

    fn hashed_rekord_2(&self, signed: Signed<'_>) -> Result<(), Flaw> {
        let algorithm = match self.text("/spec/hashedRekordV002/data/algorithm") {
            Some("SHA2_256") => HashAlgorithm::Sha2256,
            Some("SHA2_384") => HashAlgorithm::Sha2384,
            Some("SHA2_512") => HashAlgorithm::Sha2512,
            _ => return Err(of_another("hash")),
        };
        self.hash(self.base64("/spec/hashedRekordV002/data/digest").as_deref(), algorithm, signed)?;
        self.signature("/spec/hashedRekordV002/signature/content", signed)?;
        let key = self.base64("/spec/hashedRekordV002/signature/verifier/publicKey/rawBytes");
        if key.as_deref() == Some(signed.key) { Ok(()) } else { Err(of_another("key")) }
    }

    /// Passes where a hash is of what was signed.
    fn hash(&self, hash: Option<&[u8]>, algorithm: HashAlgorithm, signed: Signed<'_>) -> Result<(), Flaw> {
        let of = match signed.content {
            Content::Payload(payload) => hash_of(algorithm, payload),
            Content::Envelope(envelope) => hash_of(algorithm, &envelope.pae()),
            Content::Digest(digest) => {
                Some(digest.as_bytes().to_vec()).filter(|_| digest.algorithm() == algorithm)
            }
        };
        if of.is_some() && hash == of.as_deref() { Ok(()) } else { Err(of_another("payload")) }
    }

    /// Passes where the hash there is the `sha256` of a payload.
    fn payload(&self, pointer: &str, payload: &[u8]) -> Result<(), Flaw> {
        let algorithm = self.text(&format!("{pointer}/algorithm"));
        let hash = self.text(&format!("{pointer}/value")).and_then(|value| hex::decode(value).ok());
        let of_it = algorithm == Some("sha256") && hash.as_deref() == Some(sha256(payload).as_bytes());
        if of_it { Ok(()) } else { Err(of_another("payload")) }
    }

    fn only(&self, pointer: &str) -> Result<(), Flaw> {
        match self.0.pointer(pointer).and_then(Value::as_array).map(Vec::len) {
            Some(1) => Ok(()),
            Some(_) | None => Err(of_another("number of signatures")),
        }
    }

    fn signature(&self, pointer: &str, signed: Signed<'_>) -> Result<(), Flaw> {
        let of_it = self.base64(pointer).as_deref() == Some(signed.signature);
        if of_it { Ok(()) } else { Err(of_another("signature")) }
    }

    fn pem(&self, pointer: &str, signed: Signed<'_>) -> Result<(), Flaw> {
        let pem = self.base64(pointer).and_then(|pem| pem::parse_many(pem).ok()).unwrap_or_default();
        match &pem[..] {
            [block] if block.contents() == signed.key => Ok(()),
            _ => Err(of_another("key")),
        }
    }

    fn base64(&self, pointer: &str) -> Option<Vec<u8>> {
        STANDARD.decode(self.text(pointer)?).ok()
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        self.0.pointer(pointer).and_then(Value::as_str)
    }
}

/// The hash of some bytes, by an algorithm that is known here.
pub(crate) fn hash_of(algorithm: HashAlgorithm, bytes: &[u8]) -> Option<Vec<u8>> {
    match algorithm {
        HashAlgorithm::Sha2256 => Some(sha256(bytes).as_bytes().to_vec()),
        HashAlgorithm::Sha2384 => Some(sha384(bytes).as_bytes().to_vec()),
        HashAlgorithm::Sha2512 => Some(sha512(bytes).as_bytes().to_vec()),
        _ => None,
    }
}

fn of_another(what: &str) -> Flaw {
    flaw(FlawKind::LogEntry, format_args!("the log entry is of another {what}"))
}

#[cfg(test)]
mod tests;
