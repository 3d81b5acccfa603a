//! What to mint: what is signed, by whom, where that is recorded, and what is wrong with it.

use bytes::Bytes;
use oci::Digest;

use super::attack::Attack;
use super::envelope::{Envelope, IN_TOTO};
use super::identity::Identity;
use super::managed_key::ManagedKey;
use super::simple_signing;
use super::statement::Statement;

/// A payload type that is not that of statements.
const OTHER_PAYLOAD_TYPE: &str = "application/vnd.testkit.other+json";

/// An order for one signature, which [`Authority::mint`](super::Authority::mint) makes.
///
/// ```
/// use testkit::authority::{Attack, Authority, BundleVersion, Identity, Recipe, Statement};
///
/// let authority = Authority::new("a seed");
/// let image = oci::Digest::of(b"an image manifest");
/// let release = Identity::github_workflow("acme/app", "release.yaml@refs/heads/main");
/// let recipe = Recipe::statement(Statement::image_signature(&image)).by(&release);
/// let good = authority.mint(&recipe).bundle(BundleVersion::V03);
/// let bad = authority.mint(&recipe.with(Attack::EntryOfAnother)).bundle(BundleVersion::V03);
/// assert_eq!(good["dsseEnvelope"]["payload"], bad["dsseEnvelope"]["payload"]);
/// ```
#[derive(Clone, Debug)]
pub struct Recipe {
    pub(super) subject: Subject,
    pub(super) signer: Signer,
    pub(super) record: Record,
    pub(super) stamping: Stamping,
    pub(super) attack: Option<Attack>,
}

/// Who signs.
#[derive(Clone, Debug)]
pub enum Signer {
    /// Whoever is issued a certificate under this identity.
    Identity(Identity),
    /// Whoever has this key.
    Key(ManagedKey),
}

/// As what a signature is recorded, and so in which log.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Record {
    /// In no log.
    Nowhere,
    /// As `hashedrekord` 0.0.1: a hash and a signature over it.
    HashedRekordV001,
    /// As `dsse` 0.0.1, as cosign records attestations from 2.1.
    DsseV001,
    /// As `intoto` 0.0.1, as cosign 1 records attestations.
    IntotoV001,
    /// As `intoto` 0.0.2.
    IntotoV002,
    /// As `hashedrekord` 0.0.2, in a log of the second generation: it knows no time, and promises nothing.
    HashedRekordV002,
}

/// Whether the timestamp authority is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stamping {
    Asked,
    NotAsked,
}

/// What is signed, before it is written down.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    Image { digest: Digest, docker_reference: String },
    Message(Bytes),
    Statement(Statement),
}

/// What is signed, written down.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Message(Bytes),
    Envelope(Envelope),
}

impl Recipe {
    /// A simple-signing document for an image, as cosign signs up to version 2.
    pub fn image(digest: &Digest, docker_reference: &str) -> Self {
        let docker_reference = docker_reference.to_owned();
        Self::of(Subject::Image { digest: *digest, docker_reference }, Record::HashedRekordV001)
    }

    /// Any bytes: a blob, or the manifest of an image whose digest is to be signed.
    pub fn message(bytes: impl Into<Bytes>) -> Self {
        Self::of(Subject::Message(bytes.into()), Record::HashedRekordV001)
    }

    /// A statement in an envelope: an attestation, or a signature of cosign 3.
    pub fn statement(statement: Statement) -> Self {
        Self::of(Subject::Statement(statement), Record::DsseV001)
    }

    /// Signed under an identity. Without this, and without a key, it is some workflow.
    #[must_use]
    pub fn by(self, identity: &Identity) -> Self {
        Self { signer: Signer::Identity(identity.clone()), ..self }
    }

    /// Signed with a key, and under no certificate.
    #[must_use]
    pub fn by_key(self, key: &ManagedKey) -> Self {
        Self { signer: Signer::Key(key.clone()), ..self }
    }

    /// Recorded so. Without this it is as is usual for what is signed.
    #[must_use]
    pub fn recorded(self, record: Record) -> Self {
        Self { record, ..self }
    }

    /// With a timestamp of the timestamp authority.
    #[must_use]
    pub fn stamped(self) -> Self {
        Self { stamping: Stamping::Asked, ..self }
    }

    /// With this one thing wrong.
    #[must_use]
    pub fn with(self, attack: Attack) -> Self {
        Self { attack: Some(attack), ..self }
    }

    fn of(subject: Subject, record: Record) -> Self {
        let signer = Signer::Identity(Identity::github_workflow("acme/app", "release.yaml@refs/heads/main"));
        Self { subject, signer, record, stamping: Stamping::NotAsked, attack: None }
    }

    /// The same of something else.
    pub(super) fn of_another(&self) -> Self {
        Self { subject: self.subject.another(), ..self.clone() }
    }
}

impl Record {
    /// The kind of entry and its version, as logs name them.
    pub(super) fn kind(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Nowhere => None,
            Self::HashedRekordV001 => Some(("hashedrekord", "0.0.1")),
            Self::DsseV001 => Some(("dsse", "0.0.1")),
            Self::IntotoV001 => Some(("intoto", "0.0.1")),
            Self::IntotoV002 => Some(("intoto", "0.0.2")),
            Self::HashedRekordV002 => Some(("hashedrekord", "0.0.2")),
        }
    }
}

impl Subject {
    /// What is signed of it.
    pub(super) fn content(&self) -> Content {
        match self {
            Self::Image { digest, docker_reference } => {
                Content::Message(simple_signing::payload(digest, docker_reference))
            }
            Self::Message(bytes) => Content::Message(bytes.clone()),
            Self::Statement(statement) => {
                Content::Envelope(Envelope { payload_type: IN_TOTO, payload: statement.payload() })
            }
        }
    }

    /// The same under a name that says that it is something else. Bytes have no name.
    pub(super) fn misnamed(&self) -> Content {
        match (self, self.content()) {
            (Self::Image { digest, docker_reference }, _) => {
                Content::Message(simple_signing::misnamed(digest, docker_reference))
            }
            (_, Content::Envelope(envelope)) => {
                Content::Envelope(Envelope { payload_type: OTHER_PAYLOAD_TYPE, ..envelope })
            }
            (_, content @ Content::Message(_)) => content,
        }
    }

    fn another(&self) -> Self {
        match self {
            Self::Image { digest, docker_reference } => {
                let digest = Digest::of(digest.hash());
                Self::Image { digest, docker_reference: docker_reference.clone() }
            }
            Self::Message(bytes) => Self::Message([bytes, &b" of another"[..]].concat().into()),
            Self::Statement(statement) => Self::Statement(statement.of_another()),
        }
    }
}

impl Content {
    /// The bytes that the signature is over.
    pub(super) fn signed_bytes(&self) -> Bytes {
        match self {
            Self::Message(bytes) => bytes.clone(),
            Self::Envelope(envelope) => envelope.signed_bytes(),
        }
    }
}
