//! One fill: from a source to a file, hashed on the way.

use std::io::Write;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{join, select};
use futures_util::{TryStream, TryStreamExt};
use oci::{Digest, Hasher, WrongContent};
use tempfile::NamedTempFile;
use tokio::sync::{mpsc, watch};

use super::Blobs;
use super::check::Check;
use super::shelf::Part;
use super::source::with_fallback;
use super::store::Kept;
use crate::blocking::blocking;
use crate::filling::Progress;
use crate::lock::lock;
use crate::{Blob, BoxError, FillError};

/// How many pieces wait between the source and the disk. A source that is faster waits.
const WAITING: usize = 16;

/// A fill under way. When it is dropped it is over: others may begin it anew, and its readers are told the outcome.
pub(super) struct Fill {
    blobs: Arc<Blobs>,
    digest: Digest,
    size: u64,
    progress: watch::Sender<Progress>,
    outcome: Progress,
}

/// What the source hands to the thread that writes. Where the channel ends without an end, the source is lost.
enum Piece {
    Bytes(Bytes),
    End,
    Failed(BoxError),
}

/// Who began to give what is filled in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Giver {
    Bucket,
    Source,
}

impl Fill {
    pub(super) fn new(
        blobs: Arc<Blobs>,
        digest: Digest,
        size: u64,
        progress: watch::Sender<Progress>,
    ) -> Self {
        Self { blobs, digest, size, progress, outcome: Progress::lost() }
    }

    /// Fills it in: with what is on disk, where that may be given, or else from the source.
    pub(super) async fn run<Fetch, Fetching, Source, Error>(self, disk: bool, fetch: Fetch)
    where
        Fetch: FnOnce() -> Fetching + Send,
        Fetching: Future<Output = Result<Source, Error>> + Send,
        Source: TryStream<Ok = Bytes> + Send + 'static,
        Source::Error: Into<BoxError> + Send,
        Error: Into<BoxError> + Send,
    {
        let fill = if disk { self.ending_on_disk().await } else { Some(self) };
        let Some(fill) = fill else { return };
        let Some((fill, temporary)) = fill.with_room().await else { return };
        let (pieces, landing) = mpsc::channel(WAITING);
        // What others put there is given like what is on disk.
        let shared = match fill.blobs.bucket.as_ref().filter(|_| disk) {
            Some(bucket) => Some(bucket.clone()).zip(bucket.get(&fill.digest, fill.size).await),
            None => None,
        };
        let (landed, ()) = match shared {
            Some((bucket, shared)) => {
                let source = with_fallback(bucket, shared, fill.size, fetch);
                let landing = blocking(|| fill.land(temporary, landing, Giver::Bucket));
                join(landing, pump(source, pieces)).await
            }
            None => match fetch().await {
                Ok(source) => {
                    let landing = blocking(|| fill.land(temporary, landing, Giver::Source));
                    join(landing, pump(source, pieces)).await
                }
                Err(error) => return fill.end(Err(FillError::Source(error.into()))),
            },
        };
        if landed.is_none() {
            tracing::error!("a fill ended early");
        }
    }

    /// Ends with what is on disk, which is hashed where this process did not yet. Gives itself back where there is
    /// nothing, or where it turned out to be something else before anybody was given any of it.
    async fn ending_on_disk(self) -> Option<Self> {
        // An earlier fill may have ended between the caller's look and its call.
        match self.blobs.store.find(&self.digest) {
            Some(Kept::Hashed(blob)) => {
                let size = self.size;
                self.end(blob_of_size(&blob, size));
                None
            }
            Some(Kept::Unhashed(blob, stamp)) if blob.size() == self.size => {
                let checking = move || {
                    let (blobs, digest) = (self.blobs.clone(), self.digest);
                    let check = Check { store: &blobs.store, digest, progress: &self.progress };
                    match check.run(&blob, stamp) {
                        Ok(true) => self.end(Ok(blob)),
                        Ok(false) => return Some(self),
                        Err(error) => self.end(Err(error)),
                    }
                    None
                };
                blocking(checking).await.flatten()
            }
            Some(Kept::Unhashed(..)) | None => Some(self),
        }
    }

    /// A file with room for all of it. A disk that has none is no reason to ask the source.
    async fn with_room(self) -> Option<(Self, NamedTempFile)> {
        let taking = move || {
            if self.blobs.store.is_spared() {
                let why = std::io::Error::other("the disk failed a moment ago");
                self.end(Err(FillError::Disk(why)));
                return None;
            }
            match self.blobs.store.temporary(self.size) {
                Ok(temporary) => Some((self, temporary)),
                Err(error) => {
                    self.blobs.store.tally.disk.count();
                    tracing::error!(digest = %self.digest, size = self.size, %error, "the disk has no room for content");
                    self.end(Err(FillError::Disk(error)));
                    None
                }
            }
        };
        blocking(taking).await.flatten()
    }

