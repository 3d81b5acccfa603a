//! What judgement comes to.

use std::fmt;
use std::sync::Arc;

use oci::{Digest, Name};

use crate::exemption::Exemption;
use crate::facts::{Flaw, Signer};
use crate::revocation::Revoked;

/// The image that is judged.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Subject {
    /// Its registry and repository, canonical.
    pub name: Name,
    /// Its content, by sha256.
    pub digest: Digest,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.digest)
    }
}

/// Whether an image may run. There is no third answer: what could not be determined is no verdict.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It may.
    Allow(Allowed),
    /// It may not.
    Deny(Denial),
}

/// The proof that an image was judged and may run. Cheap to clone.
///
/// The only way to hold one is to have been handed it by [`judge`](crate::judge()), so a function that takes an
/// `Allowed` cannot be called for an image that was not judged.
///
/// ```compile_fail,E0423
/// # let permit = todo!();
/// let forged = policies::Allowed(permit);
/// ```
#[derive(Clone, Debug)]
pub struct Allowed(Arc<Permit>);

/// What is said of an image that may run.
#[derive(Debug)]
pub(crate) struct Permit {
    pub(crate) subject: Subject,
    pub(crate) ground: Ground,
    pub(crate) warnings: Vec<PolicyFailure>,
    pub(crate) exempted: Vec<Exempted>,
    pub(crate) signers: Vec<Signer>,
}

/// That a policy exempts an image for now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Exempted {
    /// The policy's name.
    pub policy: Arc<str>,
    /// What it says.
    pub exemption: Exemption,
}

/// Why an image may run.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Ground {
    /// Every policy that speaks of it is satisfied.
    Satisfied,
    /// Every policy that binds is satisfied; one that only warns is not.
    Warned,
    /// Every policy that binds is satisfied, some by an exemption.
    Exempted,
    /// Policies speak of it that only admission can judge by, and no others.
    Deferred,
    /// No policy speaks of it, and such images are let pass.
    NoMatch,
}

/// That an image may not run, and why not.
#[derive(Clone, Debug)]
pub struct Denial {
    subject: Subject,
    cause: Cause,
    warnings: Vec<PolicyFailure>,
}

/// Why an image may not run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Cause {
    /// No policy speaks of it, and such images are denied.
    NoMatchingPolicy,
    /// It is revoked, whatever policies say.
    Revoked(Revoked),
    /// These policies bind and are not satisfied, in order of name. There is at least one.
    Failed(Vec<PolicyFailure>),
}

/// That a policy is not satisfied.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolicyFailure {
    /// The policy's name.
    pub policy: Arc<str>,
    /// Why not.
    pub shortfall: Shortfall,
    /// The exemption that the image had, and that has ended.
    pub expired: Option<Exemption>,
}

/// What a policy lacks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Shortfall {
    /// None of its authorities vouches for the image: what each of them says, in the policy's order.
    Authorities(Vec<AuthorityFailure>),
    /// Its program is not content with what its authorities found.
    Program {
        /// The language, as policies name it.
        language: &'static str,
        /// What the program objects to.
        message: String,
    },
    /// The policy cannot be judged by, and denies what it covers.
    Unusable(String),
}

/// That an authority does not vouch for an image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuthorityFailure {
    /// The authority's name, unique at best within its policy.
    pub authority: Arc<str>,
    /// What it looks for.
    pub sought: Sought,
    /// The identities or keys that it accepts, for a person.
    pub expected: Vec<String>,
    /// Why not.
    pub reason: Reason,
}

/// What an authority looks for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Sought {
    /// Nothing: it says the same of every image.
    Nothing,
    /// A signature of the image by a key.
    KeySignature,
    /// A signature of the image under a certificate.
    KeylessSignature,
    /// Attestations by a key.
    KeyAttestations,
    /// Attestations under a certificate.
    KeylessAttestations,
}

/// Why an authority does not vouch for an image.
///
/// Where it looks for attestations, these are what "signature" stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reason {
    /// Nothing was found that could be a signature.
    Unsigned,
    /// Attestations by those who are accepted were found, and none of a type that must be there.
    WrongPredicate {
        /// The type that must be there, as the policy names it.
        wanted: Arc<str>,
        /// The types that are, each once and in order.
        found: Vec<String>,
    },
    /// It is signed, by these and by nobody who is accepted.
    WrongIdentity {
        /// Who signed, each once.
        signers: Vec<Signer>,
    },
    /// Signatures were found and fail verification.
    Flawed {
        /// What failed.
        flaws: Vec<Flaw>,
    },
    /// Signatures were found and are of other images.
    OtherSubject,
    /// It is signed by those who are accepted, and their signatures are revoked.
    Revoked {
        /// By what, each once.
        by: Vec<Revoked>,
    },
    /// Attestations of a type that must be there were found, and the policy's program is content with none.
    NotCompliant {
        /// What the policy calls the attestation.
        attestation: Arc<str>,
        /// The language of the program, as policies name it.
        language: &'static str,
        /// What the program objects to in the first of them.
        message: String,
    },
    /// The authority never vouches.
    StaticFail {
        /// What the policy has to say of it; may be empty.
        message: String,
    },
}

