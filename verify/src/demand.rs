//! Whether a signature has what a profile demands, and whether that was checked.
//!
//! The library checks what is there. What has to be there is decided here, before and after it is asked.

use jiff::Timestamp;
use policies::{Demand, Flaw, FlawKind, LogDemand, Profile};
use sigstore_verify::VerificationResult;
use sigstore_verify::types::{Bundle, KindVersion, TransparencyLogEntry};

use crate::flaw::flaw;

/// Passes where a bundle has the log entries that a profile demands. Nothing of it is verified yet.
///
/// # Errors
/// [`FlawKind::LogEntry`].
pub(crate) fn recorded(bundle: &Bundle, profile: Profile) -> Result<(), Flaw> {
    let entries = &bundle.verification_material.tlog_entries;
    let missing = |detail: &str| Err(flaw(FlawKind::LogEntry, detail));
    let proven = |entry: &TransparencyLogEntry| entry.inclusion_proof.is_some();
    match profile.log {
        LogDemand::Nothing => Ok(()),
        LogDemand::Entry | LogDemand::Proof if entries.is_empty() => {
            missing("there is no log entry beside the signature")
        }
        LogDemand::Entry
            if !entries.iter().all(|entry| entry.inclusion_promise.is_some() || proven(entry)) =>
        {
            missing("the log neither promised to record the entry nor shows that it did")
        }
        LogDemand::Proof if !entries.iter().all(proven) => {
            missing("the log does not show that it recorded the entry")
        }
        LogDemand::Entry | LogDemand::Proof => Ok(()),
    }
}

/// Passes where a bundle has the signed timestamps that a profile demands. Nothing of it is verified yet.
///
/// # Errors
/// [`FlawKind::Timestamp`].
pub(crate) fn stamped(bundle: &Bundle, profile: Profile) -> Result<(), Flaw> {
    let tokens = &bundle.verification_material.timestamp_verification_data.rfc3161_timestamps;
    match profile.timestamp {
        Demand::Required if tokens.is_empty() => {
            Err(flaw(FlawKind::Timestamp, "there is no signed timestamp by an authority that is known"))
        }
        Demand::Required | Demand::NotRequired => Ok(()),
    }
}

/// Passes where the library checked all that a profile demands of a signature under a certificate.
///
/// The library says so only of what it was told to check; a slip in telling it must not pass for a check. It
/// says that the log was verified also where there is no entry, hence [`recorded`] before.
pub(crate) fn checked(verified: &VerificationResult, profile: Profile) -> Result<(), Flaw> {
    let unchecked = |kind| Err(flaw(kind, "this was not checked"));
    if !verified.certificate_verified() || verified.verified_timestamps().is_empty() {
        return unchecked(FlawKind::Certificate);
    }
    if profile.certificate_timestamp == Demand::Required && !verified.sct_verified() {
        return unchecked(FlawKind::CertificateTimestamp);
    }
    if profile.log != LogDemand::Nothing && !verified.tlog_verified() {
        return unchecked(FlawKind::LogEntry);
    }
    past(verified.verified_timestamps(), FlawKind::Timestamp)
}

/// Passes where somebody tells the time of a signature: a log that promised to record it, or a timestamp
/// authority.
///
/// # Errors
/// [`FlawKind::Timestamp`]. A proof shows that an entry is in a log, and not since when.
pub(crate) fn timed(bundle: &Bundle) -> Result<(), Flaw> {
    let material = &bundle.verification_material;
    let by_log = material.tlog_entries.iter().any(|entry| promised_time(entry).is_some());
    if by_log || !material.timestamp_verification_data.rfc3161_timestamps.is_empty() {
        return Ok(());
    }
    Err(flaw(FlawKind::Timestamp, "nobody who is trusted says when it was signed"))
}

/// Passes where these times, which somebody vouched for, have been already.
///
/// # Errors
/// The kind that is given, which says who vouched. It may be our own clock that is wrong, so this is no fact
/// to keep: see [`Material::claimed_time`](crate::Material::claimed_time).
pub(crate) fn past(times: &[Timestamp], kind: FlawKind) -> Result<(), Flaw> {
    let now = Timestamp::now();
    match times.iter().find(|time| **time > now) {
        Some(time) => Err(flaw(kind, format_args!("signed at {time}, which is in the future"))),
        None => Ok(()),
    }
}

/// The time that a log vouches for.
fn promised_time(entry: &TransparencyLogEntry) -> Option<Timestamp> {
    let by_log = entry.inclusion_promise.is_some() && entry.kind_version != KindVersion::HashedRekordV002;
    entry.integrated_time.filter(|_| by_log)
}

/// When timestamp authorities saw a verified signature, in seconds since 1970.
///
/// The library gives the times of logs and authorities in one list. It verified every time that is in the
/// bundle, so those of the logs are known: what is left is the authorities'.
pub(crate) fn stamps(verified: &VerificationResult, bundle: &Bundle) -> Vec<i64> {
    let mut times: Vec<i64> = verified.verified_timestamps().iter().map(|time| time.as_second()).collect();
    for entry in &bundle.verification_material.tlog_entries {
        let time = promised_time(entry).map(|time| time.as_second());
        if let Some(at) = time.and_then(|time| times.iter().position(|other| *other == time)) {
            times.remove(at);
        }
    }
    times.sort_unstable();
    times
}

#[cfg(test)]
mod tests {
    use testkit::authority::{Authority, BundleVersion, Recipe, Record};

    use super::*;

    /// A bundle without signed timestamps, whose log entry says that it was recorded at some time, and less to prove it.
    fn without(record: Record, fields: &[&str]) -> Bundle {
        let recipe = Recipe::message("demand").recorded(record);
        let mut bundle = Authority::new("demand").mint(&recipe).bundle(BundleVersion::V03);
        let entry = &mut bundle["verificationMaterial"]["tlogEntries"][0];
        entry["integratedTime"] = "1760000000".into();
        for field in fields {
            entry.as_object_mut().unwrap().remove(*field).unwrap();
        }
        bundle["verificationMaterial"]["timestampVerificationData"] = serde_json::json!({});
        serde_json::from_value(bundle).unwrap()
    }

    #[test]
    fn a_log_entry_needs_a_promise_or_a_proof() {
        let recorded =
            |fields: &[&str]| recorded(&without(Record::HashedRekordV001, fields), Profile::STRICT);
        assert_eq!(recorded(&[]), Ok(()));
        assert_eq!(recorded(&["inclusionPromise"]), Ok(()));
        assert_eq!(recorded(&["inclusionProof"]), Ok(()));
        let neither = recorded(&["inclusionPromise", "inclusionProof"]);
        assert_eq!(neither.unwrap_err().kind, FlawKind::LogEntry);
    }

    #[test]
    fn a_log_tells_the_time_by_a_promise_alone() {
        let timed = |record, fields: &[&str]| timed(&without(record, fields)).map_err(|flaw| flaw.kind);
        assert_eq!(timed(Record::HashedRekordV001, &["inclusionProof"]), Ok(()));
        assert_eq!(timed(Record::HashedRekordV001, &["inclusionPromise"]), Err(FlawKind::Timestamp));
        assert_eq!(timed(Record::HashedRekordV002, &[]), Err(FlawKind::Timestamp));
    }
}
