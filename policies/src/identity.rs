//! Who may sign.

use std::fmt;

use crate::facts::CertificateIdentity;
use crate::go_regex::{GoRegex, InvalidRegex};

/// An identity that a policy accepts: an issuer, and a subject that it vouches for.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) issuer: Matcher,
    pub(crate) subject: Matcher,
}

/// How one part of an identity is compared.
#[derive(Clone, Debug)]
pub(crate) enum Matcher {
    /// Letter by letter.
    Exact(String),
    /// By an expression that searches.
    Regex(GoRegex),
}

impl Identity {
    /// Whether the signer is this identity: its issuer, and any of its subjects.
    pub(crate) fn accepts(&self, signer: &CertificateIdentity) -> bool {
        self.issuer.accepts(&signer.issuer)
            && signer.subjects.iter().any(|subject| self.subject.accepts(subject))
    }
}

impl Matcher {
    /// An expression.
    pub(crate) fn regex(source: &str) -> Result<Self, InvalidRegex> {
        GoRegex::new(source).map(Self::Regex)
    }

    /// Whether this matches anywhere in a text, so that whatever surrounds it is accepted.
    pub(crate) fn is_unanchored(&self) -> bool {
        match self {
            Self::Exact(_) => false,
            Self::Regex(regex) => !regex.is_anchored(),
        }
    }

    fn accepts(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == text,
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "subject {} with issuer {}", self.subject, self.issuer)
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(exact) => f.write_str(exact),
            Self::Regex(regex) => write!(f, "matching {}", regex.source()),
        }
    }
}
