//! The files, and which of them are there. Everything here may wait for the disk.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use oci::{Digest, Verified};
use tempfile::NamedTempFile;

use super::files;
use super::shelf::Shelf;
use crate::blob::read_chunk;
use crate::lock::lock;
use crate::{Beginning, Blob, KeyBytes, OpenError};

#[derive(Debug)]
pub(super) struct Store {
    root: PathBuf,
    limit: Option<u64>,
    shelf: Mutex<Shelf>,
    /// Held as long as this is open: another process would take our temporary files for left-overs.
    _lock: File,
}

impl Store {
    pub(super) fn open(directory: &Path, limit: Option<u64>) -> Result<Self, OpenError> {
        let root = directory.join("blobs");
        files::make_directory(&root).map_err(OpenError::io(&root))?;
        let lock = take(&root.join("lock"))?;
        let store = Self { root, limit, shelf: Mutex::default(), _lock: lock };
        store.scan().map_err(OpenError::io(&store.root))?;
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
        for found in files::scan(&self.root)? {
            shelf.put(found.digest, found.size);
        }
        Ok(())
    }

    /// Where files are until they are whole. The same filesystem, so that they can be renamed.
    fn unfinished(&self) -> PathBuf {
        self.root.join("unfinished")
    }

    pub(super) fn usage(&self) -> u64 {
        lock(&self.shelf).total()
    }

    /// The file of this digest. Opening it takes microseconds, so that this is done on the spot.
    pub(super) fn find(&self, digest: &Digest) -> Option<Blob> {
        let size = lock(&self.shelf).touch(digest)?;
        match Blob::open(&files::path(&self.root, digest), size) {
            Ok(blob) => Some(blob),
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

    pub(super) fn read(&self, digest: Digest, limit: u64) -> io::Result<Option<Verified>> {
        let Some(blob) = self.find(&digest) else {
            return Ok(None);
        };
        if blob.size() > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut bytes = Vec::with_capacity(blob.size() as usize);
        let mut rest = 0..blob.size();
        while !rest.is_empty() {
            bytes.extend_from_slice(&read_chunk(blob.file(), &mut rest, blob.size())?);
        }
        match Verified::check(digest, bytes.into()) {
            Ok(content) => Ok(Some(content)),
            Err(error) => {
                tracing::error!(%error, "content that was kept has changed on disk");
                self.remove(&digest);
                Ok(None)
            }
        }
    }

    pub(super) fn keep(&self, content: &Verified) -> io::Result<()> {
        let mut temporary = self.temporary()?;
        temporary.write_all(content.bytes())?;
        self.adopt(temporary, content.digest(), content.bytes().len() as u64)
    }

    /// A file that is removed unless it is adopted.
    pub(super) fn temporary(&self) -> io::Result<NamedTempFile> {
        NamedTempFile::new_in(self.unfinished())
    }

    /// Keeps a file under the digest that the caller has found its bytes to have.
    pub(super) fn adopt(&self, temporary: NamedTempFile, digest: Digest, size: u64) -> io::Result<()> {
        if self.limit.is_some_and(|limit| size > limit) {
            tracing::warn!(%digest, size, "content is larger than all that may be kept");
            return Ok(());
        }
        files::put(temporary, &files::path(&self.root, &digest))?;
        lock(&self.shelf).put(digest, size);
        self.make_room();
        Ok(())
    }

    fn make_room(&self) {
        let Some(limit) = self.limit else { return };
        let above = || lock(&self.shelf).take_above(limit);
        while let Some(digest) = above() {
            tracing::debug!(%digest, "content that was not used for long makes room");
            self.unlink(&digest);
        }
    }

    pub(super) fn size(&self, digest: &Digest) -> Option<u64> {
        lock(&self.shelf).size(digest)
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
        lock(&self.shelf).take(digest);
        self.unlink(digest);
    }

    /// Removes a file. Where another keeps the same content at this moment, that one may go too: it is then found to
    /// be missing, and fetched again.
    fn unlink(&self, digest: &Digest) {
        match std::fs::remove_file(files::path(&self.root, digest)) {
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
