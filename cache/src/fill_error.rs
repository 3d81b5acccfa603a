//! Why content did not arrive.

use std::error::Error;
use std::io;

use oci::WrongContent;
use thiserror::Error;

/// Any error, as a source gives it.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why a blob could not be filled. Nothing of it is kept, and no reader was given all that it asked for.
#[derive(Debug, Error)]
pub enum FillError {
    /// The source gave an error, at once or half-way. See [`FillError::source_as`].
    #[error("the source failed")]
    Source(#[source] BoxError),
    /// All of it came, and it is something else.
    #[error(transparent)]
    WrongContent(#[from] WrongContent),
    /// The source ended early.
    #[error("content of {want} bytes ended after {got}")]
    TooShort {
        /// How many bytes were asked for.
        want: u64,
        /// How many there are.
        got: u64,
    },
    /// The source has more. It was left at once.
    #[error("content of {want} bytes has more")]
    TooLong {
        /// How many bytes were asked for.
        want: u64,
    },
    /// It could not be written, or what is there could not be read.
    #[error("content cannot be written to disk")]
    Disk(#[source] io::Error),
    /// It was kept, and is not what it was any more. It was removed: whoever asks again has it fetched.
    #[error("content that was kept has changed on disk")]
    Changed,
    /// The task ended early: the source panicked, or the runtime is shutting down.
    #[error("the fill ended before it was done")]
    Lost,
}

impl FillError {
    /// The source's error, if that is what it is and if it has this type.
    pub fn source_as<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Source(error) => error.downcast_ref(),
            Self::WrongContent(_)
            | Self::TooShort { .. }
            | Self::TooLong { .. }
            | Self::Disk(_)
            | Self::Changed
            | Self::Lost => None,
        }
    }
}
