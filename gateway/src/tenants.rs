//! Many teams and clusters behind one gateway, of which none can touch another.
//!
//! Recognition is the one door to anything: it makes a [`Tenant`], and a tenant is the only way to the core that answers
//! for it. What is in a core was made of that tenant's tables, bytes, credentials and rules, so that past recognition
//! there is no tenant to be mistaken about. Where no tenants are configured everybody is one, whom nobody has to name.

mod door;
mod known;
mod live;
mod network;
mod quota;
mod served;
mod service_accounts;
mod signs;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use cache::Domain;
use tokio::sync::watch;

use crate::config::{self, CallerCredential, Config};
use crate::core::{Core, Foundations};
use crate::decision::Decisions;
use crate::records::Records;
use crate::reload::{Mark, mark};
use crate::rules::RulesError;

use self::known::Known;
use self::live::Live;
pub use self::network::Network;
pub(crate) use self::served::Served;

/// Everybody who is served.
pub(crate) struct Tenants {
    config: Arc<Config>,
    foundations: Arc<Foundations>,
    deciding: Deciding,
    /// Whoever has no others beside; with tenants, nobody's: it answers what concerns no image.
    everybody: Arc<Served>,
    /// Those who are told apart, if any are.
    apart: Option<Apart>,
}

/// What every answer is named by, and kept in.
#[derive(Clone)]
pub(crate) struct Deciding {
    /// The names.
    pub(crate) decisions: Arc<Decisions>,
    /// What is kept.
    pub(crate) records: Arc<Records>,
}

/// Tenants who are told apart.
struct Apart {
    known: ArcSwap<Known>,
    live: Live,
}

/// One tenant, who was recognised.
#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    settings: Arc<config::Tenant>,
    label: &'static str,
}

/// How often it is looked whether files of a tenant changed.
const INTERVAL: Duration = Duration::from_millis(500);

/// How many tenants are told apart in metrics. Each is a time series or more of everything that is counted.
const LABELS: usize = 256;

impl Tenant {
    /// Its name.
    pub(crate) fn name(&self) -> Domain {
        self.settings.name
    }

    /// What is said of it in the configuration.
    fn settings(&self) -> &config::Tenant {
        &self.settings
    }

    /// What it is called in metrics: those that are configured first by their names.
    fn label(&self) -> &'static str {
        self.label
    }
}

impl Tenants {
    /// Whoever this configuration names, over these foundations.
    pub(crate) fn new(
        config: &Arc<Config>,
        foundations: &Arc<Foundations>,
        everybody: Core,
        deciding: &Deciding,
    ) -> anyhow::Result<Arc<Self>> {
        let everybody = Arc::new(Served::everybody(config, everybody, deciding));
        let apart = match &config.tenants {
            Some(tenants) => {
                let labelled = foundations.cluster.as_ref().and_then(|cluster| cluster.namespaces());
                let known = Known::new(tenants, config.registry.service_accounts.as_ref(), labelled)?;
                let live = Live::new(tenants);
                Some(Apart { known: ArcSwap::from_pointee(known), live })
            }
            None => None,
        };
        let tenants = Self {
            config: config.clone(),
            foundations: foundations.clone(),
            deciding: deciding.clone(),
            everybody,
            apart,
        };
        Ok(Arc::new(tenants))
    }

    /// That the own rules of every tenant can be put in force. None of it stays in memory.
    ///
    /// # Errors
    /// The first tenant whose rules are wrong, and why.
    pub(crate) fn check(config: &Config, foundations: &Foundations) -> anyhow::Result<()> {
        let own = |tenant: &&config::Tenant| tenant.policies.is_some() || !tenant.roots.is_empty();
        for tenant in config.tenants.iter().flatten().filter(own) {
            let checked = foundations.check_rules(&config.of_tenant(tenant));
            checked.map_err(|error: RulesError| anyhow::anyhow!("tenant {}: {error}", tenant.name))?;
        }
        Ok(())
    }

    /// Whoever has no others beside, where there are none.
    pub(crate) fn everybody(&self) -> &Arc<Served> {
        &self.everybody
    }

    /// Whether tenants are told apart.
    pub(crate) fn are_apart(&self) -> bool {
        self.apart.is_some()
    }

