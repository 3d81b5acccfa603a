//! Signatures of signers that a certificate names.

use policies::{Demand, Flaw, FlawKind, LogDemand, Profile, Signature, Signer};
use sigstore_verify::VerificationPolicy;
use sigstore_verify::types::{Bundle, MediaType};

use crate::claimed::Claimed;
use crate::flaw::{flaw, of_library};
use crate::{TrustRoot, demand, old_attestation, signer};

/// Verifies what some material claims, in every respect that the profile demands.
///
/// Whose signature it is does not matter here: that is for policies to judge.
///
/// A certificate lives for minutes, so a time that somebody vouches for is needed whatever the profile: a log's or a
/// timestamp authority's. Where no log is demanded, the entries of logs that the trust root does not know count as
/// absent; those of logs that it knows have to be right. Where no certificate timestamp is demanded, none is looked at:
/// the certificate logs that made it are those that the trust root may well not know.
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
    if let Some(entry) = claimed.old_entry.take() {
        let restated = old_attestation::restate(&entry, &claimed, certificate.as_bytes(), trust_root)?;
        claimed.bundle.verification_material.tlog_entries.push(restated);
        verifier = trust_root.restated();
    }
    demand::present(&claimed.bundle, profile)?;
    let policy = policy(&mut claimed.bundle, profile);
    let verified =
        verifier.verify(claimed.artifact()?, &claimed.bundle, &policy).map_err(|error| of_library(&error))?;
    demand::checked(&verified, profile)?;
    Ok(Signature {
        signer: Signer::Certificate(signer::read(&certificate)?),
        integrated_time: verified.integrated_time().map(|time| time.as_second()),
        timestamps: demand::stamped(&verified, &claimed.bundle),
        subjects: claimed.subjects,
        claim: claimed.claim,
    })
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
        // Version 0.1 is the one that cannot be without an entry. Nothing vouches for the version of a bundle.
        if bundle.media_type == MediaType::Bundle0_1 {
            bundle.media_type = MediaType::Bundle0_2;
        }
    }
    match profile.certificate_timestamp {
        Demand::Required => policy,
        Demand::NotRequired => policy.skip_sct(),
    }
}
