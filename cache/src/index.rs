//! The embedded index: what is remembered across restarts, in one file.

mod disk;
mod generations;
mod queue;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use redb::backends::InMemoryBackend;
use redb::{Builder, DatabaseError, StorageError};

use self::disk::Disk;
pub(crate) use self::generations::Table;
use self::generations::{Age, Hit};
use self::queue::Queue;
pub(crate) use self::queue::Ticket;
use crate::{Beginning, BoxError, Domain, OpenError};

/// Tables of bytes by bytes, in one file of one process.
///
/// Writes are gathered into transactions, so that many share the cost of reaching the disk; a write can be read from
/// the moment it is queued. A file that was open when its process was killed is repaired when it is opened again, and
/// has everything whose write was waited for.
///
/// Dropping it waits until what is queued has been written.
///
/// It is of one [`Domain`]; [`within`](Self::within) gives that of another, in the same file.
pub struct Index {
    opened: Arc<Opened>,
    domain: Domain,
}

/// The file, and who writes it.
struct Opened {
    disk: Arc<Disk>,
    queue: Arc<Queue>,
    writer: Option<JoinHandle<()>>,
}

/// The file, within the directory that is opened.
const FILE: &str = "index.redb";

/// How many bytes of pages are held in memory. What is warm is in a [`Memo`](crate::Memo) already.
const PAGE_CACHE: usize = 8 * 1024 * 1024;

impl Index {
    /// Opens the index in this directory, which is made if there is none. The whole file is read and its checksums
    /// are compared, so that damage is found here and not under a request.
    ///
    /// # Errors
    /// As [`OpenError`] says. Nothing is repaired by throwing it away.
    pub fn open(directory: &Path) -> Result<Arc<Self>, OpenError> {
        crate::blobs::make_directory(directory).map_err(OpenError::io(directory))?;
        let path = directory.join(FILE);
        let to_open = path.clone();
        let disk = Disk::open(move || builder().set_check_integrity_on_open(true).create(&to_open));
        let disk = disk.map_err(|error| refused(&path, error))?;
        let damaged = |source: redb::Error| OpenError::Damaged { path: path.clone(), source: source.into() };
        let found = disk.with(generations::format).map_err(damaged)?;
        if found != generations::FORMAT {
            return Err(OpenError::OtherFormat { path, found, known: generations::FORMAT });
        }
        crate::blobs::sync_directory(directory).map_err(OpenError::io(directory))?;
        Self::over(disk).map_err(OpenError::io(&path))
    }

    /// An index that is gone with the process, for tests and tools.
    #[expect(
        clippy::expect_used,
        reason = "no file is involved, and a thread is what every process can have"
    )]
    pub fn in_memory() -> Arc<Self> {
        let disk = Disk::open(|| builder().create_with_backend(InMemoryBackend::new()));
        let disk = disk.expect("memory can be written");
        disk.with(generations::format).expect("memory can be written");
        Self::over(disk).expect("a thread can be started")
    }

    fn over(disk: Disk) -> io::Result<Arc<Self>> {
        let (disk, queue) = (Arc::new(disk), Arc::new(Queue::new()));
        let writer = {
            let (disk, queue) = (disk.clone(), queue.clone());
            std::thread::Builder::new().name("index".into()).spawn(move || queue.write_to(&disk))?
        };
        let opened = Opened { disk, queue, writer: Some(writer) };
        Ok(Arc::new(Self { opened: Arc::new(opened), domain: Domain::default() }))
    }

    /// The tables of another domain.
    pub fn within(&self, domain: Domain) -> Arc<Self> {
        Arc::new(Self { opened: self.opened.clone(), domain })
    }

    /// Whose tables these are.
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// What is under this key. Waits for the disk. What cannot be read is not there: that costs asking again, and the
    /// log says so.
    ///
    /// The caller lets nobody else write this key meanwhile: what is found in the older generation is queued anew.
    pub(crate) fn find(&self, table: Table, key: &[u8]) -> Option<Arc<[u8]>> {
        if let Some(queued) = self.opened.queue.latest(table, key) {
            return queued;
        }
        match self.opened.disk.with(|database| table.find(database, key)) {
            Ok(None) => None,
            Ok(Some(Hit { age: Age::Current, value })) => Some(value),
            Ok(Some(Hit { age: Age::Older, value })) => {
                self.opened.queue.put(table, key, Some(value.clone()));
                Some(value)
            }
            Err(error) => {
                unreadable(table, &error);
                None
            }
        }
    }

    /// Whether there is something under this key, or nobody can tell. Waits for the disk.
    pub(crate) fn may_have(&self, table: Table, key: &[u8]) -> bool {
        if let Some(queued) = self.opened.queue.latest(table, key) {
            return queued.is_some();
        }
        let found = self.opened.disk.with(|database| table.find(database, key));
        found.inspect_err(|error| unreadable(table, error)).map_or(true, |hit| hit.is_some())
    }

    /// Queues a value for this key, or with `None` that it is forgotten. Waits while the queue is full.
    pub(crate) fn put(&self, table: Table, key: &[u8], value: Option<Arc<[u8]>>) -> Ticket {
        self.opened.queue.put(table, key, value)
    }

    /// Waits until this write, and all before it, are on disk. A write that failed is over too; the log says so.
    pub(crate) async fn settled(&self, ticket: Ticket) {
        self.opened.queue.settled(ticket).await;
    }

    /// The names of all tables that anything was ever written to. Waits for the disk.
    pub(crate) fn tables(&self) -> Vec<String> {
        self.opened.disk.with(generations::tables).unwrap_or_else(|error| {
            tracing::warn!(%error, "the index cannot be read");
            Vec::new()
        })
    }

    /// Every key that begins so; one that was removed may be among them, and one may be there twice. Waits for the
    /// disk.
    pub(crate) fn keys_under(&self, table: Table, beginning: &Beginning) -> Vec<Arc<[u8]>> {
        let mut keys = self.opened.queue.keys_under(table, beginning);
        match self.opened.disk.with(|database| table.keys_under(database, beginning)) {
            Ok(found) => keys.extend(found),
            Err(error) => unreadable(table, &error),
        }
        keys
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(Err(_)) = self.writer.take().map(JoinHandle::join) {
            tracing::error!("the index's writer panicked");
        }
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").finish_non_exhaustive()
    }
}

fn unreadable(table: Table, error: &(dyn std::error::Error + 'static)) {
    tracing::warn!(table = table.name, error, "the index cannot be read");
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(PAGE_CACHE);
    builder
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's errors are open, and all others are damage"
)]
fn refused(path: &Path, error: DatabaseError) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => OpenError::InUse { path },
        DatabaseError::Storage(StorageError::Io(source))
            if !matches!(source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
        {
            OpenError::Io { path, source }
        }
        other => OpenError::Damaged { path, source: BoxError::from(other) },
    }
}

#[cfg(test)]
mod tests;
