//! Signatures that must be refused, each for one reason.

use super::Authority;
use super::certificates::LEAF_LIFETIME;
use super::minted::Minted;
use super::recipe::{Recipe, Record, Signer, Stamping, Subject};
use super::rekor::{Entry, Proof};

/// What is wrong with a signature. Everything else about it is right.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Attack {
    /// The certificate has no timestamp of any certificate log.
    NoCertificateTimestamp,
    /// The certificate's timestamp is by a log that the trust root does not name.
    TimestampByUnknownLog,
    /// The certificate has two timestamps, both good, where Sigstore's have one.
    TwoCertificateTimestamps,
    /// The certificate is by an authority of the same names and other keys, whose chain comes with it.
    CertificateByStranger,
    /// The certificate is a good one, of another signature by the same identity.
    CertificateOfAnother,
    /// There is no certificate, so nothing says whose key it is.
    NoCertificate,
    /// The log recorded the signature a minute after the certificate had expired.
    LoggedAfterExpiry,
    /// The log recorded the signature a minute before the certificate began.
    LoggedBeforeIssue,
    /// The certificate, the log and the timestamp all agree on a time that is years away.
    SignedInTheFuture,
    /// Another key than the certificate's, or than the one that is trusted, signed; the log recorded it all the
    /// same.
    SignedByAnotherKey,
    /// The payload names another image than it did when it was signed and recorded.
    EditedPayload,
    /// The payload says that it is something else than an image signature or a statement. It is signed and
    /// recorded as such.
    WrongType,
    /// There is no log entry.
    NoLogEntry,
    /// The log entry is a good one, of another signature by the same signer (CVE-2022-36056).
    EntryOfAnother,
    /// The log entry says that it was recorded a second later than the log promised.
    EditedTime,
    /// The log entry is by a log that the trust root does not name.
    EntryInUnknownLog,
    /// The log entry goes by the identifier of the log that the trust root names, but another key signed it.
    ForgedPromise,
    /// The log entry has a promise and no proof. In bundles from 0.2 that must be refused; elsewhere by whoever
    /// demands a proof.
    PromiseOnly,
    /// The log entry's proof leads to another root than its checkpoint names. In bundles alone.
    EditedProof,
    /// The checkpoint goes by the identifier of the log that the trust root names, but another key signed it. In
    /// bundles alone.
    ForgedCheckpoint,
    /// There is no timestamp, which must be refused where nothing else tells the time or where one is demanded.
    NoStamp,
    /// The timestamp is by an authority of the same names and another key.
    StampByStranger,
    /// The timestamp is a good one, of another signature by the same signer.
    StampOfAnother,
    /// The timestamp is of a minute after the certificate had expired.
    StampedAfterExpiry,
}

impl Attack {
    /// Those that an image signature of the tag scheme can suffer, keyless and recorded as cosign does.
    pub const ALL: [Self; 17] = [
        Self::NoCertificateTimestamp,
        Self::TimestampByUnknownLog,
        Self::TwoCertificateTimestamps,
        Self::CertificateByStranger,
        Self::CertificateOfAnother,
        Self::NoCertificate,
        Self::LoggedAfterExpiry,
        Self::LoggedBeforeIssue,
        Self::SignedInTheFuture,
        Self::SignedByAnotherKey,
        Self::EditedPayload,
        Self::WrongType,
        Self::NoLogEntry,
        Self::EntryOfAnother,
        Self::EditedTime,
        Self::EntryInUnknownLog,
        Self::ForgedPromise,
    ];

    /// Those that are made on the proof of a log entry, and so on bundles alone.
    pub const ON_PROOFS: [Self; 3] = [Self::PromiseOnly, Self::EditedProof, Self::ForgedCheckpoint];

    /// Those that are made on a timestamp.
    pub const ON_STAMPS: [Self; 4] =
        [Self::NoStamp, Self::StampByStranger, Self::StampOfAnother, Self::StampedAfterExpiry];

    /// Every attack there is.
    pub fn every() -> impl Iterator<Item = Self> {
        [&Self::ALL[..], &Self::ON_PROOFS, &Self::ON_STAMPS].concat().into_iter()
    }

