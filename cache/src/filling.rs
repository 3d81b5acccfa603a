//! Content that is read while it arrives.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::sync::watch;

use crate::blob::{Reading, read_chunk};
use crate::{FillError, ReadError};

/// How many bytes at its end a reader is given only when the whole content was checked. Nobody can have been given all
/// that they asked for of content that turns out to be wrong, be it the whole or a part.
pub const HOLD_BACK: u64 = 64 * 1024;

/// A blob on its way to the disk, or there by now.
///
/// The fill goes on without its readers: dropping this, or any stream that came of it, ends nothing.
#[derive(Clone, Debug)]
pub struct Filling {
    size: u64,
    progress: watch::Receiver<Progress>,
    origin: Origin,
}

/// Whose source a [`Filling`] reads from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// The one that was given with the call.
    Ours,
    /// That of an earlier call. When it fails, ours was not asked.
    Joined,
    /// Nobody's so far: it is kept, and hashed before it is believed.
    Kept,
}

#[derive(Clone, Debug)]
pub(crate) enum Progress {
    /// Nothing has come.
    Begun,
    /// So many bytes are in the file, and nobody knows what they are.
    Landing { file: Arc<File>, landed: u64 },
    /// The file is the content.
    Checked { file: Arc<File> },
    /// It is the content, and the fill is over: it is on disk to stay, or else the log says why not.
    Settled { file: Arc<File> },
    /// The fill is over and left nothing.
    Failed(Arc<FillError>),
}

impl Filling {
    pub(crate) fn begin(size: u64, origin: Origin) -> (watch::Sender<Progress>, Self) {
        let (sender, progress) = watch::channel(Progress::Begun);
        (sender, Self { size, progress, origin })
    }

    pub(crate) fn join(&self) -> Self {
        Self { origin: Origin::Joined, ..self.clone() }
    }

    /// Whether the fill was begun by the call that gave this.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Waits until the first bytes can be read, so that the answer to somebody can still be an error.
    ///
    /// # Errors
    /// Why the fill failed before that. It can still fail afterwards, and readers are then told.
    pub async fn started(&self) -> Result<(), Arc<FillError>> {
        self.reached(|progress| progress.is_checked() || progress.readable(self.size) > 0).await
    }

    /// Waits until the fill is over.
    ///
    /// # Errors
    /// Why it failed.
    pub async fn settled(&self) -> Result<(), Arc<FillError>> {
        self.reached(|progress| matches!(progress, Progress::Settled { .. })).await
    }

    /// These bytes, as they arrive, in chunks. The last [`HOLD_BACK`] of them come when the whole
    /// blob was checked; where it fails the check, an error comes in their place.
    pub fn read(self, range: Range<u64>) -> impl Stream<Item = Result<Bytes, ReadError>> + Send + 'static {
        let reading = Reading::begin();
        stream::try_unfold((self, range, reading), |(mut filling, mut rest, reading)| async move {
            let next = filling.next(&mut rest).await?;
            Ok(next.map(|bytes| (bytes, (filling, rest, reading))))
        })
    }

    async fn next(&mut self, rest: &mut Range<u64>) -> Result<Option<Bytes>, ReadError> {
        if rest.end > self.size {
            return Err(ReadError::OutOfRange { size: self.size });
        }
        if rest.is_empty() {
            return Ok(None);
        }
        let ready =
            |progress: &Progress| progress.readable(rest.end) > rest.start || progress.failure().is_some();
        let progress = match self.progress.wait_for(ready).await {
            Ok(progress) => progress.clone(),
            Err(_) => Progress::lost(),
        };
        match &progress {
            Progress::Failed(error) => Err(ReadError::Fill(error.clone())),
            Progress::Landing { file, .. } | Progress::Checked { file } | Progress::Settled { file } => {
                read_chunk(file, rest, progress.readable(rest.end)).map(Some).map_err(ReadError::Disk)
            }
            Progress::Begun => Err(ReadError::Fill(Arc::new(FillError::Lost))),
        }
    }

    async fn reached(&self, there: impl Fn(&Progress) -> bool) -> Result<(), Arc<FillError>> {
        let mut progress = self.progress.clone();
        let reached = progress.wait_for(|progress| there(progress) || progress.failure().is_some()).await;
        match reached {
            Ok(progress) => progress.failure().map_or(Ok(()), |error| Err(error.clone())),
            Err(_) => Err(Arc::new(FillError::Lost)),
        }
    }
}

impl Progress {
    pub(crate) fn lost() -> Self {
        Self::Failed(Arc::new(FillError::Lost))
    }

    /// Up to where somebody may read who asked for bytes up to `end`.
    fn readable(&self, end: u64) -> u64 {
        match self {
            Self::Begun | Self::Failed(_) => 0,
            Self::Landing { landed, .. } => (*landed).min(end.saturating_sub(HOLD_BACK)),
            Self::Checked { .. } | Self::Settled { .. } => end,
        }
    }

    fn is_checked(&self) -> bool {
        match self {
            Self::Checked { .. } | Self::Settled { .. } => true,
            Self::Begun | Self::Landing { .. } | Self::Failed(_) => false,
        }
    }

    fn failure(&self) -> Option<&Arc<FillError>> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Begun | Self::Landing { .. } | Self::Checked { .. } | Self::Settled { .. } => None,
        }
    }
}
