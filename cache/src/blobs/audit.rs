//! Content, looked through from outside: by whoever does not hold the directory open, or beside who does.

use std::io;
use std::path::Path;

use oci::{Digest, Hasher};

use super::files::{self, Root};
use super::shelf::Part;
use crate::Blob;
use crate::blob::read_chunk;

/// What was found of one file.
#[derive(Debug)]
pub enum Finding {
    /// It is what its name says.
    Right,
    /// It is something else.
    Changed,
    /// The same, and it was removed: whoever wants it has it fetched.
    Removed,
    /// It cannot be read, or could not be removed.
    Unreadable(io::Error),
    /// It made room meanwhile.
    Gone,
}

/// One file, and how far the audit is.
#[derive(Debug)]
pub struct Audited {
    /// What it should be.
    pub digest: Digest,
    /// What it is.
    pub finding: Finding,
    /// How many bytes were looked through so far.
    pub bytes: u64,
    /// How many there were at the beginning.
    pub of: u64,
}

/// What an audit came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Audit {
    /// How many files were looked at.
    pub files: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// How many of them are not what their name says, and are still there.
    pub changed: u64,
    /// How many were not, and were removed.
    pub removed: u64,
    /// How many could not be told of.
    pub unreadable: u64,
}

/// Hashes all content within a directory, and removes what is wrong if that is asked for. It may be in use by a process
/// meanwhile, which finds what was removed to be missing. Waits for the disk.
///
/// # Errors
/// Where the directory cannot be listed.
pub fn audit(directory: &Path, repair: bool, mut each: impl FnMut(&Audited)) -> io::Result<Audit> {
    let root = Root::new(directory);
    let mut found = Vec::new();
    for part in Part::ALL {
        found.extend(files::scan(root.of(part))?.into_iter().map(|file| (part, file.digest, file.size)));
    }
    let of = found.iter().map(|(_, _, size)| size).sum();
    let mut audit = Audit::default();
    for (part, digest, size) in found {
        let finding = look(&root.path(part, &digest), digest, size, repair);
        audit.files += 1;
        audit.bytes += size;
        match &finding {
            Finding::Right | Finding::Gone => {}
            Finding::Changed => audit.changed += 1,
            Finding::Removed => audit.removed += 1,
            Finding::Unreadable(_) => audit.unreadable += 1,
        }
        each(&Audited { digest, finding, bytes: audit.bytes, of });
    }
    Ok(audit)
}

fn look(path: &Path, digest: Digest, size: u64, repair: bool) -> Finding {
    let looked = hash(path, digest, size).and_then(|got| match got == digest {
        true => Ok(Finding::Right),
        false if repair => std::fs::remove_file(path).map(|()| Finding::Removed),
        false => Ok(Finding::Changed),
    });
    match looked {
        Ok(finding) => finding,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Finding::Gone,
        Err(error) => Finding::Unreadable(error),
    }
}

fn hash(path: &Path, digest: Digest, size: u64) -> io::Result<Digest> {
    let (blob, _) = Blob::open(path, size)?;
    let mut hasher = Hasher::new(digest.algorithm());
    let mut rest = 0..size;
    while !rest.is_empty() {
        hasher.update(&read_chunk(blob.file(), &mut rest, size)?);
    }
    Ok(hasher.finish())
}
