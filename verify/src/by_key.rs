//! Signatures of whoever holds a key.

use policies::{Flaw, FlawKind, LogDemand, Profile, PublicKey, Signature, Signer};
use sigstore_verify::PublicKeyVerificationPolicy;
use sigstore_verify::types::{DerPublicKey, SignatureContent};

use crate::claimed::{Claimed, Content};
use crate::flaw::{flaw, of_library};
use crate::key_signature::{self, Message};
use crate::{TrustRoot, demand, old_attestation, timestamps};

/// Verifies what some material claims, in every respect that the profile demands.
///
/// A key has no period of validity, so no time has to be known. Where no log is demanded, entries are not looked at:
/// whoever wants can leave them out.
pub(crate) fn verify(
    claimed: Claimed,
    key: &PublicKey,
    trust_root: &TrustRoot,
    profile: Profile,
) -> Result<Signature, Flaw> {
    key_signature::verify(key, &message(&claimed), signature(&claimed.bundle.content)?)?;
    match profile.log {
        LogDemand::Nothing => without_log(claimed, key, trust_root, profile),
        LogDemand::Entry | LogDemand::Proof => with_log(claimed, key, trust_root, profile),
    }
}

fn message(claimed: &Claimed) -> Message {
    match &claimed.content {
        Content::Payload(payload) => Message::Bytes(payload.to_vec()),
        Content::Digest(digest) => Message::Digest(digest.clone()),
        Content::Envelope(envelope) => Message::Bytes(envelope.pae()),
    }
}

fn signature(content: &SignatureContent) -> Result<&[u8], Flaw> {
    match content {
        SignatureContent::MessageSignature(message) => Ok(message.signature.as_bytes()),
        SignatureContent::DsseEnvelope(envelope) => Ok(envelope.signature.sig.as_bytes()),
        _ => Err(flaw(FlawKind::Unsupported, "what is signed is of an unknown kind")),
    }
}

fn without_log(
    claimed: Claimed,
    key: &PublicKey,
    trust_root: &TrustRoot,
    profile: Profile,
) -> Result<Signature, Flaw> {
    demand::present(&claimed.bundle, profile)?;
    let signature = signature(&claimed.bundle.content)?;
    Ok(Signature {
        signer: Signer::Key(key.id()),
        integrated_time: None,
        timestamps: timestamps::verify(&claimed.bundle, signature, trust_root)?,
        subjects: claimed.subjects,
        claim: claimed.claim,
    })
}

fn with_log(
    mut claimed: Claimed,
    key: &PublicKey,
    trust_root: &TrustRoot,
    profile: Profile,
) -> Result<Signature, Flaw> {
    let mut verifier = trust_root.verifier();
    if let Some(entry) = claimed.old_entry.take() {
        let restated = old_attestation::restate(&entry, &claimed, &key.der, trust_root)?;
        claimed.bundle.verification_material.tlog_entries.push(restated);
        verifier = trust_root.restated();
    }
    demand::present(&claimed.bundle, profile)?;
    let policy = PublicKeyVerificationPolicy::new(DerPublicKey::new(key.der.to_vec()));
    let verified =
        verifier.verify(claimed.artifact()?, &claimed.bundle, &policy).map_err(|error| of_library(&error))?;
    demand::log_checked(&verified, profile)?;
    Ok(Signature {
        signer: Signer::Key(key.id()),
        integrated_time: verified.integrated_time().map(|time| time.as_second()),
        timestamps: demand::stamped(&verified, &claimed.bundle),
        subjects: claimed.subjects,
        claim: claimed.claim,
    })
}