    /// Writes what comes until it ends, then checks it, then puts it under its name.
    fn land(self, temporary: NamedTempFile, mut pieces: mpsc::Receiver<Piece>, from: Giver) {
        let landed = self.write(temporary, &mut pieces);
        // The source is let go before anyone is told.
        drop(pieces);
        match landed {
            Err(error) => {
                if let FillError::Disk(error) = &error {
                    self.blobs.store.tally.disk.count();
                    self.blobs.store.spare();
                    tracing::error!(digest = %self.digest, %error, "the disk failed while content was written");
                }
                self.blobs.store.tally.failed.count();
                if let (Some(bucket), Giver::Bucket, FillError::WrongContent(_)) =
                    (&self.blobs.bucket, from, &error)
                {
                    bucket.distrust(&self.digest);
                }
                self.end(Err(error));
            }
            Ok((temporary, blob)) => {
                self.blobs.store.tally.filled.count();
                self.progress.send_replace(Progress::Checked { file: blob.file().clone() });
                if let Err(error) = self.blobs.store.adopt(temporary, self.digest, Part::Layers, self.size) {
                    self.blobs.store.tally.disk.count();
                    self.blobs.store.tally.unkept.count();
                    tracing::error!(digest = %self.digest, %error, "content was checked and could not be kept");
                }
                if let (Some(bucket), Giver::Source) = (&self.blobs.bucket, from) {
                    bucket.put(self.digest, blob.clone());
                }
                self.end(Ok(blob));
            }
        }
    }

    fn write(
        &self,
        mut temporary: NamedTempFile,
        pieces: &mut mpsc::Receiver<Piece>,
    ) -> Result<(NamedTempFile, Blob), FillError> {
        let file = Arc::new(temporary.as_file().try_clone().map_err(FillError::Disk)?);
        let mut hasher = Hasher::new(self.digest.algorithm());
        let mut landed = 0;
        loop {
            match pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => {
                    landed += bytes.len() as u64;
                    if landed > self.size {
                        return Err(FillError::TooLong { want: self.size });
                    }
                    hasher.update(&bytes);
                    temporary.write_all(&bytes).map_err(FillError::Disk)?;
                    self.blobs.store.tally.bytes.add(bytes.len() as u64);
                    self.progress.send_replace(Progress::Landing { file: file.clone(), landed });
                }
                Some(Piece::End) => break,
                Some(Piece::Failed(error)) => return Err(FillError::Source(error)),
                None => return Err(FillError::Lost),
            }
        }
        if landed < self.size {
            return Err(FillError::TooShort { want: self.size, got: landed });
        }
        let got = hasher.finish();
        if got != self.digest {
            return Err(WrongContent { want: self.digest, got }.into());
        }
        Ok((temporary, Blob::of(file, self.size)))
    }

    fn end(mut self, outcome: Result<Blob, FillError>) {
        self.outcome = match outcome {
            Ok(blob) => Progress::Settled { file: blob.file().clone() },
            Err(error) => Progress::Failed(Arc::new(error)),
        };
    }
}

impl Drop for Fill {
    fn drop(&mut self) {
        // Taken out before anyone hears of it: whoever asks after a failure is known begins anew.
        lock(&self.blobs.fills).remove(&(self.digest, self.size));
        self.progress.send_replace(self.outcome.clone());
    }
}

/// What is kept, if it has the size that was asked for.
fn blob_of_size(blob: &Blob, want: u64) -> Result<Blob, FillError> {
    match blob.size() {
        got if got > want => Err(FillError::TooLong { want }),
        got if got < want => Err(FillError::TooShort { want, got }),
        _ => Ok(blob.clone()),
    }
}

/// Hands over what the source gives, until it ends or nobody takes it any more.
async fn pump<Source>(source: Source, pieces: mpsc::Sender<Piece>)
where
    Source: TryStream<Ok = Bytes>,
    Source::Error: Into<BoxError>,
{
    let handing_over = async {
        let mut source = pin!(source.into_stream());
        loop {
            let (piece, last) = match source.try_next().await {
                Ok(Some(bytes)) => (Piece::Bytes(bytes), false),
                Ok(None) => (Piece::End, true),
                Err(error) => (Piece::Failed(error.into()), true),
            };
            if pieces.send(piece).await.is_err() || last {
                return;
            }
        }
    };
    // A source that gives nothing more is let go as soon as what it gives is of no use.
    select(pin!(handing_over), pin!(pieces.closed())).await;
}
