//! Signatures that must be refused, each for one reason.

use oci::Digest;

use super::annotations::{BUNDLE, CERTIFICATE, CHAIN};
use super::certificates::LEAF_LIFETIME;
use super::identity::Identity;
use super::simple_signing::{payload, payload_of_type};
use super::{Authority, SignedLayer};

/// A `critical.type` that other signers use, and cosign does not.
const OTHER_TYPE: &str = "atomic container signature";

/// What is wrong with a signature. Everything else about it is right.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Attack {
    /// The certificate has no timestamp of any certificate log.
    NoCertificateTimestamp,
    /// The certificate's timestamp is by a log that the trust root does not name.
    TimestampByUnknownLog,
    /// The certificate is by an authority of the same names and other keys, whose chain comes with it.
    CertificateByStranger,
    /// The log recorded the signature a minute after the certificate had expired.
    LoggedAfterExpiry,
    /// There is no certificate, so nothing says whose key it is.
    NoCertificate,
    /// Another key than the certificate's signed; the log recorded it all the same.
    SignedByAnotherKey,
    /// The payload names another image than it did when it was signed and recorded.
    EditedPayload,
    /// The payload says that it is something else than an image signature. It is signed and recorded as such.
    WrongType,
    /// There is no log entry.
    NoLogEntry,
    /// The log entry is a good one, of another signature by the same identity (CVE-2022-36056).
    EntryOfAnother,
    /// The log entry says that it was recorded a second later than the log promised.
    EditedTime,
    /// The log entry is by a log that the trust root does not name.
    EntryInUnknownLog,
    /// The log entry goes by the identifier of the log that the trust root names, but another key signed it.
    ForgedPromise,
}

impl Attack {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::NoCertificateTimestamp,
        Self::TimestampByUnknownLog,
        Self::CertificateByStranger,
        Self::LoggedAfterExpiry,
        Self::NoCertificate,
        Self::SignedByAnotherKey,
        Self::EditedPayload,
        Self::WrongType,
        Self::NoLogEntry,
        Self::EntryOfAnother,
        Self::EditedTime,
        Self::EntryInUnknownLog,
        Self::ForgedPromise,
    ];

    pub(super) fn perform(
        self,
        authority: &Authority,
        digest: &Digest,
        docker_reference: &str,
        identity: &Identity,
    ) -> SignedLayer {
        let (own, stranger) = (&authority.certificates, &authority.stranger);
        let (known, unknown) = (&authority.certificate_log, &stranger.certificate_log);
        let signing = authority.signing(payload(digest, docker_reference), identity);
        let of_another_image = || {
            let other = Digest::of(digest.hash());
            authority.signing(payload(&other, docker_reference), identity)
        };
        match self {
            Self::NoCertificateTimestamp => signing.certified(own, None, identity).perform(),
            Self::TimestampByUnknownLog => signing.certified(own, Some(unknown), identity).perform(),
            Self::CertificateByStranger => {
                let certificates = &stranger.certificates;
                signing.certified(certificates, Some(known), identity).perform()
            }
            Self::LoggedAfterExpiry => signing.logged_after(LEAF_LIFETIME + 60).perform(),
            Self::NoCertificate => signing.perform().without(&[CERTIFICATE, CHAIN]),
            Self::SignedByAnotherKey => signing.by_key_of(of_another_image()).perform(),
            Self::EditedPayload => SignedLayer { payload: signing.payload, ..of_another_image().perform() },
            Self::WrongType => {
                let payload = payload_of_type(OTHER_TYPE, digest, docker_reference);
                signing.over(payload).perform()
            }
            Self::NoLogEntry => signing.perform().without(&[BUNDLE]),
            Self::EntryOfAnother => signing.perform().with_entry_of(&of_another_image().perform()),
            Self::EditedTime => signing.perform_postdated(),
            Self::EntryInUnknownLog => signing.recorded_by(&stranger.log).perform(),
            Self::ForgedPromise => signing.recorded_by(&stranger.impostor).perform(),
        }
    }
}

impl SignedLayer {
    fn without(mut self, names: &[&str]) -> Self {
        for name in names {
            self.annotations.remove(*name);
        }
        self
    }

    fn with_entry_of(mut self, other: &Self) -> Self {
        let entry = other.annotations.get(BUNDLE).cloned();
        self.annotations.extend(entry.map(|entry| (BUNDLE.to_owned(), entry)));
        self
    }
}
