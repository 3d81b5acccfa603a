//! Whom facts rest on: the authorities and logs that are trusted.

mod keys;

use std::fmt;

use oci::{Algorithm, Digest, Hasher};
use sigstore_verify::Verifier;
use sigstore_verify::crypto::Keyring;
use sigstore_verify::trust_root::{
    SIGSTORE_PRODUCTION_TRUSTED_ROOT, SIGSTORE_STAGING_TRUSTED_ROOT, TrustedRoot,
};
use sigstore_verify::types::{Sha256Hash, TimeRange, TsaAuthority};
use thiserror::Error;

use crate::notary::Notary;
use crate::{private_authority, timestamps};

/// The most bytes that a trust root may have. The public ones have about seven thousand.
const LIMIT: usize = 1024 * 1024;

/// What the media types of a trusted root begin with, whatever its version.
const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.trustedroot";

/// Trust material that was parsed whole: every key and certificate of it can be used.
///
/// It is what Sigstore calls a
/// [`trusted_root.json`](https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto).
/// It never changes; a new revision is a new value with another [`id`](Self::id).
pub struct TrustRoot {
    id: Digest,
    root: TrustedRoot,
    verifier: Verifier,
    /// Believes [our own log](Notary) in place of those of the root.
    restated: Verifier,
    log_keys: Keyring,
    /// How timestamps name the authorities that are known.
    stampers: Vec<Vec<u8>>,
}

