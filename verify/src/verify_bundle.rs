//! One bundle against one expectation: what Sigstore's conformance suite asks of a client.

use bytes::Bytes;
use oci::Digest;
use policies::{Claim, Flaw, FlawKind, Profile, PublicKey, Signature};
use sigstore_verify::types::{ArtifactDigest, HashAlgorithm, Sha256Hash};

use crate::claimed::{self, Claimed, Content};
use crate::flaw::flaw;
use crate::sigstore_bundle::{self, Parsed, Signed};
use crate::{TrustRoot, by_certificate, by_key, recorded};

/// What a bundle is to be of.
#[derive(Clone, Debug)]
pub enum Artifact {
    /// These bytes.
    Bytes(Bytes),
    /// The bytes with this `sha256`.
    Digest(Digest),
}

/// Who is to have signed.
#[derive(Clone, Copy, Debug)]
pub enum Expected<'a> {
    /// Whoever has a certificate with this subject alternative name, by this issuer: both as they are
    /// spelled.
    Identity {
        /// The subject alternative name.
        subject: &'a str,
        /// The OpenID Connect issuer.
        issuer: &'a str,
    },
    /// Whoever holds this key.
    Key(&'a PublicKey),
}

/// Verifies that a bundle, in JSON, is of an artifact and by whom it is expected to be by, as strictly as
/// images are.
///
/// Statements count whatever they say, where the artifact is one of their subjects.
///
/// # Errors
/// The first check that fails. Of a signature by somebody else it is [`FlawKind::Certificate`], as of one of
/// something else it is [`FlawKind::Signature`].
pub fn verify_bundle(
    artifact: &Artifact,
    bundle_json: &[u8],
    expected: Expected<'_>,
    trust_root: &TrustRoot,
) -> Result<(), Flaw> {
    let claimed = claimed_of(artifact, sigstore_bundle::parse(bundle_json)?)?;
    match expected {
        Expected::Key(key) => {
            by_key::verify(claimed, key, trust_root, Profile::STRICT)?;
            Ok(())
        }
        Expected::Identity { subject, issuer } => {
            let signature = by_certificate::verify(claimed, trust_root, Profile::STRICT)?;
            by(&signature, subject, issuer)
        }
    }
}

/// What a bundle says, where it says that it is of this artifact.
fn claimed_of(artifact: &Artifact, parsed: Parsed) -> Result<Claimed, Flaw> {
    let digest = match artifact {
        Artifact::Bytes(bytes) => Digest::of(bytes),
        Artifact::Digest(digest) => *digest,
    };
    let of_another = || flaw(FlawKind::Signature, "signed is something else");
    match &parsed.signed {
        Signed::Envelope(_) => {
            let claimed = claimed::of_bundle(parsed)?;
            return if claimed.subjects.contains(&digest) { Ok(claimed) } else { Err(of_another()) };
        }
        Signed::Message(message) => {
            let said = message.message_digest.as_ref();
            if said
                .is_some_and(|said| hashed(artifact, said.algorithm).is_some_and(|hash| said.digest != hash))
            {
                return Err(of_another());
            }
        }
    }
    let content = match artifact {
        Artifact::Bytes(bytes) => Content::Payload(bytes.clone()),
        Artifact::Digest(digest) => {
            let hash = <[u8; 32]>::try_from(digest.hash())
                .map_err(|_| flaw(FlawKind::Unsupported, "artifacts are known by their sha256 here"))?;
            Content::Digest(ArtifactDigest::sha256(Sha256Hash::new(hash)))
        }
    };
    let (subjects, claim) = (vec![digest], Claim::Image);
    Ok(Claimed { subjects, claim, content, bundle: parsed.bundle, old_entry: None, stamped: None })
}

/// The hash of an artifact, where it can be told.
fn hashed(artifact: &Artifact, algorithm: HashAlgorithm) -> Option<Vec<u8>> {
    match artifact {
        Artifact::Bytes(bytes) => recorded::hash_of(algorithm, bytes),
        Artifact::Digest(digest) => (algorithm == HashAlgorithm::Sha2256).then(|| digest.hash().to_vec()),
    }
}

fn by(signature: &Signature, subject: &str, issuer: &str) -> Result<(), Flaw> {
    let signer = signature.signer.identity();
    let accepted = signer
        .is_some_and(|signer| signer.issuer == issuer && signer.subjects.iter().any(|name| name == subject));
    if accepted {
        return Ok(());
    }
    let signer = signer.map(|signer| format!("{} by {}", signer.subjects.join(", "), signer.issuer));
    let signer = signer.unwrap_or_default();
    Err(flaw(FlawKind::Certificate, format_args!("certificate is of {signer}, not of {subject} by {issuer}")))
}
