//! Turns: who may change what is remembered for a key.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard};

use crate::KeyBytes;
use crate::lock::lock;

/// One lock for every key, or rather one of a few for each. They are held across reads of the disk, by threads that
/// may wait, and never across an await.
#[derive(Debug)]
pub(super) struct Turns {
    locks: [Mutex<()>; 64],
    hasher: RandomState,
}

impl Turns {
    /// Waits for the turn of this key.
    pub(super) fn take(&self, key: &KeyBytes) -> MutexGuard<'_, ()> {
        let hash = self.hasher.hash_one(key.as_slice());
        lock(&self.locks[(hash % 64) as usize])
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self { locks: std::array::from_fn(|_| Mutex::new(())), hasher: RandomState::new() }
    }
}
