//! Figures: what the memory did since it began, for whoever exports them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::shared::BreakerState;

/// Where a [`Memo`](crate::Memo) found what it was asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MemoStats {
    /// In memory.
    pub memory: u64,
    /// On disk.
    pub disk: u64,
    /// In the shared tier.
    pub shared: u64,
    /// Nowhere. Looks into memory alone do not count.
    pub misses: u64,
}

/// What a [`Memory`](crate::Memory) holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MemoryStats {
    /// How many entries, or nearly.
    pub entries: u64,
    /// How many bytes they are taken to have.
    pub bytes: u64,
    /// How many entries made room for others, or found none.
    pub evictions: u64,
}

/// What [`Blobs`](crate::Blobs) keep, and what became of what was to be kept.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BlobStats {
    /// What images are judged by.
    pub documents: PartStats,
    /// What images are made of.
    pub layers: PartStats,
    /// The most bytes of both.
    pub limit: Option<u64>,
    /// How many digests are pinned, here or not.
    pub pinned: u64,
    /// How many fills are under way.
    pub under_way: u64,
    /// How many fills arrived and were what they should be.
    pub filled: u64,
    /// How many bytes fills brought.
    pub filled_bytes: u64,
    /// How many asked for what was under way already.
    pub joined: u64,
    /// How many fills broke off, or were something else.
    pub failed: u64,
    /// How many files were hashed again, since this process had not or they were changed.
    pub hashed_again: u64,
    /// How many files were not what their name says.
    pub changed: u64,
    /// How often content was not kept.
    pub unkept: u64,
    /// How often the disk took nothing, or failed.
    pub disk_failures: u64,
}

/// What is kept of one part.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PartStats {
    /// How many files.
    pub files: u64,
    /// How many bytes.
    pub bytes: u64,
    /// How many files made room for others.
    pub evictions: u64,
}

/// What [`Flights`](crate::Flights) did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FlightStats {
    /// How many were begun.
    pub led: u64,
    /// How many asked for what was under way already.
    pub followed: u64,
}

/// What became of [`Lease`](crate::Lease)s.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LeaseStats {
    /// Work done as the one in the fleet.
    pub held: u64,
    /// Work that another replica did, and that was found.
    pub awaited: u64,
    /// Work done because nobody could tell, or because the other did not finish in time.
    pub alone: u64,
}

/// What became of questions to the shared tier.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SharedStats {
    /// Values that were found and opened.
    pub hits: u64,
    /// Values that were not there.
    pub misses: u64,
    /// Values that were stored.
    pub stored: u64,
    /// Values that were larger than is shared, in either direction.
    pub oversized: u64,
    /// Questions without an answer in time.
    pub late: u64,
    /// Questions that were refused, or whose connection broke.
    pub failed: u64,
    /// Questions that were not asked, because the breaker is open.
    pub spared: u64,
    /// Values that are not what we sealed, or not there where we put them. Above zero, somebody writes who should
    /// not.
    pub seals_broken: u64,
    /// Values sealed with a secret that is not at hand. After a secret was dropped these are to be expected.
    pub seals_unknown: u64,
    /// Values that were put back after their expiry.
    pub seals_expired: u64,
    /// Values from before a purge.
    pub purged: u64,
    /// Purges that were carried out, of our own and of others.
    pub purges: u64,
    /// Whether the server is asked.
    pub breaker: BreakerState,
    /// How often the breaker opened.
    pub openings: u64,
    /// Whether purges of others arrive at once.
    pub listening: bool,
    /// How long answers took.
    pub latency: Latency,
    /// What became of leases.
    pub leases: LeaseStats,
}

/// A histogram of how long answers took.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Latency {
    /// For each of [`Latency::BOUNDS`] how many took no longer, those of the bounds below included.
    pub within: [u64; 10],
    /// How many there were.
    pub count: u64,
    /// How long all took together.
    pub sum: Duration,
}

impl Latency {
    /// The bounds, in microseconds.
    pub const BOUNDS: [u64; 10] = [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 20_000, 40_000, 250_000];
}

/// A number that only grows. Its order among others does not matter.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The histogram while it is filled.
#[derive(Debug, Default)]
pub(crate) struct Clocked {
    up_to: [Count; 10],
    count: Count,
    micros: AtomicU64,
}

impl Clocked {
    pub(crate) fn add(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(at) = Latency::BOUNDS.iter().position(|bound| micros <= *bound) {
            self.up_to[at].add();
        }
        self.count.add();
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub(crate) fn latency(&self) -> Latency {
        let mut all = 0;
        let within = std::array::from_fn(|at| {
            all += self.up_to[at].value();
            all
        });
        let sum = Duration::from_micros(self.micros.load(Ordering::Relaxed));
        Latency { within, count: self.count.value(), sum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_each_answer_in_every_bound_that_it_kept() {
        let clocked = Clocked::default();
        for micros in [1, 100, 101, 30_000, 9_000_000] {
            clocked.add(Duration::from_micros(micros));
        }
        let latency = clocked.latency();
        assert_eq!(latency.within, [2, 3, 3, 3, 3, 3, 3, 3, 4, 4]);
        assert_eq!((latency.count, latency.sum), (5, Duration::from_micros(9_030_202)));
    }
}
