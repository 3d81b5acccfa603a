//! The files, and which of them are there. Everything here may wait for the disk.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use oci::{Digest, Verified};
use tempfile::NamedTempFile;

use super::budget::Budget;
use super::files;
use super::shelf::{Part, Shelf};
use super::stamp::Stamp;
use super::tally::Tally;
use crate::blob::read_chunk;
use crate::lock::lock;
use crate::{Beginning, Blob, KeyBytes, OpenError};

#[derive(Debug)]
pub(super) struct Store {
    root: files::Root,
    budget: Budget,
    shelf: Mutex<Shelf>,
    /// When the disk failed in the middle of something, last.
    failed: Mutex<Option<Instant>>,
    pub(super) tally: Tally,
    /// Held as long as this is open: another process would take our temporary files for left-overs.
    _lock: File,
}

/// A file, and whether this process knows what is in it.
pub(super) enum Kept {
    /// This process hashed it, or wrote it, and it was not changed since.
    Hashed(Blob),
    /// It has the right name and size.
    Unhashed(Blob, Stamp),
}

/// How long after a write failed half-way nothing large is written. Whoever was in the middle of it was let down, and
/// must not be again when they come back.
const SPARED: Duration = Duration::from_secs(10);

impl Store {
    pub(super) fn open(directory: &Path, limit: Option<u64>) -> Result<Self, OpenError> {
        let root = files::Root::new(directory);
        for part in Part::ALL {
            let directory = root.of(part);
            files::make_directory(directory).map_err(OpenError::io(directory))?;
        }
        let lock = take(&root.of(Part::Layers).join("lock"))?;
        let store = Self {
            root,
            budget: Budget::new(limit),
            shelf: Mutex::default(),
            failed: Mutex::default(),
            tally: Tally::default(),
            _lock: lock,
        };
        store.scan().map_err(OpenError::io(directory))?;
        store.make_room();
        Ok(store)
    }

