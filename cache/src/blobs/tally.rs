//! What is counted of content.

use super::shelf::Part;
use crate::count::Count;

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
