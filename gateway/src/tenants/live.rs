//! What answers for tenants at this moment: put together when the first request comes, and taken apart when others have
//! more use for the memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use cache::{Flights, Share};
use tokio::time::Instant;

use super::Tenant;
use super::served::Served;
use super::usage::Counts;
use crate::config;

/// For how many tenants there is something that answers at most. What the others remember is on disk.
const MOST: usize = 128;

/// What answers, and what is counted of each whether or not anything does.
pub(super) struct Live {
    slots: Mutex<HashMap<&'static str, Slot>>,
    builds: Flights<&'static str, Result<Arc<Served>, Arc<anyhow::Error>>>,
    counts: Mutex<HashMap<&'static str, Arc<Counts>>>,
    weights: u64,
    tenants: u64,
}

struct Slot {
    /// Nothing, once it was taken apart.
    served: Option<Arc<Served>>,
    /// It is there as long as anybody still waits for an answer of it: no two of one tenant are at work.
    weak: Weak<Served>,
    used: Instant,
}

impl Live {
    pub(super) fn new(tenants: &[config::Tenant]) -> Self {
        Self {
            slots: Mutex::default(),
            builds: Flights::new(),
            counts: Mutex::default(),
            weights: tenants.iter().map(|tenant| u64::from(tenant.quotas.weight)).sum(),
            tenants: tenants.len() as u64,
        }
    }

    /// The part of memory that is a tenant's: by its weight, of as many as there are at once.
    pub(super) fn share_of(&self, tenant: &Tenant) -> Share {
        let at_once = self.tenants.min(MOST as u64).max(1);
        let weight = u64::from(tenant.settings().quotas.weight);
        Share::thousandths(1_000 * weight * self.tenants / (self.weights * at_once).max(1))
    }

    /// What answers for a tenant; made by this where nothing does.
    pub(super) async fn of<Build>(
        &self,
        tenant: &Tenant,
        build: impl FnOnce() -> Build,
    ) -> anyhow::Result<Arc<Served>>
    where
        Build: FnOnce() -> anyhow::Result<Served> + Send + 'static,
    {
        let name = tenant.name().name();
        if let Some(served) = self.find(name) {
            return Ok(served);
        }
        let build = build();
        // It reads files, and takes the time of some.
        let work = || async move {
            let built = tokio::task::spawn_blocking(build).await.map_err(anyhow::Error::from);
            built.and_then(|built| built).map(Arc::new).map_err(Arc::new)
        };
        let built = self.builds.run(name, work).await;
        let built = built.map_err(anyhow::Error::from)?.map_err(|error| anyhow::anyhow!("{error:#}"))?;
        Ok(self.keep(name, built))
    }

    /// Everything that answers.
    pub(super) fn all(&self) -> Vec<Arc<Served>> {
        self.slots().values().filter_map(|slot| slot.served.clone()).collect()
    }

    /// What is counted of a tenant.
    pub(super) fn counts_of(&self, name: &'static str) -> Arc<Counts> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.entry(name).or_default().clone()
    }

    fn find(&self, name: &'static str) -> Option<Arc<Served>> {
        let mut slots = self.slots();
        let slot = slots.get_mut(name)?;
        let served = slot.served.clone().or_else(|| slot.weak.upgrade())?;
        slot.used = Instant::now();
        slot.served = Some(served.clone());
        Some(served)
    }

    /// Keeps the first that was made. The one that was used longest ago goes where there are too many.
    fn keep(&self, name: &'static str, built: Arc<Served>) -> Arc<Served> {
        if let Some(served) = self.find(name) {
            return served;
        }
        let mut slots = self.slots();
        let weak = Arc::downgrade(&built);
        slots.insert(name, Slot { served: Some(built.clone()), weak, used: Instant::now() });
        let there = slots.iter().filter(|(_, slot)| slot.served.is_some());
        if there.clone().count() > MOST {
            let oldest = there.min_by_key(|(_, slot)| slot.used).map(|(name, _)| *name);
            if let Some(slot) = oldest.and_then(|name| slots.get_mut(name)) {
                slot.served = None;
            }
        }
        slots.retain(|_, slot| slot.served.is_some() || slot.weak.strong_count() > 0);
        built
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<&'static str, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