/// Why some text is no trust root. Whoever gets this keeps the last good one.
#[derive(Debug, Error)]
pub enum InvalidTrustRoot {
    /// It is larger than is looked at.
    #[error("trust root is larger than {LIMIT} bytes")]
    TooLarge,
    /// It is not the JSON of a trusted root.
    #[error("trust root is malformed")]
    Malformed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It is the JSON of something else, which would read as a root that trusts nobody.
    #[error("media type {0:?} is not that of a trusted root")]
    UnsupportedMediaType(String),
    /// It names nobody, so no signature could ever be traced to it.
    #[error("trust root has no certificate authority, no transparency log and no timestamp authority")]
    Nobody,
    /// Some key, certificate or period of validity in it cannot be used.
    #[error("trust root has a part that cannot be used")]
    Unusable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl TrustRoot {
    /// The root of Sigstore's public-good instance, as built in.
    ///
    /// # Errors
    /// None in practice: a test of this crate reads it.
    pub fn public_good() -> Result<Self, InvalidTrustRoot> {
        Self::from_json(SIGSTORE_PRODUCTION_TRUSTED_ROOT)
    }

    /// The root of Sigstore's staging instance, as built in.
    ///
    /// # Errors
    /// None in practice: a test of this crate reads it.
    pub fn staging() -> Result<Self, InvalidTrustRoot> {
        Self::from_json(SIGSTORE_STAGING_TRUSTED_ROOT)
    }

    /// Reads a `trusted_root.json` of at most 1 MiB.
    ///
    /// # Errors
    /// One part that cannot be used refuses the whole: what is trusted changes whole or not at all.
    pub fn from_json(text: &str) -> Result<Self, InvalidTrustRoot> {
        if text.len() > LIMIT {
            return Err(InvalidTrustRoot::TooLarge);
        }
        let root = TrustedRoot::from_json(text).map_err(|error| InvalidTrustRoot::Malformed(error.into()))?;
        if !root.media_type.starts_with(MEDIA_TYPE) {
            return Err(InvalidTrustRoot::UnsupportedMediaType(root.media_type));
        }
        if root.certificate_authorities.is_empty()
            && root.tlogs.is_empty()
            && root.timestamp_authorities.is_empty()
        {
            return Err(InvalidTrustRoot::Nobody);
        }
        Self::build(Digest::of(text.as_bytes()), root)
    }

    fn build(id: Digest, root: TrustedRoot) -> Result<Self, InvalidTrustRoot> {
        fn unusable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> InvalidTrustRoot {
            InvalidTrustRoot::Unusable(error.into())
        }
        let verifier = Verifier::new(&root).map_err(unusable)?;
        let log_keys = root.rekor_keys().map_err(unusable)?;
        let restated = Notary::get().map_err(unusable)?.verifier(root.clone()).map_err(unusable)?;
        let authorities = root.tsa_authorities();
        let stampers = authorities.iter().flat_map(|authority| timestamps::marks(authority.leaf.as_bytes()));
        let stampers = stampers.collect();
        Ok(Self { id, root, verifier, restated, log_keys, stampers })
    }

    /// What distinguishes this root from every other: the digest of the text that it was read from.
    ///
    /// Two spellings of one root have two ids. That costs a second check of what rests on them and can never
    /// let facts of one root pass for those of another.
    pub fn id(&self) -> Digest {
        self.id
    }

    /// The root of whom three others trust: one for certificates, with the certificate logs that go with
    /// them, one for transparency logs, and one for timestamps. Its [`id`](Self::id) is theirs taken
    /// together.
    ///
    /// # Panics
    /// Never: whatever three roots can each be used for, they can be used for together.
    pub fn compose(certificates: &Self, logs: &Self, timestamps: &Self) -> Self {
        let mut root = certificates.root.clone();
        root.tlogs = logs.root.tlogs.clone();
        root.timestamp_authorities = timestamps.root.timestamp_authorities.clone();
        let id = Self::composed_id(certificates, logs, timestamps);
        #[expect(
            clippy::expect_used,
            reason = "each part was found to be usable in the root that it is from"
        )]
        Self::build(id, root).expect("parts of roots that can be used")
    }

    /// The root of whom another trusts, but for certificates: those have to be by authorities whose own are
    /// these, in PEM, at most eight and 1 MiB. They are trusted for as long as they say.
    ///
    /// Certificates of a company's own authority lack what Sigstore's have. Without a timestamp of a certificate
    /// log that `base` knows, they count where none is [demanded](policies::Profile::certificate_timestamp).
    /// They have to be for signing code, and to name an issuer as Sigstore's do.
    ///
    /// # Errors
    /// One certificate that is not an authority's refuses the whole.
    pub fn with_certificate_authority(pem: &str, base: &Self) -> Result<Self, InvalidTrustRoot> {
        if pem.len() > LIMIT {
            return Err(InvalidTrustRoot::TooLarge);
        }
        let mut root = base.root.clone();
        root.certificate_authorities =
            private_authority::read(pem).map_err(|error| InvalidTrustRoot::Unusable(error.into()))?;
        if root.certificate_authorities.is_empty() {
            return Err(InvalidTrustRoot::Nobody);
        }
        let mut hasher = Hasher::new(Algorithm::Sha256);
        // No text of a root begins like this, and no other root that is made of others.
        hasher.update(b"certified by\n");
        hasher.update(base.id.hash());
        hasher.update(pem.as_bytes());
        Self::build(hasher.finish(), root)
    }

    fn composed_id(certificates: &Self, logs: &Self, timestamps: &Self) -> Digest {
        if certificates.id == logs.id && certificates.id == timestamps.id {
            return certificates.id;
        }
        let mut hasher = Hasher::new(Algorithm::Sha256);
        // No text of a root begins like this, so no root that was read has the same.
        hasher.update(b"composed of\n");
        [certificates, logs, timestamps].into_iter().for_each(|root| hasher.update(root.id.hash()));
        hasher.finish()
    }

    /// When this root can vouch for nothing new any more, in seconds since 1970, if it says so: when the last
    /// of its certificate authorities ends, or the last of its transparency logs. What was signed before can
    /// still be verified.
    ///
    /// A root in a file does not expire by itself. This is the time by which there has to be another.
    pub fn ends(&self) -> Option<i64> {
        let authorities = self.root.certificate_authorities.iter().map(|authority| authority.valid_for);
        let logs = self.root.tlogs.iter().map(|log| log.public_key.valid_for);
        let last = |periods: &mut dyn Iterator<Item = Option<TimeRange>>| {
            let ends = periods.map(|period| period.and_then(|period| period.end));
            // One period without an end is without an end for all.
            ends.collect::<Option<Vec<_>>>()?.into_iter().max()
        };
        let ends = [last(&mut { authorities }), last(&mut { logs })];
        ends.into_iter().flatten().min().map(|end| end.as_second())
    }

    pub(crate) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    pub(crate) fn restated(&self) -> &Verifier {
        &self.restated
    }

    pub(crate) fn log_keys(&self) -> &Keyring {
        &self.log_keys
    }

    pub(crate) fn timestamp_authorities(&self) -> Vec<TsaAuthority> {
        self.root.tsa_authorities()
    }

    /// Whether a timestamp says that it is by an authority that is trusted at any time. Nothing vouches for
    /// that.
    pub(crate) fn knows_stamper(&self, token: &[u8]) -> bool {
        let named = |mark: &Vec<u8>| token.windows(mark.len()).any(|window| window == mark.as_slice());
        self.stampers.iter().any(named)
    }

    /// Whether a log of this name (the sha256 of its key) is trusted at any time.
    pub(crate) fn knows_log(&self, id: &[u8]) -> bool {
        Sha256Hash::try_from(id).is_ok_and(|id| self.log_keys.key(&id).is_some())
    }
}

