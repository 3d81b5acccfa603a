//! Content that is on disk whole.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{Stream, stream};
use rustix::buffer::spare_capacity;
use rustix::io::{pread, retry_on_intr};
use thiserror::Error;

use crate::FillError;
use crate::blobs::Stamp;

/// A file that was checked when it was written. It stays readable when it is removed meanwhile.
#[derive(Clone, Debug)]
pub struct Blob {
    file: Arc<File>,
    size: u64,
}

/// Why a reader was given less than it asked for. Whoever it reads for must be able to tell.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The content did not arrive, or is not what was asked for.
    #[error("content did not arrive")]
    Fill(#[source] Arc<FillError>),
    /// There are no such bytes.
    #[error("content has only {size} bytes")]
    OutOfRange {
        /// How many there are.
        size: u64,
    },
    /// The file cannot be read, or lost bytes since it was opened.
    #[error("content cannot be read from disk")]
    Disk(#[source] io::Error),
}

/// What all readers together hold in memory of what they are about to send, more or less.
const HELD: u64 = 32 * 1024 * 1024;

/// How many bytes are read at once, at least and at most: large reads cost less, and many readers of them hold much.
/// Reading so many on the spot takes less than handing the read to a thread that may wait would, and they are most often
/// in the page cache.
const CHUNK: Range<u64> = 64 * 1024..512 * 1024;

/// How many readers there are.
static READERS: AtomicU64 = AtomicU64::new(0);

/// A reader, as long as it reads.
pub(crate) struct Reading;

impl Reading {
    pub(crate) fn begin() -> Self {
        READERS.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        READERS.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Blob {
    /// Opens a file that has to have this many bytes. Also what tells whether it was changed since another time.
    pub(crate) fn open(path: &Path, size: u64) -> io::Result<(Self, Stamp)> {
        let file = File::open(path)?;
        let stamp = Stamp::of_file(&file)?;
        let found = stamp.size();
        if found == size {
            Ok((Self { file: Arc::new(file), size }, stamp))
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("{found} bytes instead of {size}")))
        }
    }

    /// A file of this many bytes.
    pub(crate) fn of(file: Arc<File>, size: u64) -> Self {
        Self { file, size }
    }

    /// How many bytes it has. Who was told another number should not be given them.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// These bytes, in chunks.
    pub fn read(self, range: Range<u64>) -> impl Stream<Item = Result<Bytes, ReadError>> + Send + 'static {
        stream::try_unfold((range, Reading::begin()), move |(mut rest, reading)| {
            let next = self.chunk(&mut rest);
            async move { Ok(next?.map(|bytes| (bytes, (rest, reading)))) }
        })
    }

    pub(crate) fn file(&self) -> &Arc<File> {
        &self.file
    }

    fn chunk(&self, rest: &mut Range<u64>) -> Result<Option<Bytes>, ReadError> {
        if rest.end > self.size {
            return Err(ReadError::OutOfRange { size: self.size });
        }
        if rest.is_empty() {
            return Ok(None);
        }
        let end = rest.end;
        read_chunk(&self.file, rest, end).map(Some).map_err(ReadError::Disk)
    }
}

/// Reads on, up to an offset or a chunk's length, and moves the start of the range behind what was read.
pub(crate) fn read_chunk(file: &File, rest: &mut Range<u64>, to: u64) -> io::Result<Bytes> {
    let chunk = (HELD / READERS.load(Ordering::Relaxed).max(1)).clamp(CHUNK.start, CHUNK.end);
    let length = chunk.min(to.saturating_sub(rest.start));
    // Not made of noughts first, which would cost a third of what the read does.
    let mut bytes = Vec::with_capacity(usize::try_from(length).map_err(io::Error::other)?);
    while (bytes.len() as u64) < length {
        let offset = rest.start + bytes.len() as u64;
        if retry_on_intr(|| pread(file, spare_capacity(&mut bytes), offset))? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    // There may be more room than was asked for, and then more was read.
    bytes.truncate(usize::try_from(length).map_err(io::Error::other)?);
    rest.start += length;
    Ok(bytes.into())
}
