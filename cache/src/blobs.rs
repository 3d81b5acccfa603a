//! Bytes by digest, one file each.

mod audit;
mod budget;
mod check;
mod files;
mod fill;
mod shelf;
mod source;
mod stamp;
mod store;
mod tally;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStream;
use oci::{Digest, Verified};

pub use self::audit::{Audit, Audited, Finding, audit};
pub(crate) use self::files::{make_directory, sync_directory};
use self::fill::Fill;
pub use self::shelf::Part;
pub(crate) use self::stamp::Stamp;
use self::store::{Kept, Store};
use crate::blocking::blocking;
use crate::lock::lock;
use crate::{Beginning, Blob, BlobStats, BoxError, Bucket, Filling, OpenError, Origin, PartStats};

/// A directory of content, each file named by the digest that its bytes were found to have.
///
/// A file is under its name only when it is whole and on disk. What another process left is hashed before this one
/// believes it, and again where its file was changed since. Content is shared by all who know its digest; whether
/// somebody may have it is for the caller to know.
#[derive(Debug)]
pub struct Blobs {
    store: Arc<Store>,
    /// What replicas share, behind this.
    bucket: Option<Arc<Bucket>>,
    /// Documents that the disk did not take: what is judged by has to be at hand all the same.
    aside: moka::sync::Cache<Digest, Verified>,
    /// Fills under way. The size is part of the key: who was told a wrong size fails alone.
    fills: Mutex<HashMap<(Digest, u64), Filling>>,
}

/// How many bytes of documents are held in memory that the disk did not take.
const ASIDE: u64 = 32 * 1024 * 1024;

impl Blobs {
    /// Opens the content within this directory, which is made if there is none. What was left unfinished is removed.
    ///
    /// The limit is in bytes and counts what is kept, not what is on its way; above it the content that was used
    /// longest ago is removed. Documents take a quarter of it at most, and layers what those leave: no layer displaces a
    /// document. Content that is larger than what it may take passes through and is not kept.
    ///
    /// # Errors
    /// As [`OpenError`] says.
    pub fn open(directory: &Path, limit: Option<u64>) -> Result<Arc<Self>, OpenError> {
        Self::open_before(directory, limit, None)
    }

    /// The same before an object store, which is asked for layers before a source is, and given what a source gave.
    ///
    /// # Errors
    /// As [`OpenError`] says.
    pub fn open_before(
        directory: &Path,
        limit: Option<u64>,
        bucket: Option<Arc<Bucket>>,
    ) -> Result<Arc<Self>, OpenError> {
        let store = Arc::new(Store::open(directory, limit)?);
        let weight =
            |_: &Digest, content: &Verified| u32::try_from(content.bytes().len()).unwrap_or(u32::MAX);
        let aside = moka::sync::Cache::builder().max_capacity(ASIDE).weigher(weight).build();
        Ok(Arc::new(Self { store, bucket, aside, fills: Mutex::default() }))
    }

    /// What replicas share, behind this.
    pub fn bucket(&self) -> Option<&Arc<Bucket>> {
        self.bucket.as_ref()
    }

    /// What is kept, and what became of what was to be kept.
    pub fn stats(&self) -> BlobStats {
        let tally = &self.store.tally;
        let part = |part| {
            let (files, bytes) = self.store.filled(part);
            PartStats { files: files as u64, bytes, evictions: tally.evicted(part).so_far() }
        };
        BlobStats {
            documents: part(Part::Documents),
            layers: part(Part::Layers),
            limit: self.store.limit(),
            pinned: self.store.pinned() as u64,
            under_way: lock(&self.fills).len() as u64,
            filled: tally.filled.so_far(),
            filled_bytes: tally.bytes.so_far(),
            joined: tally.joined.so_far(),
            failed: tally.failed.so_far(),
            hashed_again: tally.hashed_again.so_far(),
            changed: tally.changed.so_far(),
            unkept: tally.unkept.so_far(),
            disk_failures: tally.disk.so_far(),
        }
    }

    /// The same content with fills of its own: nobody joins one of the others.
    pub(crate) fn apart(&self) -> Arc<Self> {
        Arc::new(Self {
            store: self.store.clone(),
            aside: self.aside.clone(),
            bucket: self.bucket.clone(),
            fills: Mutex::default(),
        })
    }

    /// How many bytes are kept.
    pub fn usage(&self) -> u64 {
        Part::ALL.iter().map(|part| self.store.filled(*part).1).sum()
    }

    /// The content of this digest, if it is kept and this process hashed it. Where another process left it,
    /// [`Blobs::fill`] gives it while it hashes it.
    pub async fn find(&self, digest: &Digest) -> Option<Blob> {
        self.store.find_hashed(digest)
    }

    /// Keeps content from making room for other content for this long, be it here or on its way: somebody is about to
    /// ask for it. Where all that could make room is pinned, pins yield.
    pub fn pin(&self, digests: impl Iterator<Item = Digest>, lasting: Duration) {
        self.store.pin(digests, lasting);
    }

