//! What answers for tenants at this moment: put together when the first request comes, and taken apart when others have
//! more use for the memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
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
    builds: Flights<Which, Result<Arc<Served>, Arc<anyhow::Error>>>,
    counts: Mutex<HashMap<&'static str, Arc<Counts>>>,
    /// How much all weigh together, and how many they are.
    weights: AtomicU64,
    tenants: AtomicU64,
}

/// By what something that answers is told: a tenant, as it was set up at this place in memory.
type Which = (&'static str, u64);

struct Slot {
    /// What it was made of: with other settings something else answers.
    settings: Arc<config::Tenant>,
    /// Nothing, once it was taken apart.
    served: Option<Arc<Served>>,
    /// It is there as long as anybody still waits for an answer of it: no two of one tenant are at work, unless its
    /// settings changed between.
    weak: Weak<Served>,
    used: Instant,
}

impl Live {
    pub(super) fn new(tenants: &[Arc<config::Tenant>]) -> Self {
        let live = Self {
            slots: Mutex::default(),
            builds: Flights::new(),
            counts: Mutex::default(),
            weights: AtomicU64::new(0),
            tenants: AtomicU64::new(0),
        };
        live.replace(tenants);
        live
    }

    /// These are all there are from now on. What answers for others, or was made of other settings, is let go of.
    pub(super) fn replace(&self, tenants: &[Arc<config::Tenant>]) {
        let weights = tenants.iter().map(|tenant| u64::from(tenant.quotas.weight)).sum();
        self.weights.store(weights, Ordering::Relaxed);
        self.tenants.store(tenants.len() as u64, Ordering::Relaxed);
        let by_name: HashMap<&str, &Arc<config::Tenant>> =
            tenants.iter().map(|tenant| (tenant.name.name(), tenant)).collect();
        let is_current = |name: &str, slot: &Slot| {
            by_name.get(name).is_some_and(|settings| Arc::ptr_eq(settings, &slot.settings))
        };
        self.slots().retain(|name, slot| is_current(name, slot));
    }

    /// The part of memory that is a tenant's: by its weight, of as many as there are at once.
    pub(super) fn share_of(&self, tenant: &Tenant) -> Share {
        let (tenants, weights) = (self.tenants.load(Ordering::Relaxed), self.weights.load(Ordering::Relaxed));
        let at_once = tenants.min(MOST as u64).max(1);
        let weight = u64::from(tenant.settings().quotas.weight);
        Share::thousandths(1_000 * weight * tenants / (weights * at_once).max(1))
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
        let settings = tenant.shared_settings();
        if let Some(served) = self.find(settings) {
            return Ok(served);
        }
        let build = build();
        // It reads files, and takes the time of some.
        let work = || async move {
            let built = tokio::task::spawn_blocking(build).await.map_err(anyhow::Error::from);
            built.and_then(|built| built).map(Arc::new).map_err(Arc::new)
        };
        let which = (tenant.name().name(), Arc::as_ptr(settings).addr() as u64);
        let built = self.builds.run(which, work).await;
        let built = built.map_err(anyhow::Error::from)?.map_err(|error| anyhow::anyhow!("{error:#}"))?;
        Ok(self.keep(settings, built))
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

    fn find(&self, settings: &Arc<config::Tenant>) -> Option<Arc<Served>> {
        let mut slots = self.slots();
        let slot =
            slots.get_mut(settings.name.name()).filter(|slot| Arc::ptr_eq(&slot.settings, settings))?;
        let served = slot.served.clone().or_else(|| slot.weak.upgrade())?;
        slot.used = Instant::now();
        slot.served = Some(served.clone());
        Some(served)
    }

    /// Keeps the first that was made. The one that was used longest ago goes where there are too many.
    fn keep(&self, settings: &Arc<config::Tenant>, built: Arc<Served>) -> Arc<Served> {
        if let Some(served) = self.find(settings) {
            return served;
        }
        let mut slots = self.slots();
        let weak = Arc::downgrade(&built);
        let slot =
            Slot { settings: settings.clone(), served: Some(built.clone()), weak, used: Instant::now() };
        slots.insert(settings.name.name(), slot);
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
