//! Bytes by digest, one file each.

mod files;
mod fill;
mod shelf;
mod store;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::TryStream;
use oci::{Digest, Verified};

pub(crate) use self::files::{make_directory, sync_directory};
use self::fill::Fill;
use self::store::Store;
use crate::blocking::blocking;
use crate::lock::lock;
use crate::{Beginning, Blob, BoxError, Filling, OpenError};

/// A directory of content, each file named by the digest that its bytes were found to have.
///
/// A file is under its name only when it is whole and on disk. Content is shared by all who know its digest; whether
/// somebody may have it is for the caller to know.
#[derive(Debug)]
pub struct Blobs {
    store: Arc<Store>,
    /// Fills under way. The size is part of the key: who was told a wrong size fails alone.
    fills: Mutex<HashMap<(Digest, u64), Filling>>,
}

impl Blobs {
    /// Opens the content within this directory, which is made if there is none. What was left unfinished is removed.
    ///
    /// The limit is in bytes and counts what is kept, not what is on its way; above it the content that was used
    /// longest ago is removed. Content that is larger than the limit passes through and is not kept.
    ///
    /// # Errors
    /// As [`OpenError`] says.
    pub fn open(directory: &Path, limit: Option<u64>) -> Result<Arc<Self>, OpenError> {
        let store = Arc::new(Store::open(directory, limit)?);
        Ok(Arc::new(Self { store, fills: Mutex::default() }))
    }

    /// The same content with fills of its own: nobody joins one of the others.
    pub(crate) fn apart(&self) -> Arc<Self> {
        Arc::new(Self { store: self.store.clone(), fills: Mutex::default() })
    }

    /// How many bytes are kept.
    pub fn usage(&self) -> u64 {
        self.store.usage()
    }

    /// The content of this digest, if it is kept. It was checked when it was written, and is not hashed again.
    pub async fn find(&self, digest: &Digest) -> Option<Blob> {
        self.store.find(digest)
    }

    /// How many bytes the content of this digest has, if it is kept. That somebody asked is no use of it.
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        self.store.size(digest)
    }

    /// Removes the content of this digest; all content without one. Says how many files were removed. What is on its
    /// way stays on its way: it is what its digest says.
    pub async fn remove(&self, digest: Option<Digest>) -> usize {
        let store = self.store.clone();
        blocking(move || store.remove_kept(digest)).await.unwrap_or_default()
    }

    /// Removes the content whose digest, as a key, begins so. Waits for the disk.
    pub fn remove_under(&self, beginning: &Beginning) {
        self.store.remove_under(beginning);
    }

    /// Keeps content that is in memory. It is on disk when this returns.
    ///
    /// # Errors
    /// What the system says; nothing is kept then.
    pub async fn keep(&self, content: &Verified) -> io::Result<()> {
        if self.store.find(&content.digest()).is_some() {
            return Ok(());
        }
        let (store, content) = (self.store.clone(), content.clone());
        blocking(move || store.keep(&content)).await.unwrap_or_else(|| Err(ended_early()))
    }

    /// The whole content of this digest, hashed again. A file that is not what its name says is removed, and there is
    /// then no such content.
    ///
    /// # Errors
    /// [`io::ErrorKind::FileTooLarge`] for more bytes than the limit, or what the system says.
    pub async fn read(&self, digest: &Digest, limit: u64) -> io::Result<Option<Verified>> {
        let (store, digest) = (self.store.clone(), *digest);
        blocking(move || store.read(digest, limit)).await.unwrap_or_else(|| Err(ended_early()))
    }

    /// Fills in the content of this digest, which has to have this many bytes; or joins the fill that is under way.
    ///
    /// `fetch` is asked at most once, for all the bytes. It runs in a task of its own and has to have its own deadlines:
    /// the fill lasts as long as its stream does. How many run at once is for the caller to bound.
    pub fn fill<Fetch, Fetching, Source, Error>(
        self: &Arc<Self>,
        digest: Digest,
        size: u64,
        fetch: Fetch,
    ) -> Filling
    where
        Fetch: FnOnce() -> Fetching + Send + 'static,
        Fetching: Future<Output = Result<Source, Error>> + Send + 'static,
        Source: TryStream<Ok = Bytes> + Send + 'static,
        Source::Error: Into<BoxError> + Send,
        Error: Into<BoxError> + Send + 'static,
    {
        let mut fills = lock(&self.fills);
        if let Some(filling) = fills.get(&(digest, size)) {
            return filling.join();
        }
        let (progress, filling) = Filling::begin(size);
        fills.insert((digest, size), filling.clone());
        drop(fills);
        tokio::spawn(Fill::new(self.clone(), digest, size, progress).run(fetch));
        filling
    }
}

fn ended_early() -> io::Error {
    io::Error::other("work on the disk ended early")
}

#[cfg(test)]
mod tests;