impl Allowed {
    /// Only [`judge`](crate::judge()) calls this.
    pub(crate) fn new(permit: Permit) -> Self {
        Self(Arc::new(permit))
    }

    /// The image that may run.
    pub fn subject(&self) -> &Subject {
        &self.0.subject
    }

    /// Why it may.
    pub fn ground(&self) -> &Ground {
        &self.0.ground
    }

    /// The policies that only warn and are not satisfied, in order of name.
    pub fn warnings(&self) -> &[PolicyFailure] {
        &self.0.warnings
    }

    /// The policies that exempt the image, in order of name.
    pub fn exempted(&self) -> &[Exempted] {
        &self.0.exempted
    }

    /// Whose signatures satisfied an authority, each once.
    pub fn signers(&self) -> &[Signer] {
        &self.0.signers
    }
}

impl Ground {
    /// A stable name, for metrics and machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Satisfied => "satisfied",
            Self::Warned => "warned",
            Self::Exempted => "exempted",
            Self::Deferred => "left-to-admission",
            Self::NoMatch => "no-match",
        }
    }
}

impl Denial {
    /// Of an image, for a cause, beside policies that only warn.
    pub(crate) fn new(subject: Subject, cause: Cause, warnings: Vec<PolicyFailure>) -> Self {
        Self { subject, cause, warnings }
    }

    /// The image that may not run.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Why it may not.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// The policies that only warn and are not satisfied either, in order of name.
    pub fn warnings(&self) -> &[PolicyFailure] {
        &self.warnings
    }

    /// A stable name of the cause, for metrics and machines.
    pub fn as_str(&self) -> &'static str {
        self.cause.as_str()
    }
}

impl Cause {
    /// A stable name, for metrics and machines. Where authorities fail for several reasons, it is that which
    /// came closest to a signature that counts.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NoMatchingPolicy => "no-matching-policy",
            Self::Revoked(_) => "revoked",
            Self::Failed(failures) => {
                let closest =
                    failures.iter().map(PolicyFailure::closest).min_by_key(|(distance, _)| *distance);
                closest.map_or("unsigned", |(_, name)| name)
            }
        }
    }
}

impl PolicyFailure {
    /// What each authority says, where it is for want of them that the policy is not satisfied.
    pub fn authorities(&self) -> &[AuthorityFailure] {
        match &self.shortfall {
            Shortfall::Authorities(authorities) => authorities,
            Shortfall::Program { .. } | Shortfall::Unusable(_) => &[],
        }
    }

    /// A stable name of what came closest to satisfying it, for metrics and machines.
    pub fn as_str(&self) -> &'static str {
        self.closest().1
    }

    /// How far this is from being satisfied, and its name.
    fn closest(&self) -> (u8, &'static str) {
        match &self.shortfall {
            Shortfall::Program { .. } => (0, "not-compliant"),
            Shortfall::Unusable(_) => (9, "policy-unusable"),
            Shortfall::Authorities(authorities) => {
                let reasons = authorities.iter().map(|failure| &failure.reason);
                let closest = reasons.min_by_key(|reason| reason.distance());
                closest.map_or((8, "unsigned"), |reason| (reason.distance(), reason.as_str()))
            }
        }
    }
}

impl Reason {
    /// A stable name, for metrics and machines.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::WrongPredicate { .. } => "wrong-predicate",
            Self::WrongIdentity { .. } => "wrong-identity",
            Self::Flawed { .. } => "flawed",
            Self::OtherSubject => "other-subject",
            Self::Revoked { .. } => "revoked",
            Self::NotCompliant { .. } => "not-compliant",
            Self::StaticFail { .. } => "static-fail",
        }
    }

    /// How far this is from a signature that counts.
    fn distance(&self) -> u8 {
        match self {
            Self::NotCompliant { .. } => 1,
            Self::WrongPredicate { .. } => 2,
            Self::Revoked { .. } => 3,
            Self::WrongIdentity { .. } => 4,
            Self::Flawed { .. } => 5,
            Self::OtherSubject => 6,
            Self::Unsigned => 7,
            Self::StaticFail { .. } => 8,
        }
    }
}
