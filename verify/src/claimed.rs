//! What some material says: read whole, and not verified yet.

use bytes::Bytes;
use oci::Digest;
use policies::{Claim, Flaw, FlawKind};
use sigstore_verify::types::{
    Artifact, ArtifactDigest, Bundle, HashAlgorithm, MessageSignature, Sha256Hash, SignatureContent,
};

use crate::envelope::Envelope;
use crate::flaw::flaw;
use crate::legacy_bundle::{self, Under};
use crate::log_entry::{self, Of, Promised};
use crate::material::{Kind, Material};
use crate::sigstore_bundle::{self, Parsed, Signed};
use crate::{old_attestation, simple_signing, statement};

/// What some material says.
pub(crate) struct Claimed {
    /// The images that it speaks of.
    pub(crate) subjects: Vec<Digest>,
    /// What it says of them.
    pub(crate) claim: Claim,
    /// What is signed.
    pub(crate) content: Content,
    /// All of it, as the library has it.
    pub(crate) bundle: Bundle,
    /// A log entry that the library does not read.
    pub(crate) old_entry: Option<old_attestation::Entry>,
    /// What signed timestamps are of, where that is not the signature.
    pub(crate) stamped: Option<Bytes>,
}

/// What is signed.
pub(crate) enum Content {
    /// These bytes.
    Payload(Bytes),
    /// The bytes with this digest, which are not at hand.
    Digest(ArtifactDigest),
    /// An envelope.
    Envelope(Envelope),
}

/// What to do about the log entries of a signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Entries {
    /// Nobody asks for them.
    Ignored,
    /// They are read.
    Read,
}

/// Reads some material.
///
/// # Errors
/// The first part that is missing, does not parse or is not supported.
pub(crate) fn read(material: &Material, under: Under, entries: Entries) -> Result<Claimed, Flaw> {
    match material.kind() {
        Kind::SimpleSigning { payload, annotations } => {
            let subjects = vec![simple_signing::subject(payload)?];
            let bundle = legacy_bundle::of_message(payload, annotations, under)?;
            let content = Content::Payload(payload.clone());
            let claimed =
                Claimed { subjects, claim: Claim::Image, content, bundle, old_entry: None, stamped: None };
            let promised = read_entry(annotations, Of::Message, entries)?;
            Ok(claimed.with_entry(promised, Digest::of(payload)))
        }
        Kind::Envelope { envelope: json, annotations } => {
            let envelope = Envelope::parse(json)?;
            let bundle = legacy_bundle::of_envelope(&envelope, annotations, under)?;
            // Of an attestation, cosign has the whole envelope stamped.
            let claimed = Claimed { stamped: Some(json.clone()), ..of_envelope(envelope, bundle)? };
            let promised = read_entry(annotations, Of::Envelope, entries)?;
            Ok(claimed.with_entry(promised, Digest::of(json)))
        }
        Kind::Bundle { json } => of_bundle(sigstore_bundle::parse(json)?),
    }
}

fn read_entry(
    annotations: &std::collections::BTreeMap<String, String>,
    of: Of,
    entries: Entries,
) -> Result<Option<Promised>, Flaw> {
    match entries {
        Entries::Ignored => Ok(None),
        Entries::Read => log_entry::read(annotations, of),
    }
}

/// What a bundle says, of which the image's manifest is the message where it signs one.
pub(crate) fn of_bundle(parsed: Parsed) -> Result<Claimed, Flaw> {
    let Parsed { bundle, signed } = parsed;
    match signed {
        Signed::Envelope(envelope) => of_envelope(envelope, bundle),
        Signed::Message(message) => {
            let digest = sha256_of(&message)?;
            let content = Content::Digest(ArtifactDigest::sha256(Sha256Hash::new(digest)));
            let subjects = vec![Digest::from_sha256(digest)];
            Ok(Claimed { subjects, claim: Claim::Image, content, bundle, old_entry: None, stamped: None })
        }
    }
}

fn of_envelope(envelope: Envelope, bundle: Bundle) -> Result<Claimed, Flaw> {
    let statement = statement::read(&envelope)?;
    Ok(Claimed {
        subjects: statement.subjects,
        claim: statement.claim,
        content: Content::Envelope(envelope),
        bundle,
        old_entry: None,
        stamped: None,
    })
}

/// The digest that a signed message says that it has.
fn sha256_of(message: &MessageSignature) -> Result<[u8; 32], Flaw> {
    let digest = message.message_digest.as_ref();
    let digest =
        digest.ok_or_else(|| flaw(FlawKind::Malformed, "bundle does not say which digest is signed"))?;
    if digest.algorithm != HashAlgorithm::Sha2256 {
        let detail =
            format_args!("a digest by {} is signed, and images are known by sha256", digest.algorithm);
        return Err(flaw(FlawKind::Unsupported, detail));
    }
    let hash = digest.digest.as_bytes().try_into();
    hash.map_err(|_| flaw(FlawKind::Malformed, "the signed digest is not as long as a sha256"))
}

impl Claimed {
    fn with_entry(mut self, promised: Option<Promised>, signed: Digest) -> Self {
        match promised {
            None => {}
            Some(promised) => match promised.kind {
                log_entry::Kind::Known(kind) => {
                    self.bundle.verification_material.tlog_entries.push(promised.for_library(kind));
                }
                log_entry::Kind::OldAttestation => {
                    self.old_entry = Some(old_attestation::Entry { promised, envelope: signed });
                }
            },
        }
        self
    }

    /// The signature itself.
    ///
    /// # Errors
    /// [`FlawKind::Unsupported`] of what is signed in a way that is not known here.
    pub(crate) fn signature(&self) -> Result<&[u8], Flaw> {
        match &self.bundle.content {
            SignatureContent::MessageSignature(message) => Ok(message.signature.as_bytes()),
            SignatureContent::DsseEnvelope(envelope) => Ok(envelope.signature.sig.as_bytes()),
            _ => Err(flaw(FlawKind::Unsupported, "what is signed is of an unknown kind")),
        }
    }

    /// What the library is to find signed.
    pub(crate) fn artifact(&self) -> Result<Artifact<'_>, Flaw> {
        match &self.content {
            Content::Payload(payload) => Ok(Artifact::from_blob(payload)),
            Content::Digest(digest) => Ok(Artifact::from_digest(digest.clone())),
            // The library wants one subject of the statement. All of them are signed alike.
            Content::Envelope(_) => self.subject(),
        }
    }

    fn subject(&self) -> Result<Artifact<'_>, Flaw> {
        let subject = self.subjects.first().and_then(|subject| <[u8; 32]>::try_from(subject.hash()).ok());
        let subject = subject.ok_or_else(|| flaw(FlawKind::Malformed, "statement has no subject"))?;
        Ok(Artifact::from_digest(ArtifactDigest::sha256(Sha256Hash::new(subject))))
    }
}
