//! The database, which is opened anew when the disk has failed it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use redb::{Database, DatabaseError};

/// A database and how to open it. After one failure of the disk a database refuses everything, reading too; what is
/// kept should still be found when the disk is merely full.
pub(super) struct Disk {
    open: Box<Open>,
    database: RwLock<Option<Database>>,
    failed: AtomicBool,
}

type Open = dyn Fn() -> Result<Database, DatabaseError> + Send + Sync;

impl Disk {
    pub(super) fn open(
        open: impl Fn() -> Result<Database, DatabaseError> + Send + Sync + 'static,
    ) -> Result<Self, DatabaseError> {
        let database = RwLock::new(Some(open()?));
        Ok(Self { open: Box::new(open), database, failed: AtomicBool::new(false) })
    }

    /// Does something with the database. Reads do not wait for writes.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let outcome = database.as_ref().ok_or(redb::Error::DatabaseClosed).and_then(work);
        if outcome.as_ref().is_err_and(refuses_all_else) {
            self.failed.store(true, Ordering::Relaxed);
        }
        outcome
    }

    /// Whether the disk has failed it.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Closes and opens it. Where that fails there is none, until this is called again.
    pub(super) fn reopen(&self) {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // Closed first, or it would be in use by ourselves.
        drop(database.take());
        match (self.open)() {
            Ok(opened) => {
                *database = Some(opened);
                self.failed.store(false, Ordering::Relaxed);
            }
            Err(error) => {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::error!(error, "the index cannot be opened again: nothing is found on disk");
            }
        }
    }
}

fn refuses_all_else(error: &redb::Error) -> bool {
    matches!(error, redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::DatabaseClosed)
}
