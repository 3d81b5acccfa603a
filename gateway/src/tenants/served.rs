//! What answers for one tenant: its core, its doors and its quotas.

use std::sync::{Arc, Mutex, PoisonError};

use cache::{MemoryStats, Share};

use super::quota::Quota;
use super::{Deciding, Tenant};
use crate::admission::AdmissionDoor;
use crate::config::{self, Config};
use crate::core::{Core, Foundations};
use crate::memory::Memory;
use crate::pull::{Gate, Prefetch, PullDoor};
use crate::reload::{self, Mark};
use crate::rules::Rules;

/// What answers for one tenant.
pub(crate) struct Served {
    name: &'static str,
    /// The configuration as it would be if the tenant were alone.
    config: Arc<Config>,
    core: Core,
    pub(super) pull: PullDoor,
    pub(super) admission: AdmissionDoor,
    pub(super) pulls: Quota,
    pub(super) reviews: Quota,
    /// What whoever is denied something is told besides.
    pub(super) told: Option<Arc<str>>,
    seen: Mutex<Vec<Mark>>,
}

impl Served {
    /// Whoever has no others beside.
    pub(super) fn everybody(config: &Arc<Config>, core: Core, deciding: &Deciding) -> Self {
        Self::of(config.clone(), core, deciding, &config::Quotas::default(), None)
    }

    /// Puts together what answers for a tenant. It reads files.
    pub(super) fn build(
        config: &Config,
        foundations: &Foundations,
        tenant: &Tenant,
        share: Share,
        deciding: &Deciding,
    ) -> anyhow::Result<Self> {
        let settings = tenant.settings();
        let config = Arc::new(config.of_tenant(settings));
        let (domain, quotas) = (settings.name.with_share(share), &settings.quotas);
        let own_store = settings.own_store(&config.storage.path);
        let foundation = match (own_store, settings.quotas.disk) {
            (Some(directory), Some(limit)) => foundations.of_own_disk(domain, quotas, &directory, limit)?,
            (_, _) => foundations.of(domain, quotas),
        };
        let seen = reload::marks(&config);
        let rules = foundations.first_rules(&config)?;
        let core = Core::over(foundation, &config, rules)?;
        let served = Self::of(config, core, deciding, &settings.quotas, told(settings));
        *served.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        Ok(served)
    }

    fn of(
        config: Arc<Config>,
        core: Core,
        deciding: &Deciding,
        quotas: &config::Quotas,
        told: Option<Arc<str>>,
    ) -> Self {
        let gate = Gate::new(core.content.clone(), core.verdicts.clone(), config.registry.no_match);
        let Deciding { decisions, records } = deciding;
        let records =
            if config.domain_is_alone() { records.clone() } else { records.of(config.domain.name()) };
        let pull = PullDoor::new(
            gate,
            core.content.clone(),
            core.upstreams.clone(),
            decisions.clone(),
            records.clone(),
            core.revocations.subscribe(),
            Prefetch::new(config.storage.prefetch.clone()),
            core.callers.clone(),
            core.metrics.clone(),
            told.clone(),
        );
        let (decisions, records) = (decisions.clone(), records.clone());
        let admission =
            AdmissionDoor::new(&core, decisions, records, &config.admission, config.policies.no_match);
        Self {
            name: config.domain.name(),
            config,
            core,
            pull,
            admission,
            pulls: Quota::new(quotas.requests),
            reviews: Quota::new(quotas.requests),
            told,
            seen: Mutex::default(),
        }
    }

    /// Whose it is.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The parts.
    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// What it remembers, for whoever operates the gateway.
    pub(crate) fn memory(&self) -> Memory {
        let Core { content, verdicts, upstreams, .. } = &self.core;
        Memory::new(content.clone(), verdicts.clone(), upstreams.clone(), self.name)
    }

    /// What is in memory of each table.
    pub(super) fn held(&self) -> Vec<(&'static str, MemoryStats)> {
        self.core.content.held().into_iter().chain(self.core.verdicts.held()).collect()
    }

    /// How many policies are in force.
    pub(super) fn policies(&self) -> usize {
        self.core.rules.load().policies.len()
    }

    /// Whether any file changed that its rules are made of, since this was asked last. Waits for the disk.
    pub(super) fn has_changed(&self) -> bool {
        let now = reload::marks(&self.config);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *seen, now.clone()) != now
    }

    /// Reads its rules and puts them in force. Says whether they are right; where not, those before them stay.
    pub(super) async fn reload(&self, foundations: &Arc<Foundations>) -> bool {
        let (config, foundations) = (self.config.clone(), foundations.clone());
        let loaded = tokio::task::spawn_blocking(move || foundations.rules(&config)).await;
        match loaded {
            Ok(Ok(loaded)) => {
                self.replace(loaded);
                true
            }
            Ok(Err(error)) => {
                tracing::error!(tenant = self.name, %error, "new rules are refused, those before them stay in force");
                false
            }
            Err(error) => {
                tracing::error!(tenant = self.name, %error, "rules could not be read");
                false
            }
        }
    }

    fn replace(&self, loaded: Rules) {
        let before = self.core.rules.load_full();
        let withheld = |rules: &Rules| rules.in_force().is_err();
        if loaded.revision() == before.revision() && withheld(&loaded) == withheld(&before) {
            return;
        }
        tracing::info!(tenant = self.name, policies = loaded.policies.len(), revision = %loaded.revision(), "new rules are in force");
        let (revoked, is_withheld) = (loaded.policies.revoked(), withheld(&loaded));
        self.core.rules.store(Arc::new(loaded));
        if !is_withheld {
            self.core.revocations.send_if_modified(|before| std::mem::replace(before, revoked) != revoked);
        }
    }
}

/// What whoever is denied something is told besides: on one line, since runtimes print one.
fn told(tenant: &config::Tenant) -> Option<Arc<str>> {
    let contact = tenant.contact.as_ref().map(|contact| format!("contact {contact}"));
    let all: Vec<String> = tenant.message.clone().into_iter().chain(contact).collect();
    (!all.is_empty()).then(|| all.join("; ").into())
}
