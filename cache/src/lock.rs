//! Locking, where a panic elsewhere is no reason to stop remembering.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a lock, also after a panic of whoever had it. Every value that is locked here is consistent between any two
/// of its holder's statements.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
