//! Bytes that replicas share: an object store, behind the directory of each.
//!
//! It is asked for what is not on disk, before a registry is, and is given what a registry gave. It is believed in
//! nothing: what comes of it is hashed as what comes of a registry is, and where it is slow, away or wrong, the registry
//! is asked as if there were none.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, MultipartUpload as _, ObjectStore, ObjectStoreExt as _};
use oci::Digest;
use tokio::sync::Semaphore;

use crate::blob::read_chunk;
use crate::blocking::blocking;
use crate::count::Count;
use crate::lock::lock;
use crate::{Blob, BoxError, BucketStats};

/// How long is waited for an answer, and for each piece of it.
const ANSWER: Duration = Duration::from_secs(2);
const PIECE: Duration = Duration::from_secs(5);

/// How long the store is left alone once it did not answer.
const SPARED: Duration = Duration::from_secs(10);

/// How long an object that was wrong is not asked for.
const DISTRUSTED: Duration = Duration::from_secs(3600);

/// How many blobs are given to the store at once, and how many wait for that. Others are given when they are pulled again.
const AT_ONCE: usize = 2;
const WAITING: usize = 64;

/// How much of a blob is sent at once.
const PART: u64 = 8 * 1024 * 1024;

/// How long sending one part may take.
const SENDING: Duration = Duration::from_secs(60);

/// An object store, and where in it content is.
#[derive(Debug)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    failed: Mutex<Option<Instant>>,
    distrusted: moka::sync::Cache<Digest, ()>,
    waiting: Arc<Semaphore>,
    sending: Semaphore,
    tally: Tally,
}

/// What became of what the store was asked for, and given.
#[derive(Debug, Default)]
struct Tally {
    hits: Count,
    misses: Count,
    failed: Count,
    spared: Count,
    wrong: Count,
    stored: Count,
    unstored: Count,
}

impl Bucket {
    /// Content in this store, below this path.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: Path) -> Arc<Self> {
        Arc::new(Self {
            store,
            prefix,
            failed: Mutex::default(),
            distrusted: moka::sync::Cache::builder().max_capacity(10_000).time_to_live(DISTRUSTED).build(),
            waiting: Arc::new(Semaphore::new(WAITING)),
            sending: Semaphore::new(AT_ONCE),
            tally: Tally::default(),
        })
    }

    /// What became of what it was asked for, and given.
    pub fn stats(&self) -> BucketStats {
        let Tally { hits, misses, failed, spared, wrong, stored, unstored } = &self.tally;
        BucketStats {
            hits: hits.so_far(),
            misses: misses.so_far(),
            failed: failed.so_far(),
            spared: spared.so_far(),
            wrong: wrong.so_far(),
            stored: stored.so_far(),
            unstored: unstored.so_far(),
        }
    }

    /// Where content is: `sha256/ab…`.
    fn path(&self, digest: &Digest) -> Path {
        self.prefix.clone().join(digest.algorithm().as_str()).join(digest.hex())
    }

    /// What the store has under this digest, if it has so many bytes and begins to give them in time. Nobody knows what
    /// they are.
    pub(crate) async fn get(
        &self,
        digest: &Digest,
        size: u64,
    ) -> Option<BoxStream<'static, Result<Bytes, BoxError>>> {
        if lock(&self.failed).is_some_and(|failed| failed.elapsed() < SPARED) {
            self.tally.spared.count();
            return None;
        }
        if self.distrusted.contains_key(digest) {
            return None;
        }
        let path = self.path(digest);
        match tokio::time::timeout(ANSWER, self.store.get(&path)).await {
            Ok(Ok(found)) if found.meta.size == size => {
                self.tally.hits.count();
                Some(in_time(found.into_stream()))
            }
            Ok(Ok(_) | Err(Error::NotFound { .. })) => {
                self.tally.misses.count();
                None
            }
            Ok(Err(error)) => {
                self.trouble(&error);
                None
            }
            Err(late) => {
                self.trouble(&late);
                None
            }
        }
    }

    /// It did not answer, or broke off: it is left alone for a while.
    pub(crate) fn trouble(&self, error: &dyn std::error::Error) {
        tracing::warn!(%error, "the object store did not give what it was asked for, and is left alone for a while");
        self.tally.failed.count();
        *lock(&self.failed) = Some(Instant::now());
    }

    /// What it gave was something else.
    pub(crate) fn distrust(&self, digest: &Digest) {
        tracing::error!(%digest, "an object was not what its name says");
        self.tally.wrong.count();
        self.distrusted.insert(*digest, ());
    }

    /// Gives the store content that was checked, in the background. Where too much waits, or the store does not take
    /// it, it is not given.
    pub(crate) fn put(self: &Arc<Self>, digest: Digest, blob: Blob) {
        let Ok(place) = self.waiting.clone().try_acquire_owned() else {
            self.tally.unstored.count();
            return;
        };
        let bucket = self.clone();
        // Detached on purpose: nobody waits for it, and each of its steps has a deadline.
        tokio::spawn(async move {
            let Ok(_turn) = bucket.sending.acquire().await else { return };
            match bucket.send(&digest, blob).await {
                Ok(()) => {
                    bucket.tally.stored.count();
                    bucket.distrusted.invalidate(&digest);
                }
                Err(error) => {
                    bucket.tally.unstored.count();
                    tracing::warn!(%digest, error, "the object store did not take a blob");
                }
            }
            drop(place);
        });
    }

    async fn send(&self, digest: &Digest, blob: Blob) -> Result<(), BoxError> {
        let path = self.path(digest);
        if blob.size() <= PART {
            let bytes = part(blob.clone(), 0..blob.size()).await?;
            within(self.store.put(&path, bytes.into())).await?;
            return Ok(());
        }
        let mut upload = within(self.store.put_multipart(&path)).await?;
        let sent = async {
            let mut begin = 0;
            while begin < blob.size() {
                let end = blob.size().min(begin + PART);
                let bytes = part(blob.clone(), begin..end).await?;
                within(upload.put_part(bytes.into())).await?;
                begin = end;
            }
            within(upload.complete()).await?;
            Ok(())
        };
        let sent: Result<(), BoxError> = sent.await;
        if sent.is_err() {
            // Where this fails too, what was sent is for the store's own rules to remove.
            drop(within(upload.abort()).await);
        }
        sent
    }
}

async fn within<T>(step: impl Future<Output = Result<T, Error>>) -> Result<T, BoxError> {
    Ok(tokio::time::timeout(SENDING, step).await??)
}

/// A stream each piece of which comes in time, or an error in its place.
fn in_time(pieces: BoxStream<'static, Result<Bytes, Error>>) -> BoxStream<'static, Result<Bytes, BoxError>> {
    let next = |mut pieces: BoxStream<'static, Result<Bytes, Error>>| async move {
        let next = tokio::time::timeout(PIECE, pieces.try_next()).await.map_err(BoxError::from)?;
        Ok(next.map_err(BoxError::from)?.map(|bytes| (bytes, pieces)))
    };
    stream::try_unfold(pieces, next).boxed()
}

/// A part of a file.
async fn part(blob: Blob, range: Range<u64>) -> Result<Bytes, BoxError> {
    let reading = move || -> io::Result<Bytes> {
        let mut bytes =
            Vec::with_capacity(usize::try_from(range.end - range.start).map_err(io::Error::other)?);
        let mut rest = range;
        while !rest.is_empty() {
            let end = rest.end;
            bytes.extend_from_slice(&read_chunk(blob.file(), &mut rest, end)?);
        }
        Ok(bytes.into())
    };
    Ok(blocking(reading).await.ok_or("a read ended early")??)
}
