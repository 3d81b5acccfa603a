//! Files that are whole or not there.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use oci::{Algorithm, Digest};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use tempfile::NamedTempFile;

use super::shelf::Part;

/// Makes a directory and those above it, for our own eyes: content may be private.
pub(crate) fn make_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Makes what was renamed into a directory last.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Where the parts of content are.
#[derive(Debug)]
pub(super) struct Root {
    documents: PathBuf,
    layers: PathBuf,
}

impl Root {
    pub(super) fn new(directory: &Path) -> Self {
        Self { documents: directory.join("documents"), layers: directory.join("blobs") }
    }

    pub(super) fn of(&self, part: Part) -> &Path {
        match part {
            Part::Documents => &self.documents,
            Part::Layers => &self.layers,
        }
    }

    pub(super) fn path(&self, part: Part, digest: &Digest) -> PathBuf {
        path(self.of(part), digest)
    }
}

/// The path of some content: `sha256/ab/abcd…`, so that no directory has too many entries.
fn path(root: &Path, digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    root.join(digest.algorithm().as_str()).join(&hex[..2]).join(&hex)
}

/// Takes room on the disk, where the filesystem can. A reader is never given what is not written yet.
pub(super) fn reserve(file: &File, size: u64) -> io::Result<()> {
    if size == 0 {
        return Ok(());
    }
    let taken = rustix::io::retry_on_intr(|| fallocate(file, FallocateFlags::empty(), 0, size));
    match taken {
        // Then it is seen when it is written.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        taken => Ok(taken?),
    }
}

/// Puts a file under its name: on disk before it is there, and there for good when this returns.
pub(super) fn put(temporary: NamedTempFile, path: &Path) -> io::Result<File> {
    temporary.as_file().sync_all()?;
    let Some(directory) = path.parent() else {
        return Err(io::ErrorKind::InvalidFilename.into());
    };
    if !directory.exists() {
        make_directory(directory)?;
        directory.parent().map_or(Ok(()), sync_directory)?;
    }
    let file = temporary.persist(path).map_err(|error| error.error)?;
    sync_directory(directory)?;
    Ok(file)
}

/// A file that was found, its size, and when it was used last, as far as the filesystem says.
pub(super) struct Found {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) used: SystemTime,
}

/// All content under a directory, the one that was used longest ago first. Whatever is not named as content is left
/// alone and does not count.
pub(super) fn scan(root: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let algorithm = algorithm.as_str();
        let directories = match root.join(algorithm).read_dir() {
            Ok(directories) => directories,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for directory in directories {
            let directory = directory?.path();
            if directory.is_dir() {
                for file in directory.read_dir()? {
                    found.extend(content(root, algorithm, &file?.path())?);
                }
            }
        }
    }
    found.sort_by_key(|file| file.used);
    Ok(found)
}

fn content(root: &Path, algorithm: &str, file: &Path) -> io::Result<Option<Found>> {
    let name = file.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let Ok(digest) = format!("{algorithm}:{name}").parse() else {
        return Ok(None);
    };
    let metadata = match file.symlink_metadata() {
        Ok(metadata) => metadata,
        // It made room meanwhile, where a gateway runs beside whoever looks.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !metadata.is_file() || file != path(root, &digest) {
        return Ok(None);
    }
    let modified = metadata.modified()?;
    let used = metadata.accessed().map_or(modified, |accessed| accessed.max(modified));
    Ok(Some(Found { digest, size: metadata.len(), used }))
}
