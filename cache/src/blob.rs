//! Content that is on disk whole.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, stream};
use thiserror::Error;

use crate::FillError;

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

/// How many bytes are read at once. Reading so many on the spot takes less than handing the read to a thread that may
/// wait would, and they are most often in the page cache.
const CHUNK: u64 = 64 * 1024;

impl Blob {
    /// Opens a file that has to have this many bytes.
    pub(crate) fn open(path: &Path, size: u64) -> io::Result<Self> {
        let file = File::open(path)?;
        let found = file.metadata()?.len();
        if found == size {
            Ok(Self { file: Arc::new(file), size })
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

    /// These bytes, in chunks of at most 64 KiB.
    pub fn read(self, range: Range<u64>) -> impl Stream<Item = Result<Bytes, ReadError>> + Send + 'static {
        stream::try_unfold(range, move |mut rest| {
            let next = self.chunk(&mut rest);
            async move { Ok(next?.map(|bytes| (bytes, rest))) }
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
    let length = CHUNK.min(to.saturating_sub(rest.start));
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, rest.start)?;
    rest.start += length;
    Ok(bytes.into())
}
