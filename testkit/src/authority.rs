//! A signing authority of our own: what the public Sigstore would issue, minted offline from a seed.

mod annotations;
mod attack;
mod bundle;
mod certificates;
pub(crate) mod entry_body;
pub(crate) mod envelope;
mod extensions;
pub(crate) mod hash;
mod identity;
pub(crate) mod key;
mod managed_key;
mod merkle;
mod minted;
mod recipe;
mod referrer;
mod rekor;
pub(crate) mod request;
mod sct;
mod signature_manifest;
mod signing;
mod simple_signing;
mod statement;
mod timestamp;
mod trusted_root;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use oci::Digest;

use certificates::CertificateAuthority;
use rekor::Logs;
use sct::CertificateLog;
use signing::Signing;
use timestamp::TimestampAuthority;

pub use attack::Attack;
pub use bundle::BundleVersion;
pub use identity::{Identity, ObjectIdentifier, San};
pub use managed_key::{KeyKind, ManagedKey, RsaSize};
pub use minted::{Minted, SignedLayer};
pub use recipe::{Recipe, Record, Signer};
pub use referrer::{IndexedAs, Referrer, referrer, referrers_index, referrers_tag};
pub use signature_manifest::{SignatureManifest, attestation_manifest, signature_manifest};
pub use statement::{IMAGE_SIGNATURE, Statement, StatementVersion};

/// When every authority begins, in seconds since 1970: 2026-01-01T00:00:00Z.
///
/// It lies in the past because verifiers read the clock themselves and refuse what was logged in the future.
pub const START: u64 = 1_767_225_600;

/// A certificate authority, a certificate log, transparency logs of both generations and a timestamp authority, and
/// the trust root that names them.
///
/// All its keys come from the seed and all signatures are deterministic (RFC 6979), so the same seed and the same
/// sequence of calls give the same bytes. Another seed gives an authority that the first one's trust root does not
/// know. The cryptography is real and the keys are public: trust it in tests alone.
///
/// ```
/// use testkit::authority::{Authority, Identity, signature_manifest};
///
/// let authority = Authority::new("a seed");
/// let image = oci::Digest::of(b"an image manifest");
/// let release = Identity::github_workflow("acme/app", "release.yaml@refs/heads/main");
/// let layer = authority.sign(&image, "registry.example/acme/app", &release);
/// assert!(layer.annotations.contains_key("dev.sigstore.cosign/certificate"));
/// assert_eq!(signature_manifest(&[layer]).payloads.len(), 1);
/// ```
#[derive(Debug)]
pub struct Authority {
    seed: String,
    certificates: CertificateAuthority,
    certificate_log: CertificateLog,
    logs: Logs,
    timestamps: TimestampAuthority,
    stranger: Stranger,
    signings: AtomicU64,
}

/// A second set of the same parties under other keys, which the trust root does not name.
#[derive(Debug)]
struct Stranger {
    certificates: CertificateAuthority,
    certificate_log: CertificateLog,
    logs: Logs,
    timestamps: TimestampAuthority,
    /// Say that they are the logs that the trust root names, but have other keys.
    impostors: Logs,
}

impl Authority {
    /// The authority of this seed, with logs that hold a few entries of others already.
    pub fn new(seed: &str) -> Self {
        let logs = Logs::new(seed);
        Self {
            certificates: CertificateAuthority::new(seed),
            certificate_log: CertificateLog::new(seed),
            timestamps: TimestampAuthority::new(seed),
            stranger: Stranger::of(seed, &logs),
            logs,
            seed: seed.to_owned(),
            signings: AtomicU64::new(0),
        }
    }

    /// The trust root that knows this authority, as a `trusted_root.json` of version 0.1.
    pub fn trusted_root(&self) -> String {
        trusted_root::document(&self.certificates, &self.certificate_log, &self.logs, &self.timestamps)
    }

    /// The certificates of those who issue to signers, in PEM: an intermediate, and the root above it.
    pub fn certificate_authority(&self) -> String {
        certificates::pem(self.certificates.chain())
    }

    /// Makes a signature.
    ///
    /// # Panics
    /// If an identity cannot be put into a certificate, see [`San`]; if a message is to be recorded as only a
    /// statement can be; and if the attack does not [fit](Attack::fits).
    pub fn mint(&self, recipe: &Recipe) -> Minted<'_> {
        match recipe.attack {
            Some(attack) => attack.perform(self, recipe),
            None => self.signing(recipe).perform(),
        }
    }

    /// Signs an image under an identity, as `cosign sign` does with a certificate and without a key.
    ///
    /// # Panics
    /// If the identity cannot be put into a certificate, see [`San`].
    pub fn sign(&self, digest: &Digest, docker_reference: &str, identity: &Identity) -> SignedLayer {
        self.mint(&Recipe::image(digest, docker_reference).by(identity)).layer()
    }

    /// Makes a signature that must be refused, for exactly the reason that the [`Attack`] names.
    ///
    /// # Panics
    /// As [`sign`](Self::sign), and if the attack is not one of [`Attack::ALL`].
    pub fn sign_with(
        &self,
        digest: &Digest,
        docker_reference: &str,
        identity: &Identity,
        attack: Attack,
    ) -> SignedLayer {
        assert!(Attack::ALL.contains(&attack), "{attack:?} is not made on the tag scheme");
        self.mint(&Recipe::image(digest, docker_reference).by(identity).with(attack)).layer()
    }

    /// Signs any bytes under an identity and returns a Sigstore bundle of version 0.3 as JSON, with an inclusion
    /// proof and a signed checkpoint. Tests that want a broken bundle edit the document.
    ///
    /// # Panics
    /// As [`sign`](Self::sign).
    pub fn sign_message_bundle(&self, artifact: &[u8], identity: &Identity) -> serde_json::Value {
        let artifact = Bytes::copy_from_slice(artifact);
        self.mint(&Recipe::message(artifact).by(identity)).bundle(BundleVersion::V03)
    }

    fn signing(&self, recipe: &Recipe) -> Signing<'_> {
        let number = self.signings.fetch_add(1, Ordering::Relaxed);
        Signing::new(self, number, recipe)
    }
}

impl Stranger {
    fn of(seed: &str, logs: &Logs) -> Self {
        let seed = format!("{seed}/stranger");
        Self {
            certificates: CertificateAuthority::new(&seed),
            certificate_log: CertificateLog::new(&seed),
            timestamps: TimestampAuthority::new(&seed),
            logs: Logs::new(&seed),
            impostors: Logs::impersonating(logs, &format!("{seed}/impostor")),
        }
    }
}