impl fmt::Debug for TrustRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustRoot").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(edit: impl FnOnce(&mut serde_json::Value)) -> Result<TrustRoot, InvalidTrustRoot> {
        let mut root = serde_json::from_str(SIGSTORE_PRODUCTION_TRUSTED_ROOT).unwrap();
        edit(&mut root);
        TrustRoot::from_json(&root.to_string())
    }

    #[test]
    fn the_built_in_roots_are_whole_and_distinct() {
        fn shared<T: Send + Sync + 'static>(_: &T) {}
        let (public_good, staging) = (TrustRoot::public_good().unwrap(), TrustRoot::staging().unwrap());
        shared(&public_good);
        assert_ne!(public_good.id(), staging.id());
        assert_eq!(public_good.id(), TrustRoot::public_good().unwrap().id());
    }

    #[test]
    fn a_root_with_one_broken_part_is_refused_whole() {
        let broken = edited(|root| root["tlogs"][0]["publicKey"]["rawBytes"] = "AAAA".into());
        assert!(matches!(broken, Err(InvalidTrustRoot::Unusable(_))));
        let twice = edited(|root| {
            let log = root["ctlogs"][0].clone();
            root["ctlogs"].as_array_mut().unwrap().push(log);
        });
        assert!(matches!(twice, Err(InvalidTrustRoot::Unusable(_))));
        let chainless =
            edited(|root| root["certificateAuthorities"][0]["certChain"]["certificates"] = [(); 0].into());
        assert!(matches!(chainless, Err(InvalidTrustRoot::Unusable(_))));
    }

    #[test]
    fn a_composed_root_is_its_parts_and_no_other() {
        let (public_good, staging) = (TrustRoot::public_good().unwrap(), TrustRoot::staging().unwrap());
        let same = TrustRoot::compose(&public_good, &public_good, &public_good);
        assert_eq!(same.id(), public_good.id());
        let logs_of_staging = TrustRoot::compose(&public_good, &staging, &public_good);
        let log = |root: &TrustRoot| root.root.tlogs[0].log_id.key_id.as_bytes().to_vec();
        assert!(logs_of_staging.knows_log(&log(&staging)));
        assert!(!logs_of_staging.knows_log(&log(&public_good)));
        let all = [
            public_good.id(),
            staging.id(),
            logs_of_staging.id(),
            TrustRoot::compose(&staging, &public_good, &public_good).id(),
            TrustRoot::compose(&public_good, &public_good, &staging).id(),
            TrustRoot::compose(&staging, &staging, &public_good).id(),
        ];
        for (index, id) in all.iter().enumerate() {
            assert!(!all[..index].contains(id), "{index}");
        }
    }

    #[test]
    fn a_root_ends_with_its_last_authority_or_its_last_log() {
        assert_eq!(TrustRoot::public_good().unwrap().ends(), None);
        let ending = |authorities: &[Option<&str>], logs: &[Option<&str>]| {
            let root = edited(|root| {
                for (list, pointer, ends) in [
                    ("certificateAuthorities", "/validFor", authorities),
                    ("tlogs", "/publicKey/validFor", logs),
                ] {
                    let entries = root[list].as_array_mut().unwrap();
                    entries.truncate(ends.len());
                    assert_eq!(entries.len(), ends.len());
                    for (entry, end) in entries.iter_mut().zip(ends) {
                        let period = entry.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
                        period.remove("end");
                        period.extend(end.map(|end| ("end".to_owned(), end.into())));
                    }
                }
            });
            root.unwrap().ends()
        };
        let (early, late) = (Some("2040-01-01T00:00:00Z"), Some("2041-01-01T00:00:00Z"));
        assert_eq!(ending(&[early, late], &[None]), Some(2_240_611_200));
        assert_eq!(ending(&[early, None], &[late]), Some(2_240_611_200));
        assert_eq!(ending(&[late, late], &[early]), Some(2_208_988_800));
        assert_eq!(ending(&[early, None], &[None]), None);
    }

    #[test]
    fn what_is_no_trust_root_is_refused() {
        assert!(matches!(TrustRoot::from_json("{"), Err(InvalidTrustRoot::Malformed(_))));
        assert!(matches!(
            TrustRoot::from_json(r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}"#),
            Err(InvalidTrustRoot::UnsupportedMediaType(_))
        ));
        let named = |root: &mut serde_json::Value, lists: &[&str]| {
            lists.iter().for_each(|list| root[*list] = [(); 0].into());
        };
        let lists = ["certificateAuthorities", "tlogs", "timestampAuthorities"];
        let nobody = edited(|root| named(root, &lists));
        assert!(matches!(nobody, Err(InvalidTrustRoot::Nobody)));
        for kept in 0..lists.len() {
            // Policies may name a root for its logs or its timestamp authorities alone.
            let others: Vec<_> = lists.iter().copied().filter(|list| *list != lists[kept]).collect();
            assert!(edited(|root| named(root, &others)).is_ok(), "{}", lists[kept]);
        }
        let large = " ".repeat(LIMIT + 1);
        assert!(matches!(TrustRoot::from_json(&large), Err(InvalidTrustRoot::TooLarge)));
    }
}
