//! How much each tenant uses.

use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use serde::Serialize;

use super::Tenants;

/// What was counted of a tenant since the process began.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pulls: AtomicU64,
    pulls_refused: AtomicU64,
    reviews: AtomicU64,
    reviews_denied: AtomicU64,
    over_quota: AtomicU64,
}

impl Counts {
    pub(super) fn pulled(&self, status: StatusCode) {
        self.pulls.fetch_add(1, Ordering::Relaxed);
        if status == StatusCode::FORBIDDEN {
            self.pulls_refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn reviewed(&self, allowed: bool) {
        self.reviews.fetch_add(1, Ordering::Relaxed);
        if !allowed {
            self.reviews_denied.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn limited(&self) {
        self.over_quota.fetch_add(1, Ordering::Relaxed);
    }
}

/// What one tenant uses, for whoever operates the gateway.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Usage {
    tenant: &'static str,
    /// Whether anything of it is in memory.
    live: bool,
    pulls: u64,
    pulls_refused: u64,
    reviews: u64,
    reviews_denied: u64,
    over_quota: u64,
    /// What its memory is taken to have in it.
    memory_bytes: u64,
    /// Entries in memory that made room for others, or found none.
    evictions: u64,
    policies: Option<usize>,
    weight: u32,
}

impl Tenants {
    /// What every tenant uses, in order of name.
    pub(crate) fn usage(&self) -> Vec<Usage> {
        let Some(apart) = &self.apart else { return Vec::new() };
        let live = self.live();
        let usage = self.all().into_iter().map(|tenant| {
            let name = tenant.name().name();
            let counts = apart.live.counts_of(name);
            let served = live.iter().find(|served| served.name() == name);
            let held = served.map(|served| served.held()).unwrap_or_default();
            let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
            Usage {
                tenant: name,
                live: served.is_some(),
                pulls: read(&counts.pulls),
                pulls_refused: read(&counts.pulls_refused),
                reviews: read(&counts.reviews),
                reviews_denied: read(&counts.reviews_denied),
                over_quota: read(&counts.over_quota),
                memory_bytes: held.iter().map(|(_, stats)| stats.bytes).sum(),
                evictions: held.iter().map(|(_, stats)| stats.evictions).sum(),
                policies: served.map(|served| served.policies()),
                weight: tenant.settings().quotas.weight,
            }
        });
        usage.collect()
    }
}
