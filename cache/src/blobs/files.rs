//! Files that are whole or not there.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use oci::{Algorithm, Digest};
use tempfile::NamedTempFile;

/// Makes a directory and those above it, for our own eyes: content may be private.
pub(crate) fn make_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Makes what was renamed into a directory last.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The path of some content: `sha256/ab/abcd…`, so that no directory has too many entries.
pub(super) fn path(root: &Path, digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    root.join(digest.algorithm().as_str()).join(&hex[..2]).join(&hex)
}

/// Puts a file under its name: on disk before it is there, and there for good when this returns.
pub(super) fn put(temporary: NamedTempFile, path: &Path) -> io::Result<()> {
    temporary.as_file().sync_all()?;
    if let Some(directory) = path.parent() {
        if !directory.exists() {
            make_directory(directory)?;
            directory.parent().map_or(Ok(()), sync_directory)?;
        }
        temporary.persist(path).map_err(|error| error.error)?;
        sync_directory(directory)?;
    }
    Ok(())
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
        make_directory(&root.join(algorithm))?;
        for directory in root.join(algorithm).read_dir()? {
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
    let metadata = file.symlink_metadata()?;
    if !metadata.is_file() || file != path(root, &digest) {
        return Ok(None);
    }
    let modified = metadata.modified()?;
    let used = metadata.accessed().map_or(modified, |accessed| accessed.max(modified));
    Ok(Some(Found { digest, size: metadata.len(), used }))
}
