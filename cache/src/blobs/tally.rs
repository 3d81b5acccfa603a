//! What is counted of content.

use std::sync::atomic::{AtomicU64, Ordering};

use super::shelf::Part;

/// A count that only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn count(&self) {
        self.add(1);
    }

    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn so_far(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) filled: Count,
    pub(super) bytes: Count,
    pub(super) joined: Count,
    pub(super) failed: Count,
    pub(super) hashed_again: Count,
    pub(super) changed: Count,
    pub(super) unkept: Count,
    pub(super) disk: Count,
    evicted_documents: Count,
    evicted_layers: Count,
}

impl Tally {
    pub(super) fn evicted(&self, part: Part) -> &Count {
        match part {
            Part::Documents => &self.evicted_documents,
            Part::Layers => &self.evicted_layers,
        }
    }
}
