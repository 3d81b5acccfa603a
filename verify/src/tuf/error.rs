//! Why a repository was not believed.

use jiff::Timestamp;
use thiserror::Error;

use crate::trust_root::InvalidTrustRoot;

/// Why a TUF repository did not give its target. What was trusted before stays trusted.
///
/// Variants are told apart by what an operator does next: wait and ask again, look at the repository, or suspect it.
#[derive(Debug, Error)]
pub enum TufError {
    /// A file is not the metadata that it should be.
    #[error("{file} is malformed")]
    Malformed {
        /// Which.
        file: String,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file is larger than it may be.
    #[error("{file} is larger than {limit} bytes")]
    TooLarge {
        /// Which.
        file: String,
        /// How large it may be.
        limit: u64,
    },
    /// A file is not there that has to be.
    #[error("the repository has no {0}")]
    Missing(String),
    /// Fewer of a role's keys signed its metadata than have to.
    #[error("{role} is signed by {signed} of its keys, and {threshold} have to")]
    Unsigned {
        /// Whose metadata.
        role: String,
        /// How many of its keys signed.
        signed: usize,
        /// How many have to.
        threshold: usize,
    },
    /// Something older than what was seen before is passed off as new.
    #[error("{role} goes back from version {from} to version {to}")]
    Rollback {
        /// What goes back.
        role: String,
        /// The version that was seen.
        from: u64,
        /// The version that is offered.
        to: u64,
    },
    /// A file is not the one that signed metadata speaks of.
    #[error("{file} has another {what} than was signed for it")]
    Mismatch {
        /// Which.
        file: String,
        /// In what it differs.
        what: &'static str,
    },
    /// Nobody vouches for the metadata any more: the repository is neglected, or somebody withholds what is new.
    #[error("{role} expired at {at}")]
    Expired {
        /// Whose metadata.
        role: String,
        /// Since when.
        at: Timestamp,
    },
    /// There are more new roots than are followed in one run. What was followed is kept, so the next run goes on.
    #[error("more than {0} new roots in one run")]
    TooManyRoots(usize),
    /// There are more delegations than are followed.
    #[error("more than {0} roles on the way to the target")]
    TooManyRoles(usize),
    /// No role vouches for the target.
    #[error("the repository has no target {0:?}")]
    NoTarget(String),
    /// An archive of a repository cannot be unpacked.
    #[error("failed to uncompress: {0}")]
    Archive(String),
    /// The target is no trust root that can be used.
    #[error("the target cannot be used")]
    Unusable(#[source] InvalidTrustRoot),
}

impl TufError {
    /// A stable name, for metrics and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::TooLarge { .. } => "too-large",
            Self::Missing(_) => "missing",
            Self::Unsigned { .. } => "unsigned",
            Self::Rollback { .. } => "rollback",
            Self::Mismatch { .. } => "mismatch",
            Self::Expired { .. } => "expired",
            Self::TooManyRoots(_) => "too-many-roots",
            Self::TooManyRoles(_) => "too-many-roles",
            Self::NoTarget(_) => "no-target",
            Self::Archive(_) => "archive",
            Self::Unusable(_) => "unusable",
        }
    }

    pub(super) fn malformed(file: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Malformed { file: file.to_owned(), source: source.into() }
    }

    pub(super) fn mismatch(file: &str, what: &'static str) -> Self {
        Self::Mismatch { file: file.to_owned(), what }
    }
}
