//! Why what is kept on disk cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::BoxError;

/// Why an [`Index`](crate::Index) or [`Blobs`](crate::Blobs) cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it open, and only one may. Stop that one first.
    #[error("{path} is in use by another process")]
    InUse {
        /// The file that is locked.
        path: PathBuf,
    },
    /// The file is damaged, or no index at all, or one of another version of the storage library; the source says
    /// which. Nothing is in it that a registry does not have: remove it to start with an empty one.
    #[error("{path} is damaged, or not an index that this version reads")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// Another version of this program wrote it. Use that version, or remove the file to start with an empty one.
    #[error("{path} has format {found}, and this version reads only {known}")]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// What the file says it is.
        found: u64,
        /// What this version writes.
        known: u64,
    },
    /// The directory cannot be read or written.
    #[error("{path} cannot be opened")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl OpenError {
    /// What the system said of this path.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}
