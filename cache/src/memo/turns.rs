//! Turns: who may change what is remembered for a key.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use crate::KeyBytes;
use crate::lock::lock;

/// One lock for every key, or rather one of a few for each. They are held across reads of the disk, by threads that
/// may wait, and never across an await.
#[derive(Debug)]
pub(super) struct Turns {
    locks: [Mutex<()>; 64],
    changes: [AtomicU64; 64],
    hasher: RandomState,
}

impl Turns {
    /// Waits for the turn of this key.
    pub(super) fn take(&self, key: &KeyBytes) -> MutexGuard<'_, ()> {
        lock(&self.locks[self.of(key)])
    }

    /// How often this key was changed, at least: others count too. Waits for nothing.
    pub(super) fn changes(&self, key: &KeyBytes) -> u64 {
        self.changes[self.of(key)].load(Ordering::Acquire)
    }

    /// The key is changed, by whoever has its turn.
    pub(super) fn change(&self, key: &KeyBytes) {
        self.changes[self.of(key)].fetch_add(1, Ordering::AcqRel);
    }

    /// Every key is changed.
    pub(super) fn change_all(&self) {
        for changes in &self.changes {
            changes.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn of(&self, key: &KeyBytes) -> usize {
        (self.hasher.hash_one(key.as_slice()) % 64) as usize
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            locks: std::array::from_fn(|_| Mutex::new(())),
            changes: std::array::from_fn(|_| AtomicU64::new(0)),
            hasher: RandomState::new(),
        }
    }
}
