//! Whether a signature has what a profile demands, and whether that was checked.
//!
//! The library checks what is there. What has to be there is decided here, before and after it is asked.

use policies::{Demand, Flaw, FlawKind, LogDemand, Profile};
use sigstore_verify::VerificationResult;
use sigstore_verify::types::{Bundle, KindVersion};

use crate::flaw::flaw;

/// Passes where a bundle has all that a profile demands. Nothing of it is verified yet.
///
/// # Errors
/// [`FlawKind::LogEntry`] or [`FlawKind::Timestamp`], whichever is missing.
pub(crate) fn present(bundle: &Bundle, profile: Profile) -> Result<(), Flaw> {
    let entries = &bundle.verification_material.tlog_entries;
    let missing = |detail: &str| Err(flaw(FlawKind::LogEntry, detail));
    match profile.log {
        LogDemand::Nothing => {}
        LogDemand::Entry | LogDemand::Proof if entries.is_empty() => {
            return missing("there is no log entry beside the signature");
        }
        LogDemand::Entry => {
            if !entries
                .iter()
                .all(|entry| entry.inclusion_promise.is_some() || entry.inclusion_proof.is_some())
            {
                return missing("the log neither promised to record the entry nor shows that it did");
            }
        }
        LogDemand::Proof => {
            if !entries.iter().all(|entry| entry.inclusion_proof.is_some()) {
                return missing("the log does not show that it recorded the entry");
            }
        }
    }
    let tokens = &bundle.verification_material.timestamp_verification_data.rfc3161_timestamps;
    if profile.timestamp == Demand::Required && tokens.is_empty() {
        return Err(flaw(FlawKind::Timestamp, "there is no signed timestamp beside the signature"));
    }
    Ok(())
}

/// Passes where the library checked all that a profile demands of a signature under a certificate.
///
/// The library says so only of what it was told to check; a slip in telling it must not pass for a check. It says that
/// the log was verified also where there is no entry, hence [`present`] before.
pub(crate) fn checked(verified: &VerificationResult, profile: Profile) -> Result<(), Flaw> {
    let unchecked = |kind| Err(flaw(kind, "this was not checked"));
    if !verified.certificate_verified() || verified.verified_timestamps().is_empty() {
        return unchecked(FlawKind::Certificate);
    }
    if profile.certificate_timestamp == Demand::Required && !verified.sct_verified() {
        return unchecked(FlawKind::CertificateTimestamp);
    }
    log_checked(verified, profile)
}

/// Passes where the library checked the log entries that a profile demands.
pub(crate) fn log_checked(verified: &VerificationResult, profile: Profile) -> Result<(), Flaw> {
    match profile.log {
        LogDemand::Entry | LogDemand::Proof if !verified.tlog_verified() => {
            Err(flaw(FlawKind::LogEntry, "this was not checked"))
        }
        LogDemand::Entry | LogDemand::Proof | LogDemand::Nothing => Ok(()),
    }
}

/// When timestamp authorities saw a verified signature, in seconds since 1970.
///
/// The library gives the times of logs and authorities in one list. It verified every time that is in the bundle, so
/// those of the logs are known: what is left is the authorities'.
pub(crate) fn stamped(verified: &VerificationResult, bundle: &Bundle) -> Vec<i64> {
    let mut times: Vec<i64> = verified.verified_timestamps().iter().map(|time| time.as_second()).collect();
    for entry in &bundle.verification_material.tlog_entries {
        let by_log = entry.inclusion_promise.is_some() && entry.kind_version != KindVersion::HashedRekordV002;
        let time = entry.integrated_time.filter(|_| by_log).map(|time| time.as_second());
        if let Some(at) = time.and_then(|time| times.iter().position(|other| *other == time)) {
            times.remove(at);
        }
    }
    times.sort_unstable();
    times
}
