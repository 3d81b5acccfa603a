//! What tells that a file is as it was when it was hashed.

use std::fs::{File, Metadata};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

/// Which file it is, and when it was changed last. The time of the last change of status cannot be set by whoever
/// writes to a file, so that no change through the filesystem goes unseen. What happens below it does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Stamp {
    id: StampId,
    size: u64,
}

/// What a stamp is told from others by, in a word: there is one for each file on disk. It is made under a key of this process,
/// so that nobody can look for another file that has the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct StampId(NonZeroU64);

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        static KEY: OnceLock<RandomState> = OnceLock::new();
        let size = metadata.len();
        let is = (metadata.dev(), metadata.ino(), size, metadata.ctime(), metadata.ctime_nsec());
        let hash = KEY.get_or_init(RandomState::new).hash_one(is);
        Self { id: StampId(NonZeroU64::new(hash).unwrap_or(NonZeroU64::MIN)), size }
    }

    pub(crate) fn id(self) -> StampId {
        self.id
    }

    pub(crate) fn of_file(file: &File) -> io::Result<Self> {
        Ok(Self::of(&file.metadata()?))
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }
}
