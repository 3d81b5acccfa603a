//! A file that another process left is hashed before this one says what it is.

use oci::{Digest, Hasher};
use tokio::sync::watch;

use super::stamp::Stamp;
use super::store::Store;
use crate::blob::read_chunk;
use crate::filling::Progress;
use crate::{Blob, FillError};

/// Content up to this size is given to nobody before all of it was hashed, which takes milliseconds: where it is wrong,
/// it is fetched instead and nobody notices. Of what is larger, readers are given what was hashed so far.
const AT_ONCE: u64 = 4 * 1024 * 1024;

/// The check of one file.
pub(super) struct Check<'a> {
    pub(super) store: &'a Store,
    pub(super) digest: Digest,
    pub(super) progress: &'a watch::Sender<Progress>,
}

impl Check<'_> {
    /// Whether the file is what its name says; it is removed if not, and an error where somebody may have been given some
    /// of it. What cannot be read is not there.
    pub(super) fn run(&self, blob: &Blob, stamp: Stamp) -> Result<bool, FillError> {
        self.store.tally.hashed_again.count();
        let is_right = match self.hash(blob) {
            Ok(digest) => digest == self.digest,
            Err(error) => {
                tracing::error!(digest = %self.digest, %error, "content that was kept cannot be read");
                false
            }
        };
        if is_right {
            self.store.believe(&self.digest, stamp);
            return Ok(true);
        }
        self.store.disown(&self.digest);
        if blob.size() <= AT_ONCE { Ok(false) } else { Err(FillError::Changed) }
    }

    fn hash(&self, blob: &Blob) -> std::io::Result<Digest> {
        let mut hasher = Hasher::new(self.digest.algorithm());
        let mut rest = 0..blob.size();
        while !rest.is_empty() {
            hasher.update(&read_chunk(blob.file(), &mut rest, blob.size())?);
            if blob.size() > AT_ONCE {
                self.progress
                    .send_replace(Progress::Landing { file: blob.file().clone(), landed: rest.start });
            }
        }
        Ok(hasher.finish())
    }
}