    /// The tenant of this name, for whoever operates the gateway.
    pub(crate) fn named(&self, name: &str) -> Option<Tenant> {
        self.apart.as_ref()?.known.load().named(name)
    }

    /// All tenants, in order of name.
    pub(crate) fn all(&self) -> Vec<Tenant> {
        self.apart.as_ref().map(|apart| apart.known.load().all()).unwrap_or_default()
    }

    /// What answers for a tenant. The first who asks, in a while, waits until it is put together.
    pub(crate) async fn served(&self, tenant: &Tenant) -> anyhow::Result<Arc<Served>> {
        let Some(apart) = &self.apart else { return Ok(self.everybody.clone()) };
        apart.live.of(tenant, || self.build(tenant)).await
    }

    /// Everything that answers at this moment.
    pub(crate) fn live(&self) -> Vec<Arc<Served>> {
        match &self.apart {
            Some(apart) => apart.live.all(),
            None => vec![self.everybody.clone()],
        }
    }

    /// Follows the files of those who answer until `stop` resolves, and what the rules for all rest on.
    pub(crate) async fn run(
        self: Arc<Self>,
        mut passes: watch::Receiver<u64>,
        stop: impl Future<Output = ()>,
    ) {
        let Some(apart) = &self.apart else { return };
        tokio::pin!(stop);
        let mut seen = None;
        loop {
            let came = tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(INTERVAL) => false,
                passed = passes.changed() => passed.is_ok(),
            };
            let this = self.clone();
            let logins = tokio::task::spawn_blocking(move || this.logins()).await.unwrap_or_default();
            if seen.as_ref().is_some_and(|seen| *seen != logins) {
                self.read_logins(apart);
            }
            seen = Some(logins);
            for served in apart.live.all() {
                let looked_at = served.clone();
                let changed = tokio::task::spawn_blocking(move || looked_at.has_changed()).await;
                if came || changed.unwrap_or(true) {
                    served.reload(&self.foundations).await;
                }
            }
        }
    }

    /// Waits until what was brought by now is noted.
    pub(crate) async fn settled(&self) {
        for served in self.live() {
            served.core().content.blobs().settled().await;
        }
    }

    fn build(&self, tenant: &Tenant) -> impl FnOnce() -> anyhow::Result<Served> + Send + 'static {
        let (config, foundations) = (self.config.clone(), self.foundations.clone());
        let (deciding, tenant) = (self.deciding.clone(), tenant.clone());
        let share =
            self.apart.as_ref().map(|apart| apart.live.share_of(&tenant)).unwrap_or(cache::Share::WHOLE);
        move || Served::build(&config, &foundations, &tenant, share, &deciding)
    }

    /// Reads the rules of those who answer at this moment, and the files of what callers log in with. Says whether all of
    /// it is right; what is wrong leaves what was before it.
    pub(crate) async fn reload(&self) -> bool {
        let Some(apart) = &self.apart else { return true };
        let mut right = true;
        for served in apart.live.all() {
            right &= served.reload(&self.foundations).await;
        }
        right & self.read_logins(apart)
    }

    /// Reads what callers log in with. Says whether it is right; where not, what was before it stays.
    fn read_logins(&self, apart: &Apart) -> bool {
        let tenants = self.config.tenants.as_deref().unwrap_or_default();
        let labelled = self.foundations.cluster.as_ref().and_then(|cluster| cluster.namespaces());
        match Known::new(tenants, self.config.registry.service_accounts.as_ref(), labelled) {
            Ok(known) => apart.known.store(Arc::new(known)),
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "what callers log in with stays as it was");
                return false;
            }
        }
        true
    }

    /// What the files that callers log in with are told by. Waits for the disk.
    fn logins(&self) -> Vec<Mark> {
        let callers = self.config.tenants.iter().flatten().flat_map(|tenant| &tenant.callers);
        let files = callers.flat_map(|caller| &caller.credentials).flat_map(CallerCredential::files);
        let keys = self.config.registry.service_accounts.iter().map(|settings| &settings.keys);
        files.chain(keys).filter_map(|path| mark(path.clone())).collect()
    }
}
