//! The last whole set on disk, for a process that finds no API server.
//!
//! One file, written whole: the digest of what follows on its first line, then the objects. When the API server last said
//! that they are the ones is the time of the file's last change, so that it can be moved on without writing them anew.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use oci::Digest;
use serde::{Deserialize, Serialize};

use super::Documents;

/// The most bytes of the file: those of all objects, quoted.
const LIMIT: u64 = 256 * 1024 * 1024;

/// Where the set is.
pub(super) struct Saved {
    path: PathBuf,
}

/// A set that was on disk.
pub(super) struct Copy {
    pub(super) documents: Documents,
    /// When it was last known to be the set.
    pub(super) heard: SystemTime,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    origin: String,
    text: Arc<str>,
}

impl Saved {
    /// In the directory of a gateway's storage.
    pub(super) fn below(storage: &Path) -> Self {
        Self { path: storage.join("kubernetes").join("policies.json") }
    }

    /// The set, if there is one.
    ///
    /// # Errors
    /// Why there is one that is not whole, or cannot be read. Nothing of it counts.
    pub(super) fn read(&self) -> std::io::Result<Option<Copy>> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let heard = file.metadata()?.modified()?;
        let mut text = String::new();
        file.take(LIMIT + 1).read_to_string(&mut text)?;
        let broken = |why: &str| std::io::Error::other(format!("{}: {why}", self.path.display()));
        if text.len() as u64 > LIMIT {
            return Err(broken("is too large"));
        }
        let (digest, objects) = text.split_once('\n').ok_or_else(|| broken("is cut off"))?;
        if Digest::of(objects.as_bytes()).to_string() != digest {
            return Err(broken("is not what was written"));
        }
        let entries: Vec<Entry> = serde_json::from_str(objects)?;
        let documents = entries.into_iter().map(|entry| (entry.origin, entry.text)).collect();
        Ok(Some(Copy { documents, heard }))
    }

    /// Puts a set in place of the one before it, whole or not at all.
    pub(super) fn write(&self, documents: &Documents, heard: SystemTime) -> std::io::Result<()> {
        let entries: Vec<_> = documents
            .iter()
            .map(|(origin, text)| Entry { origin: origin.clone(), text: text.clone() })
            .collect();
        let objects = serde_json::to_string(&entries)?;
        let directory = self.path.parent().ok_or(std::io::ErrorKind::InvalidInput)?;
        std::fs::create_dir_all(directory)?;
        // What it is made of is not for others, and temporary files are not readable by them.
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        writeln!(file, "{}", Digest::of(objects.as_bytes()))?;
        file.write_all(objects.as_bytes())?;
        file.as_file().set_modified(heard)?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        File::open(directory)?.sync_all()
    }

    /// The set was the one at this time, too.
    pub(super) fn mark(&self, heard: SystemTime) -> std::io::Result<()> {
        File::options().append(true).open(&self.path)?.set_modified(heard)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn documents() -> Documents {
        vec![("ClusterImagePolicy/a".into(), "{\"a\": \"ä\"}".into()), ("TrustRoot/b".into(), "{}".into())]
    }

    #[test]
    fn a_set_comes_back_whole_with_its_age() {
        let directory = tempfile::TempDir::new().unwrap();
        let saved = Saved::below(directory.path());
        assert!(saved.read().unwrap().is_none());
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        saved.write(&documents(), then).unwrap();
        let copy = saved.read().unwrap().unwrap();
        assert_eq!((copy.documents, copy.heard), (documents(), then));

        let later = then + Duration::from_secs(60);
        saved.mark(later).unwrap();
        assert_eq!(saved.read().unwrap().unwrap().heard, later);
        saved.write(&Vec::new(), later).unwrap();
        assert_eq!(saved.read().unwrap().unwrap().documents, Vec::new());
    }

    #[test]
    fn a_set_that_is_not_whole_is_none() {
        let directory = tempfile::TempDir::new().unwrap();
        let saved = Saved::below(directory.path());
        saved.write(&documents(), SystemTime::now()).unwrap();
        let whole = std::fs::read(&saved.path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&saved.path, &whole[..length]).unwrap();
            assert!(saved.read().is_err(), "{length}");
        }
        for place in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[place] ^= 1;
            std::fs::write(&saved.path, &flipped).unwrap();
            assert!(saved.read().is_err(), "{place}");
        }
    }
}
