//! Signatures of whoever holds a key.

use jiff::Timestamp;
use policies::{Flaw, FlawKind, LogDemand, LogIndex, Profile, PublicKey, Signature, Signer};
use sigstore_verify::bundle::{ValidationOptions, validate_bundle_with_options};

use crate::claimed::{Claimed, Content};
use crate::flaw::of_library;
use crate::key_signature::{self, Message};
use crate::{TrustRoot, demand, log, old_attestation, recorded, signature_id, timestamps};

/// Verifies what some material claims, in every respect that the profile demands.
///
/// A key has no period of validity, so no time has to be known. Where no log is demanded, entries are not
/// looked at: whoever wants can leave them out. A certificate beside the signature is not looked at either.
///
/// None of this is left to the library: it takes ECDSA over P-256 and P-384, Ed25519 and RSA by PKCS #1
/// alone, and picks the hash itself.
pub(crate) fn verify(
    mut claimed: Claimed,
    key: &PublicKey,
    trust_root: &TrustRoot,
    profile: Profile,
) -> Result<Signature, Flaw> {
    let signature = claimed.signature()?.to_vec();
    key_signature::verify(key, &message(&claimed), &signature)?;
    let (recorded, entries) = match (profile.log, claimed.old_entry.take()) {
        (LogDemand::Nothing, _) => (None, Vec::new()),
        (LogDemand::Entry, Some(entry)) => {
            old_attestation::verify(&entry, &claimed.content, &key.der, trust_root)?;
            demand::past(&[entry.promised.time], FlawKind::LogEntry)?;
            (Some(entry.promised.time), vec![entry.promised.index()])
        }
        (LogDemand::Entry | LogDemand::Proof, _) => {
            demand::recorded(&claimed.bundle, profile)?;
            logged(&claimed, &signature, key, trust_root)?
        }
    };
    timestamps::pass_over_strangers(&mut claimed.bundle, trust_root);
    demand::stamped(&claimed.bundle, profile)?;
    let seen = claimed.stamped.as_deref().unwrap_or(&signature);
    let stamped = timestamps::verify(&claimed.bundle, seen, trust_root)?;
    Ok(Signature {
        id: signature_id::of(&signature, None),
        signer: Signer::Key(key.id()),
        integrated_time: recorded.map(Timestamp::as_second),
        timestamps: stamped.into_iter().map(Timestamp::as_second).collect(),
        entries,
        subjects: claimed.subjects,
        claim: claimed.claim,
    })
}

/// Verifies every log entry, and gives the earliest time that a log vouches for, and where the entries are.
/// Each has what the version of the bundle asks of it.
fn logged(
    claimed: &Claimed,
    signature: &[u8],
    key: &PublicKey,
    trust_root: &TrustRoot,
) -> Result<(Option<Timestamp>, Vec<LogIndex>), Flaw> {
    let options = ValidationOptions::new().with_require_inclusion_proof(true);
    validate_bundle_with_options(&claimed.bundle, &options).map_err(|error| of_library(&error.into()))?;
    let signed = recorded::Signed { content: &claimed.content, signature, key: &key.der };
    let (mut times, mut indexes) = (Vec::new(), Vec::new());
    for entry in &claimed.bundle.verification_material.tlog_entries {
        recorded::of(entry, signed)?;
        times.extend(log::verify(entry, trust_root)?);
        indexes.push(log::index(entry)?);
    }
    demand::past(&times, FlawKind::LogEntry)?;
    Ok((times.into_iter().min(), indexes))
}

fn message(claimed: &Claimed) -> Message<'_> {
    match &claimed.content {
        Content::Payload(payload) => Message::Bytes(payload.as_ref().into()),
        Content::Digest(digest) => Message::Digest(digest),
        Content::Envelope(envelope) => Message::Bytes(envelope.pae().into()),
    }
}
