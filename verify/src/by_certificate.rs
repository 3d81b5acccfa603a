//! Signatures of signers that a certificate names.

use std::sync::Arc;

use jiff::Timestamp;
use policies::{Demand, Flaw, FlawKind, LogDemand, Profile, Signature, Signer};
use sigstore_verify::types::{Bundle, DerCertificate, LogIndex, MediaType, TransparencyLogEntry};
use sigstore_verify::{VerificationPolicy, VerificationResult, Verifier};

use crate::claimed::{Claimed, Content};
use crate::flaw::{flaw, of_library};
use crate::notary::Notary;
use crate::{TrustRoot, demand, log, old_attestation, signature_id, signer, timestamps};

/// Verifies what some material claims, in every respect that the profile demands.
///
/// Whose signature it is does not matter here: that is for policies to judge.
///
/// A certificate lives for minutes, so a time that somebody vouches for is needed whatever the profile: a
/// log's or a timestamp authority's. Where no log is demanded, the entries of logs that the trust root does
/// not know count as absent; those of logs that it knows have to be right. Where no certificate timestamp is
/// demanded, none is looked at: the certificate logs that made it are those that the trust root may well not
/// know.
pub(crate) fn verify(
    mut claimed: Claimed,
    trust_root: &TrustRoot,
    profile: Profile,
) -> Result<Signature, Flaw> {
    let certificate = claimed.bundle.signing_certificate().cloned();
    let certificate = certificate
        .ok_or_else(|| flaw(FlawKind::Unsupported, "signed with a key, which needs a key authority"))?;
    if profile.log == LogDemand::Nothing {
        pass_over_strange_logs(&mut claimed, trust_root);
    }
    let mut verifier = trust_root.verifier();
    let (recorded, mut entries) = (claimed.bundle.verification_material.tlog_entries.len(), Vec::new());
    if let Some(entry) = claimed.old_entry.take() {
        let restated = old_attestation::restate(&entry, &claimed, certificate.as_bytes(), trust_root)?;
        claimed.bundle.verification_material.tlog_entries.push(restated);
        entries.push(entry.promised.index());
        verifier = trust_root.restated();
    }
    demand::recorded(&claimed.bundle, profile)?;
    timestamps::pass_over_strangers(&mut claimed.bundle, trust_root);
    demand::stamped(&claimed.bundle, profile)?;
    let stamped = timestamps::take_of_document(&mut claimed, trust_root)?;
    for time in &stamped {
        let witnessed = witnessed(&claimed, &certificate, *time)?;
        ask(trust_root.restated(), &claimed, witnessed, profile)?;
    }
    let (mut integrated_time, mut timestamps) = (None, stamped.iter().map(|time| time.as_second()).collect());
    // Where the times that were asked about are all there are, nothing is left to ask.
    if stamped.is_empty() || !claimed.bundle.verification_material.tlog_entries.is_empty() {
        let verified = ask(verifier, &claimed, claimed.bundle.clone(), profile)?;
        integrated_time = verified.integrated_time().map(|time| time.as_second());
        if claimed.stamped.is_none() {
            timestamps = demand::stamps(&verified, &claimed.bundle);
        }
    }
    let recorded = &claimed.bundle.verification_material.tlog_entries[..recorded];
    entries.extend(indexes(recorded, trust_root)?);
    Ok(Signature {
        id: signature_id::of(claimed.signature()?, Some(&certificate)),
        signer: Signer::Certificate(Arc::new(signer::read(&certificate)?)),
        integrated_time,
        timestamps,
        entries,
        subjects: claimed.subjects,
        claim: claimed.claim,
    })
}

/// Where entries are that the library verified, as far as that goes: see [`log::verify_name`].
fn indexes(
    entries: &[TransparencyLogEntry],
    trust_root: &TrustRoot,
) -> Result<Vec<policies::LogIndex>, Flaw> {
    let index = |entry| {
        log::verify_name(entry, trust_root)?;
        log::index(entry)
    };
    entries.iter().map(index).collect()
}

/// Has the library verify what is claimed, as a bundle says it.
fn ask(
    verifier: &Verifier,
    claimed: &Claimed,
    mut bundle: Bundle,
    profile: Profile,
) -> Result<VerificationResult, Flaw> {
    demand::timed(&bundle)?;
    let policy = policy(&mut bundle, profile);
    let verified = verifier.verify(claimed.artifact()?, &bundle, &policy);
    let verified = verified.map_err(|error| of_library(&error))?;
    demand::checked(&verified, profile)?;
    Ok(verified)
}

/// The bundle that says of an envelope that it was seen at a time, which was verified.
fn witnessed(claimed: &Claimed, certificate: &DerCertificate, time: Timestamp) -> Result<Bundle, Flaw> {
    let Content::Envelope(envelope) = &claimed.content else {
        return Err(flaw(FlawKind::Timestamp, "the signed timestamp is of an envelope"));
    };
    let pem = pem::encode(&pem::Pem::new("CERTIFICATE", certificate.as_bytes()));
    let notary = Notary::get().map_err(|error| flaw(FlawKind::Unsupported, error))?;
    let entry = notary.entry(envelope, pem.as_bytes(), LogIndex::default(), time);
    let mut bundle = claimed.bundle.clone();
    bundle.verification_material.tlog_entries =
        vec![entry.map_err(|error| flaw(FlawKind::Unsupported, error))?];
    Ok(bundle)
}

/// Takes out the log entries of logs that the trust root does not know.
fn pass_over_strange_logs(claimed: &mut Claimed, trust_root: &TrustRoot) {
    let entries = &mut claimed.bundle.verification_material.tlog_entries;
    entries.retain(|entry| trust_root.knows_log(entry.log_id.key_id.as_bytes()));
    claimed.old_entry.take_if(|entry| !trust_root.knows_log(&entry.promised.log));
}

/// What the library is to check: all of it, less what is neither demanded nor there.
fn policy(bundle: &mut Bundle, profile: Profile) -> VerificationPolicy {
    let mut policy = VerificationPolicy::any_identity();
    if profile.log == LogDemand::Nothing && bundle.verification_material.tlog_entries.is_empty() {
        policy = policy.skip_tlog_unsafe();
        // Version 0.1 is the one that cannot be without an entry. Nothing vouches for the version of a
        // bundle.
        if bundle.media_type == MediaType::Bundle0_1 {
            bundle.media_type = MediaType::Bundle0_2;
        }
    }
    match profile.certificate_timestamp {
        Demand::Required => policy,
        Demand::NotRequired => policy.skip_sct(),
    }
}
