//! Decisions that were made, kept for a while: so that a person who was told no finds out why, and another who wants to
//! know what would be denied, before it is.

mod audit;
mod disagreements;
mod record;
mod ring;
mod search;
mod told;

use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use audit::Audit;
pub use audit::Format;
pub(crate) use disagreements::disagreements;
pub(crate) use record::{Asked, Came, Image, Outcome, Pull, Record, Review, kept, reason};
pub(crate) use search::{Search, Wanted};
pub(crate) use told::{cloud_event, told};

use ring::Ring;

/// Where the decisions of one tenant are kept, or of everybody.
#[derive(Debug)]
pub(crate) struct Records {
    kept: Arc<Kept>,
    tenant: Option<&'static str>,
}

/// The newest decisions of each kind, so many bytes of them, and the file that all are written to.
#[derive(Debug)]
struct Kept {
    /// By door, and by whether the answer was yes: however much is allowed, what was denied stays.
    rings: [Mutex<Ring>; 4],
    audit: Option<Audit>,
}

impl Records {
    /// Keeps this many bytes of records, a quarter of each kind.
    pub(crate) fn new(limit: u64, audit: Option<Audit>) -> Arc<Self> {
        let quarter = usize::try_from(limit / 4).unwrap_or(usize::MAX);
        let kept = Kept { rings: std::array::from_fn(|_| Mutex::new(Ring::new(quarter))), audit };
        Arc::new(Self { kept: Arc::new(kept), tenant: None })
    }

    /// The same, for the decisions of a tenant.
    pub(crate) fn of(&self, tenant: &'static str) -> Arc<Self> {
        Arc::new(Self { kept: self.kept.clone(), tenant: Some(tenant) })
    }

    /// Keeps a decision.
    pub(crate) fn keep(&self, record: Record) {
        let record = Record { tenant: self.tenant, ..record };
        let door = match &record.asked {
            Asked::Review(_) => 0,
            Asked::Pull(_) => 2,
        };
        let refused = usize::from(record.outcome != Outcome::Allowed);
        let record = Arc::new(record);
        if let Some(audit) = &self.kept.audit {
            audit.write(record.clone());
        }
        let mut ring = self.kept.rings[door + refused].lock().unwrap_or_else(PoisonError::into_inner);
        let left = ring.push(record);
        // What leaves is freed without the others waiting for it.
        drop(ring);
        drop(left);
    }

    /// All of them, newest first.
    pub(crate) fn newest(&self) -> Vec<Arc<Record>> {
        let mut all = Vec::new();
        for ring in &self.kept.rings {
            let ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(ring.records().cloned());
        }
        all.sort_by_key(|record| std::cmp::Reverse((record.at, record.id)));
        all
    }
}

#[cfg(test)]
mod tests;