    /// Whether what is attacked is there at all in what the recipe makes.
    pub fn fits(self, recipe: &Recipe) -> bool {
        let certified = matches!(recipe.signer, Signer::Identity(_));
        let stamped = recipe.stamping == Stamping::Asked;
        let recorded = recipe.record != Record::Nowhere;
        let promised = recorded && recipe.record != Record::HashedRekordV002;
        match self {
            Self::NoCertificateTimestamp
            | Self::TimestampByUnknownLog
            | Self::TwoCertificateTimestamps
            | Self::CertificateByStranger
            | Self::CertificateOfAnother
            | Self::NoCertificate => certified,
            Self::LoggedAfterExpiry | Self::LoggedBeforeIssue => certified && promised,
            Self::SignedInTheFuture => promised || stamped,
            Self::SignedByAnotherKey | Self::EditedPayload => true,
            Self::WrongType => !matches!(recipe.subject, Subject::Message(_)),
            Self::NoLogEntry
            | Self::EntryOfAnother
            | Self::EntryInUnknownLog
            | Self::EditedProof
            | Self::ForgedCheckpoint => recorded,
            Self::EditedTime | Self::ForgedPromise | Self::PromiseOnly => promised,
            Self::NoStamp | Self::StampByStranger | Self::StampOfAnother => stamped,
            Self::StampedAfterExpiry => stamped && certified,
        }
    }

    pub(super) fn perform<'a>(self, authority: &'a Authority, recipe: &Recipe) -> Minted<'a> {
        assert!(self.fits(recipe), "{self:?} does not fit {recipe:?}");
        let stranger = &authority.stranger;
        let (known, unknown) = (&authority.certificate_log, &stranger.certificate_log);
        let after_expiry = i64::try_from(LEAF_LIFETIME).unwrap_or_default() + 60;
        let signing = authority.signing(recipe);
        let another = || authority.signing(&recipe.of_another()).perform();
        match self {
            Self::NoCertificateTimestamp => signing.certificate_logged_by(&[]).perform(),
            Self::TimestampByUnknownLog => signing.certificate_logged_by(&[unknown]).perform(),
            Self::TwoCertificateTimestamps => signing.certificate_logged_by(&[known, known]).perform(),
            Self::CertificateByStranger => signing.certified_by(&stranger.certificates).perform(),
            Self::CertificateOfAnother => Minted { credential: another().credential, ..signing.perform() },
            Self::NoCertificate => signing.perform_without_certificate(),
            Self::LoggedAfterExpiry => signing.logged_after(after_expiry).perform(),
            Self::LoggedBeforeIssue => signing.logged_after(-60).perform(),
            Self::SignedInTheFuture => signing.in_the_future().perform(),
            Self::SignedByAnotherKey => signing.by_another_key().perform(),
            Self::EditedPayload => Minted { content: recipe.subject.content(), ..another() },
            Self::WrongType => signing.over(recipe.subject.misnamed()).perform(),
            Self::NoLogEntry => Minted { entry: None, ..signing.perform() },
            Self::EntryOfAnother => Minted { entry: another().entry, ..signing.perform() },
            Self::EditedTime => signing.perform().map_entry(Entry::postdated),
            Self::EntryInUnknownLog => signing.recorded_by(&stranger.logs).perform(),
            Self::ForgedPromise => signing.recorded_by(&stranger.impostors).perform(),
            Self::PromiseOnly => signing.perform().map_entry(|entry| entry.proven(Proof::Missing)),
            Self::EditedProof => signing.perform().map_entry(|entry| entry.proven(Proof::Edited)),
            Self::ForgedCheckpoint => {
                let proof = Proof::SignedBy(stranger.impostors.taking(recipe.record));
                signing.perform().map_entry(|entry| entry.proven(proof))
            }
            Self::NoStamp => signing.stamped_by(None).perform(),
            Self::StampByStranger => signing.stamped_by(Some(&stranger.timestamps)).perform(),
            Self::StampOfAnother => Minted { stamps: another().stamps, ..signing.perform() },
            Self::StampedAfterExpiry => signing.stamped_after(after_expiry).perform(),
        }
    }
}