    /// How many bytes the content of this digest has, if it is kept. That somebody asked is no use of it.
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        self.store.size(digest)
    }

    /// As what the content of this digest is kept, if it is.
    pub fn part(&self, digest: &Digest) -> Option<Part> {
        self.store.part(digest)
    }

    /// Removes the content of this digest; all content without one. Says how many files were removed. What is on its
    /// way stays on its way: it is what its digest says.
    pub async fn remove(&self, digest: Option<Digest>) -> usize {
        let store = self.store.clone();
        match digest {
            Some(digest) => self.aside.invalidate(&digest),
            None => self.aside.invalidate_all(),
        }
        blocking(move || store.remove_kept(digest)).await.unwrap_or_default()
    }

    /// Removes the content whose digest, as a key, begins so. Waits for the disk.
    pub fn remove_under(&self, beginning: &Beginning) {
        self.aside.invalidate_all();
        self.store.remove_under(beginning);
    }

    /// Keeps a document that is in memory. It is on disk when this returns; where the disk does not take it, it is in
    /// memory for a while.
    pub async fn keep(&self, content: &Verified) {
        let unless_here = |store: &Store, content: &Verified| {
            if store.has_document(&content.digest()) { Ok(true) } else { store.keep(content) }
        };
        self.keep_by(content, unless_here).await;
    }

    /// The same, and as much work where it is here already, so that the time that it takes does not tell.
    pub(crate) async fn keep_anew(&self, content: &Verified) {
        self.keep_by(content, Store::keep).await;
    }

    async fn keep_by(
        &self,
        content: &Verified,
        keep: impl FnOnce(&Store, &Verified) -> io::Result<bool> + Send + 'static,
    ) {
        let (store, kept) = (self.store.clone(), content.clone());
        match blocking(move || keep(&store, &kept)).await.unwrap_or_else(|| Err(ended_early())) {
            Ok(true) => {}
            Ok(false) => self.aside.insert(content.digest(), content.clone()),
            Err(error) => {
                self.store.tally.disk.count();
                self.store.tally.unkept.count();
                tracing::error!(digest = %content.digest(), %error, "the disk did not take a document: it is held in memory");
                self.aside.insert(content.digest(), content.clone());
            }
        }
    }

    /// The whole content of this digest, hashed again. A file that is not what its name says is removed, and there is
    /// then no such content.
    ///
    /// # Errors
    /// [`io::ErrorKind::FileTooLarge`] for more bytes than the limit, or what the system says.
    pub async fn read(&self, digest: &Digest, limit: u64) -> io::Result<Option<Verified>> {
        let (store, digest) = (self.store.clone(), *digest);
        let read = blocking(move || store.read(digest, limit)).await.unwrap_or_else(|| Err(ended_early()))?;
        Ok(read.or_else(|| self.aside.get(&digest).filter(|aside| aside.bytes().len() as u64 <= limit)))
    }

    /// Fills in the content of this digest, which has to have this many bytes; or joins the fill that is under way.
    ///
    /// `fetch` is asked at most once, for all the bytes. It runs in a task of its own and has to have its own deadlines:
    /// the fill lasts as long as its stream does. How many run at once is for the caller to bound. It is not asked where
    /// the content is here and has only to be hashed, nor where the disk has no room: [`FillError::Disk`] says so, and
    /// [`pass_through`](crate::pass_through) is then how somebody gets it.
    ///
    /// [`FillError::Disk`]: crate::FillError::Disk
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
        self.fill_from(digest, size, true, fetch)
    }

    /// The same; where what is here is not to be given, of the source alone.
    pub(crate) fn fill_from<Fetch, Fetching, Source, Error>(
        self: &Arc<Self>,
        digest: Digest,
        size: u64,
        disk: bool,
        fetch: Fetch,
    ) -> Filling
    where
        Fetch: FnOnce() -> Fetching + Send + 'static,
        Fetching: Future<Output = Result<Source, Error>> + Send + 'static,
        Source: TryStream<Ok = Bytes> + Send + 'static,
        Source::Error: Into<BoxError> + Send,
        Error: Into<BoxError> + Send + 'static,
    {
        let kept = disk
            && matches!(self.store.find(&digest), Some(Kept::Hashed(blob) | Kept::Unhashed(blob, _)) if blob.size() == size);
        let mut fills = lock(&self.fills);
        if let Some(filling) = fills.get(&(digest, size)) {
            self.store.tally.joined.count();
            return filling.join();
        }
        let origin = if kept { Origin::Kept } else { Origin::Ours };
        let (progress, filling) = Filling::begin(size, origin);
        fills.insert((digest, size), filling.clone());
        drop(fills);
        tokio::spawn(Fill::new(self.clone(), digest, size, progress).run(disk, fetch));
        filling
    }
}

fn ended_early() -> io::Error {
    io::Error::other("work on the disk ended early")
}

#[cfg(test)]
mod tests;
