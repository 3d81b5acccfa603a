//! The evidence that an authority wants.

use std::sync::Arc;

use oci::Digest;

use crate::facts::{Basis, Signer, Source};
use crate::identity::Identity;
use crate::language::Program;
use crate::verdict::Sought;

/// The evidence that an authority wants.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Where it is looked for.
    pub(crate) source: Source,
    /// What it may rest on: any of these, of which there is one, or one for each key.
    pub(crate) bases: Vec<Basis>,
    /// Who may have signed.
    pub(crate) signers: Accepted,
    /// The attestations, all of which must be there. Where there are none, the image itself must be signed.
    pub(crate) attestations: Vec<WantedAttestation>,
}

/// The signers that an authority accepts.
#[derive(Clone, Debug)]
pub(crate) enum Accepted {
    /// Whoever a certificate says to be one of these.
    Identities(Vec<Identity>),
    /// Whoever holds one of these keys, by the keys' digests.
    Keys(Vec<Digest>),
}

/// An attestation that must be there.
#[derive(Clone, Debug)]
pub(crate) struct WantedAttestation {
    /// What the policy calls it.
    pub(crate) name: Arc<str>,
    /// The type, as the policy names it.
    pub(crate) named: Arc<str>,
    /// The type, in full.
    pub(crate) predicate_type: Arc<str>,
    /// What its statement must comply with.
    pub(crate) program: Option<Program>,
}

impl Wanted {
    /// What kind of evidence it is.
    pub(crate) fn sought(&self) -> Sought {
        match (&self.signers, self.attestations.is_empty()) {
            (Accepted::Keys(_), true) => Sought::KeySignature,
            (Accepted::Keys(_), false) => Sought::KeyAttestations,
            (Accepted::Identities(_), true) => Sought::KeylessSignature,
            (Accepted::Identities(_), false) => Sought::KeylessAttestations,
        }
    }
}

impl Accepted {
    /// Whether a signer is accepted.
    pub(crate) fn accepts(&self, signer: &Signer) -> bool {
        match (self, signer) {
            (Self::Identities(identities), Signer::Certificate(signer)) => {
                identities.iter().any(|identity| identity.accepts(signer))
            }
            (Self::Keys(keys), Signer::Key(id)) => keys.contains(id),
            (Self::Identities(_), Signer::Key(_)) | (Self::Keys(_), Signer::Certificate(_)) => false,
        }
    }

    /// Their names, for a person.
    pub(crate) fn names(&self) -> Vec<String> {
        match self {
            Self::Identities(identities) => identities.iter().map(Identity::to_string).collect(),
            Self::Keys(keys) => keys.iter().map(|key| format!("the key {key}")).collect(),
        }
    }
}
