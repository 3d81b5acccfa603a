//! A signing authority of our own: what the public Sigstore would issue, minted offline from a seed.

mod annotations;
mod attack;
mod bundle;
mod certificates;
mod extensions;
mod identity;
mod key;
mod merkle;
mod rekor;
mod sct;
mod signature_manifest;
mod signing;
mod simple_signing;
mod trusted_root;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use oci::Digest;

use certificates::CertificateAuthority;
use key::Key;
use rekor::TransparencyLog;
use sct::CertificateLog;
use signing::Signing;

pub use attack::Attack;
pub use identity::{Identity, ObjectIdentifier, San};
pub use signature_manifest::{SignatureManifest, signature_manifest};

/// When every authority begins, in seconds since 1970: 2026-01-01T00:00:00Z.
///
/// It lies in the past because verifiers read the clock themselves and refuse what was logged in the future.
pub const START: u64 = 1_767_225_600;

/// A certificate authority, a certificate log and a transparency log, and the trust root that names them.
///
/// All keys come from the seed and all signatures are deterministic (RFC 6979), so the same seed and the same
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
    log: TransparencyLog,
    stranger: Stranger,
    signings: AtomicU64,
}

/// A second set of the same parties under other keys, which the trust root does not name.
#[derive(Debug)]
struct Stranger {
    certificates: CertificateAuthority,
    certificate_log: CertificateLog,
    log: TransparencyLog,
    /// Says that it is the log that the trust root names, but has another key.
    impostor: TransparencyLog,
}

/// One signature as cosign attaches it: a layer of the `.sig` manifest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedLayer {
    /// The simple-signing document that was signed: the layer's content.
    pub payload: Bytes,
    /// The signature, the certificate with its chain, and the log's promise: the layer's annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Authority {
    /// The authority of this seed, with a log that holds a few entries of others already.
    pub fn new(seed: &str) -> Self {
        let log = TransparencyLog::new(Key::seeded(&format!("{seed}/rekor")));
        Self {
            certificates: CertificateAuthority::new(seed),
            certificate_log: CertificateLog::new(seed),
            stranger: Stranger::of(seed, &log),
            log,
            seed: seed.to_owned(),
            signings: AtomicU64::new(0),
        }
    }

    /// The trust root that knows this authority, as a `trusted_root.json` of version 0.1.
    pub fn trusted_root(&self) -> String {
        trusted_root::document(&self.certificates, &self.certificate_log, &self.log)
    }

    /// Signs an image under an identity, as `cosign sign` does with a certificate and without a key.
    ///
    /// # Panics
    /// If the identity cannot be put into a certificate, see [`San`].
    pub fn sign(&self, digest: &Digest, docker_reference: &str, identity: &Identity) -> SignedLayer {
        let payload = simple_signing::payload(digest, docker_reference);
        self.signing(payload, identity).perform()
    }

    /// Makes a signature that must be refused, for exactly the reason that the [`Attack`] names.
    ///
    /// # Panics
    /// As [`sign`](Self::sign).
    pub fn sign_with(
        &self,
        digest: &Digest,
        docker_reference: &str,
        identity: &Identity,
        attack: Attack,
    ) -> SignedLayer {
        attack.perform(self, digest, docker_reference, identity)
    }

    /// Signs any bytes under an identity and returns a Sigstore bundle of version 0.3 as JSON, with an inclusion
    /// proof and a signed checkpoint. Tests that want a broken bundle edit the document.
    ///
    /// # Panics
    /// As [`sign`](Self::sign).
    pub fn sign_message_bundle(&self, artifact: &[u8], identity: &Identity) -> serde_json::Value {
        bundle::message(&self.signing(Bytes::copy_from_slice(artifact), identity))
    }

    fn signing(&self, payload: Bytes, identity: &Identity) -> Signing<'_> {
        let number = self.signings.fetch_add(1, Ordering::Relaxed);
        Signing::new(self, number, payload, identity)
    }
}

impl Stranger {
    fn of(seed: &str, log: &TransparencyLog) -> Self {
        let seed = format!("{seed}/stranger");
        Self {
            certificates: CertificateAuthority::new(&seed),
            certificate_log: CertificateLog::new(&seed),
            log: TransparencyLog::new(Key::seeded(&format!("{seed}/rekor"))),
            impostor: TransparencyLog::impersonating(log, Key::seeded(&format!("{seed}/impostor"))),
        }
    }
}