    fn scan(&self) -> io::Result<()> {
        let unfinished = self.unfinished();
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished)?;
        }
        files::make_directory(&unfinished)?;
        let mut shelf = lock(&self.shelf);
        for part in Part::ALL {
            for found in files::scan(self.root.of(part))? {
                shelf.put(found.digest, part, found.size, None);
            }
        }
        Ok(())
    }

    /// Where files are until they are whole. The same filesystem, so that they can be renamed.
    fn unfinished(&self) -> PathBuf {
        self.root.of(Part::Layers).join("unfinished")
    }

    /// How much is kept, and how much may be.
    pub(super) fn filled(&self, part: Part) -> (usize, u64) {
        let shelf = lock(&self.shelf);
        (shelf.count(part), shelf.total(part))
    }

    pub(super) fn limit(&self) -> Option<u64> {
        self.budget.limit()
    }

    pub(super) fn pin(&self, digests: impl Iterator<Item = Digest>, lasting: Duration) {
        let now = Instant::now();
        lock(&self.shelf).pin(digests, now, now + lasting);
    }

    pub(super) fn pinned(&self) -> usize {
        lock(&self.shelf).pinned(Instant::now())
    }

    /// The file of this digest. Opening it takes microseconds, so that this is done on the spot.
    pub(super) fn find(&self, digest: &Digest) -> Option<Kept> {
        let item = lock(&self.shelf).touch(digest)?;
        match Blob::open(&self.root.path(item.part, digest), item.size) {
            Ok((blob, stamp)) if item.hashed == Some(stamp.id()) => Some(Kept::Hashed(blob)),
            Ok((blob, stamp)) => Some(Kept::Unhashed(blob, stamp)),
            Err(error) => {
                tracing::warn!(%digest, %error, "content that was kept cannot be opened");
                // Anything else, as too many open files, says nothing of this one.
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) {
                    self.remove(digest);
                }
                None
            }
        }
    }

    /// The file of this digest, if this process knows what is in it.
    pub(super) fn find_hashed(&self, digest: &Digest) -> Option<Blob> {
        match self.find(digest)? {
            Kept::Hashed(blob) => Some(blob),
            Kept::Unhashed(..) => None,
        }
    }

    /// Notes that a file, as it was then, is what its name says.
    pub(super) fn believe(&self, digest: &Digest, stamp: Stamp) {
        lock(&self.shelf).believe(digest, stamp);
    }

    /// Removes a file that is not what its name says.
    pub(super) fn disown(&self, digest: &Digest) {
        tracing::error!(%digest, "content that was kept has changed on disk, and is removed");
        self.tally.changed.count();
        self.remove(digest);
    }

    pub(super) fn read(&self, digest: Digest, limit: u64) -> io::Result<Option<Verified>> {
        let Some(Kept::Hashed(blob) | Kept::Unhashed(blob, _)) = self.find(&digest) else {
            return Ok(None);
        };
        if blob.size() > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let stamp = Stamp::of_file(blob.file())?;
        let mut bytes = Vec::with_capacity(blob.size() as usize);
        let mut rest = 0..blob.size();
        while !rest.is_empty() {
            bytes.extend_from_slice(&read_chunk(blob.file(), &mut rest, blob.size())?);
        }
        if let Ok(content) = Verified::check(digest, bytes.into()) {
            self.believe(&digest, stamp);
            return Ok(Some(content));
        }
        self.disown(&digest);
        Ok(None)
    }

    /// Whether a document is here, and was hashed by this process.
    pub(super) fn has_document(&self, digest: &Digest) -> bool {
        let is_document = |shelf: &Shelf| shelf.look(digest).is_some_and(|item| item.part == Part::Documents);
        is_document(&lock(&self.shelf)) && self.find_hashed(digest).is_some()
    }

    /// Keeps a document, which is written anew though it be there. Says whether it is on disk now: one that is larger
    /// than all that may be kept is not.
    pub(super) fn keep(&self, content: &Verified) -> io::Result<bool> {
        let (digest, size) = (content.digest(), content.bytes().len() as u64);
        let mut temporary = self.temporary(size)?;
        temporary.write_all(content.bytes())?;
        self.adopt(temporary, digest, Part::Documents, size)
    }

    /// A file that is removed unless it is adopted, with room for so many bytes: a disk that is full says so before
    /// anybody was given anything.
    pub(super) fn temporary(&self, size: u64) -> io::Result<NamedTempFile> {
        let temporary = NamedTempFile::new_in(self.unfinished())?;
        files::reserve(temporary.as_file(), size)?;
        Ok(temporary)
    }

    /// Whether the disk failed half-way just now, and is to be left alone.
    pub(super) fn is_spared(&self) -> bool {
        lock(&self.failed).is_some_and(|failed| failed.elapsed() < SPARED)
    }

    /// The disk failed half-way.
    pub(super) fn spare(&self) {
        *lock(&self.failed) = Some(Instant::now());
    }

    /// Keeps a file under the digest that the caller has found its bytes to have. Says whether it is kept: what is
    /// larger than all that may be kept is not.
    pub(super) fn adopt(
        &self,
        temporary: NamedTempFile,
        digest: Digest,
        part: Part,
        size: u64,
    ) -> io::Result<bool> {
        let documents = lock(&self.shelf).total(Part::Documents);
        if self.budget.most(part, documents).is_some_and(|most| size > most) {
            tracing::warn!(%digest, size, "content is larger than all that may be kept");
            self.tally.unkept.count();
            return Ok(false);
        }
        let before = lock(&self.shelf).look(&digest);
        let file = files::put(temporary, &self.root.path(part, &digest))?;
        let stamp = Stamp::of_file(&file)?;
        lock(&self.shelf).put(digest, part, size, Some(stamp));
        if let Some(before) = before.filter(|before| before.part != part) {
            self.unlink(before.part, &digest);
        }
        self.make_room();
        Ok(true)
    }

    fn make_room(&self) {
        for part in Part::ALL {
            let above = || {
                let mut shelf = lock(&self.shelf);
                let most = self.budget.most(part, shelf.total(Part::Documents))?;
                shelf.take_above(part, most, Instant::now())
            };
            while let Some((digest, part)) = above() {
                tracing::debug!(%digest, "content that was not used for long makes room");
                self.tally.evicted(part).count();
                self.unlink(part, &digest);
            }
        }
    }

    pub(super) fn size(&self, digest: &Digest) -> Option<u64> {
        lock(&self.shelf).look(digest).map(|item| item.size)
    }

    pub(super) fn part(&self, digest: &Digest) -> Option<Part> {
        lock(&self.shelf).look(digest).map(|item| item.part)
    }

    pub(super) fn remove_kept(&self, digest: Option<Digest>) -> usize {
        let digests = match digest {
            Some(digest) => Vec::from_iter(self.size(&digest).map(|_| digest)),
            None => lock(&self.shelf).digests(),
        };
        digests.iter().for_each(|digest| self.remove(digest));
        digests.len()
    }

    pub(super) fn remove_under(&self, beginning: &Beginning) {
        let mut digests = lock(&self.shelf).digests();
        digests.retain(|digest| beginning.begins(KeyBytes::of(digest).as_slice()));
        digests.iter().for_each(|digest| self.remove(digest));
    }

    fn remove(&self, digest: &Digest) {
        let mut shelf = lock(&self.shelf);
        let item = shelf.look(digest);
        shelf.take(digest);
        drop(shelf);
        if let Some(item) = item {
            self.unlink(item.part, digest);
        }
    }

    /// Removes a file. Where another keeps the same content at this moment, that one may go too: it is then found to
    /// be missing, and fetched again.
    fn unlink(&self, part: Part, digest: &Digest) {
        match std::fs::remove_file(self.root.path(part, digest)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::error!(%digest, %error, "content cannot be removed"),
        }
    }
}

fn take(path: &Path) -> Result<File, OpenError> {
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(false).open(path).map_err(OpenError::io(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path: path.to_owned(), source }),
    }
}
