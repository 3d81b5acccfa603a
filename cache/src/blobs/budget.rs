//! How much may be kept of what.

use super::shelf::Part;

/// What documents may take, as a share of the limit. They are small: what a cluster knows of ten thousand images fits
/// in a few gigabytes, and a flood of signatures must not empty the rest.
const DOCUMENTS: u64 = 4;

/// The limit, shared out. Layers take what documents leave, so that layers displace layers alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget(Option<u64>);

impl Budget {
    pub(super) fn new(limit: Option<u64>) -> Self {
        Self(limit)
    }

    pub(super) fn limit(self) -> Option<u64> {
        self.0
    }

    /// The most bytes of a part, where documents take this many.
    pub(super) fn most(self, part: Part, documents: u64) -> Option<u64> {
        let limit = self.0?;
        Some(match part {
            Part::Documents => limit / DOCUMENTS,
            Part::Layers => limit.saturating_sub(documents),
        })
    }
}
