//! Whom facts rest on: the authorities and logs that are trusted.

use std::fmt;

use oci::Digest;
use sigstore_verify::Verifier;
use sigstore_verify::crypto::Keyring;
use sigstore_verify::trust_root::{
    SIGSTORE_PRODUCTION_TRUSTED_ROOT, SIGSTORE_STAGING_TRUSTED_ROOT, TrustedRoot,
};
use sigstore_verify::types::{Sha256Hash, TsaAuthority};
use thiserror::Error;

use crate::notary::Notary;

/// The most bytes that a trust root may have. The public ones have about seven thousand.
const LIMIT: usize = 1024 * 1024;

/// What the media types of a trusted root begin with, whatever its version.
const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.trustedroot";

/// Trust material that was parsed whole: every key and certificate of it can be used.
///
/// It is what Sigstore calls a
/// [`trusted_root.json`](https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto). It
/// never changes; a new revision is a new value with another [`id`](Self::id).
pub struct TrustRoot {
    id: Digest,
    root: TrustedRoot,
    verifier: Verifier,
    /// Believes [our own log](Notary) in place of those of the root.
    restated: Verifier,
    log_keys: Keyring,
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
    /// It names no authority that issues certificates, so no signature could ever be traced to it.
    #[error("trust root has no certificate authority")]
    NoCertificateAuthority,
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
        if root.certificate_authorities.is_empty() {
            return Err(InvalidTrustRoot::NoCertificateAuthority);
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
        Ok(Self { id, root, verifier, restated, log_keys })
    }

    /// What distinguishes this root from every other: the digest of the text that it was read from.
    ///
    /// Two spellings of one root have two ids. That costs a second check of what rests on them and can never let
    /// facts of one root pass for those of another.
    pub fn id(&self) -> Digest {
        self.id
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
    fn what_is_no_trust_root_is_refused() {
        assert!(matches!(TrustRoot::from_json("{"), Err(InvalidTrustRoot::Malformed(_))));
        assert!(matches!(
            TrustRoot::from_json(r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}"#),
            Err(InvalidTrustRoot::UnsupportedMediaType(_))
        ));
        let nobody = edited(|root| root["certificateAuthorities"] = [(); 0].into());
        assert!(matches!(nobody, Err(InvalidTrustRoot::NoCertificateAuthority)));
        let large = " ".repeat(LIMIT + 1);
        assert!(matches!(TrustRoot::from_json(&large), Err(InvalidTrustRoot::TooLarge)));
    }
}
