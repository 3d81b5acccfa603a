//! Log entries of attestations as cosign 1 made them: `intoto` in version 0.0.1, which the library does not
//! read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::Digest;
use policies::{Flaw, FlawKind};
use serde_json::Value;
use sigstore_verify::types::TransparencyLogEntry;

use crate::TrustRoot;
use crate::claimed::{Claimed, Content};
use crate::envelope::Envelope;
use crate::flaw::flaw;
use crate::log_entry::Promised;
use crate::notary::Notary;
use crate::{log, unique_json};

/// Such an entry, and what it has to be of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    /// The entry.
    pub(crate) promised: Promised,
    /// The envelope beside it, as it is written: a log records the hash of that.
    pub(crate) envelope: Digest,
}

/// Verifies that a trusted log, in its period of validity, promised to record an entry of just this envelope,
/// byte for byte, and of this certificate or key (`verifier`, in DER). Gives the verifier as the log has it,
/// in PEM.
///
/// Then it was signed by that time, which is all that an entry is there to show.
///
/// # Errors
/// [`FlawKind::LogEntry`] where the promise does not verify or is of something else.
pub(crate) fn verify(
    entry: &Entry,
    content: &Content,
    verifier: &[u8],
    trust_root: &TrustRoot,
) -> Result<Vec<u8>, Flaw> {
    let Content::Envelope(envelope) = content else {
        return Err(flaw(FlawKind::LogEntry, "the log entry is of an attestation"));
    };
    log::verify_promise(&entry.promised, trust_root)?;
    bound(entry, envelope, verifier)
}

/// [Verifies](verify) an entry, and says the same in a way that the library reads: as an entry of [our own
/// log](Notary). Left to the library is what a time is needed for, and the signature.
///
/// # Errors
/// [`FlawKind::LogEntry`] where the promise does not verify or is of something else.
pub(crate) fn restate(
    entry: &Entry,
    claimed: &Claimed,
    certificate: &[u8],
    trust_root: &TrustRoot,
) -> Result<TransparencyLogEntry, Flaw> {
    let pem = verify(entry, &claimed.content, certificate, trust_root)?;
    let Content::Envelope(envelope) = &claimed.content else {
        return Err(flaw(FlawKind::LogEntry, "the log entry is of an attestation"));
    };
    let notary = Notary::get().map_err(|error| flaw(FlawKind::Unsupported, error))?;
    notary
        .entry(envelope, &pem, entry.promised.index, entry.promised.time)
        .map_err(|error| flaw(FlawKind::Unsupported, error))
}

/// The verifier that an entry names, in PEM, where the entry is of this envelope and of no other verifier.
fn bound(entry: &Entry, envelope: &Envelope, verifier: &[u8]) -> Result<Vec<u8>, Flaw> {
    let body = unique_json::parse(&entry.promised.body).map_err(|error| {
        flaw(FlawKind::Malformed, format_args!("the body of the log entry is malformed: {error}"))
    })?;
    let of_another =
        |what: &str| Err(flaw(FlawKind::LogEntry, format_args!("the log entry is of another {what}")));
    let hash = |name: &str| {
        let hash = body.pointer(&format!("/spec/content/{name}"))?;
        let algorithm = hash.get("algorithm").and_then(Value::as_str)?;
        format!("{algorithm}:{}", hash.get("value").and_then(Value::as_str)?).parse::<Digest>().ok()
    };
    if hash("hash") != Some(entry.envelope) {
        return of_another("envelope");
    }
    // Not every version of the log recorded this one, and the one above binds the payload already.
    if body.pointer("/spec/content/payloadHash").is_some()
        && hash("payloadHash") != Some(Digest::of(&envelope.payload))
    {
        return of_another("payload");
    }
    let pem = body.pointer("/spec/publicKey").and_then(Value::as_str);
    let pem = pem.and_then(|pem| STANDARD.decode(pem).ok()).unwrap_or_default();
    match pem::parse_many(&pem).as_deref() {
        Ok([block]) if block.contents() == verifier => Ok(pem),
        Ok(_) | Err(_) => of_another("certificate or key"),
    }
}
