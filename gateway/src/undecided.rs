//! What could not be told.

use std::sync::Arc;

use oci::{Host, InvalidManifest};
use thiserror::Error;
use upstream::FetchError;

use crate::content::ContentError;

/// Why there is no verdict. This is never remembered and never an allowance; the doors refuse, and say that asking
/// again may help.
#[derive(Clone, Debug, Error)]
pub enum Undecided {
    /// The registry did not give what was asked of it.
    #[error("the registry could not be read: {0}")]
    Fetch(#[source] FetchError),
    /// None of the signatures that were looked at is enough, and there are some beyond the limits.
    #[error("not all of the signatures were looked at: {0}")]
    Beyond(String),
    /// What the registry gave as a manifest is none.
    #[error("the manifest could not be read: {0}")]
    Manifest(#[source] Arc<InvalidManifest>),
    /// Signatures would be in a registry that this gateway does not ask.
    #[error("{0} is none of the registries that this gateway asks")]
    NoUpstream(Host),
    /// The registry is asked by the right of whoever pulls, and nobody does.
    #[error(
        "{0} is asked with the credentials of whoever pulls, of which there are none here: admission.pullSecrets, or credentials in upstreams[], are for this"
    )]
    NoCredentials(Host),
    /// Nothing that the Pod could show the registry makes it give the image: what was tried.
    #[error("{0}")]
    PullSecrets(String),
    /// There are no policies to judge by, or none that can be believed still: why.
    #[error("{0}")]
    Withheld(String),
    /// A policy rests on a trust root that is not there: its name, and why.
    #[error("trust root {0}")]
    NoTrustRoot(String),
    /// A program of a policy could not be run to its end, or not be shown what it is to judge by.
    #[error("a program could not be run: {0}")]
    Program(String),
    /// The answer did not come before whoever asked would stop waiting.
    #[error("it took longer than the time allowed")]
    Deadline,
    /// Something failed in the gateway itself.
    #[error("the gateway failed: {0}")]
    Internal(String),
}

impl Undecided {
    /// A stable name, for metrics, headers and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Fetch(_) => "registry-unavailable",
            Self::Beyond(_) => "signatures-beyond-limits",
            Self::Manifest(_) => "manifest-unreadable",
            Self::NoUpstream(_) => "unknown-registry",
            Self::NoCredentials(_) => "no-credentials",
            Self::PullSecrets(_) => "pull-secrets",
            Self::Withheld(_) => "policies-withheld",
            Self::NoTrustRoot(_) => "unknown-trust-root",
            Self::Program(_) => "program",
            Self::Deadline => "deadline",
            Self::Internal(_) => "internal",
        }
    }
}

/// An error and what caused it, on one line, for the log. What a client is told has less in it.
pub(crate) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

impl From<ContentError> for Undecided {
    fn from(error: ContentError) -> Self {
        match error {
            ContentError::Fetch(error) => Self::Fetch(error),
            ContentError::Invalid(error) => Self::Manifest(error),
            ContentError::Lost => Self::Internal(error.to_string()),
        }
    }
}

impl From<cache::Lost> for Undecided {
    fn from(_: cache::Lost) -> Self {
        Self::Internal("a task ended before its work was done".into())
    }
}
