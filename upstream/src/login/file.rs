//! Small files with secrets in them.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::LoginError;

/// The most bytes of such a file.
const LIMIT: u64 = 1024 * 1024;

/// What a file is told by that changed: it was written, or another took its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Mark(Option<(Option<SystemTime>, u64, u64)>);

impl Mark {
    /// The mark of a file as it is now.
    pub(crate) fn of(path: &Path) -> Self {
        Self(std::fs::metadata(path).ok().map(|file| (file.modified().ok(), file.len(), inode(&file))))
    }
}

#[cfg(unix)]
fn inode(file: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(file)
}

#[cfg(not(unix))]
fn inode(_: &std::fs::Metadata) -> u64 {
    0
}

/// The whole of a file.
pub(super) fn read(path: &Path) -> Result<String, LoginError> {
    let unreadable = |error| LoginError::Unreadable(path.to_owned(), Arc::new(error));
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(LIMIT + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > LIMIT {
        return Err(LoginError::TooLarge(path.to_owned()));
    }
    Ok(text)
}

/// The whole of a file without the end of its line.
pub(super) fn one_line(path: &Path) -> Result<String, LoginError> {
    Ok(read(path)?.trim_end_matches(['\r', '\n']).to_owned())
}
