//! Many teams and clusters behind one gateway, of which none can touch another.
//!
//! Recognition is the one door to anything: it makes a [`Tenant`], and a tenant is the only way to the core that answers
//! for it. What is in a core was made of that tenant's tables, bytes, credentials and rules, so that past recognition
//! there is no tenant to be mistaken about. Where no tenants are configured everybody is one, whom nobody has to name.

mod door;
mod known;
mod live;
mod network;
mod objects;
mod quota;
mod served;
mod service_accounts;
mod signs;
mod usage;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use cache::Domain;
use tokio::sync::watch;

use crate::config::{self, CallerCredential, Config};
use crate::core::{Core, Foundations};
use crate::decision::Decisions;
use crate::kubernetes::{Said, TenantObjects};
use crate::records::Records;
use crate::reload::{Mark, mark};
use crate::rules::RulesError;

use self::known::Known;
use self::live::Live;
pub use self::network::Network;
use self::objects::Objects;
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
    /// Those of the configuration.
    configured: Vec<Arc<config::Tenant>>,
    /// Those of the cluster, where these count.
    objects: Mutex<Objects>,
}

/// One tenant, who was recognised.
#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    settings: Arc<config::Tenant>,
    label: &'static str,
}

/// How often it is looked whether files of a tenant changed.
const INTERVAL: Duration = Duration::from_millis(500);

/// What there is to say of the objects of a cluster before any was heard of.
const NOT_SYNCED: &str = "Tenant objects are not synced";

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

    /// The same, by which it is told whether it is still what it was.
    fn shared_settings(&self) -> &Arc<config::Tenant> {
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
                let configured: Vec<_> = tenants.iter().cloned().map(Arc::new).collect();
                let cluster = foundations.cluster.as_ref();
                let labelled = cluster.and_then(|cluster| cluster.namespaces());
                let untold = cluster.and_then(|cluster| cluster.tenants()).map(|_| NOT_SYNCED.to_owned());
                let accounts = config.registry.service_accounts.as_ref();
                let known = Known::new(&configured, accounts, labelled, untold)?;
                let live = Live::new(&configured);
                let known = ArcSwap::from_pointee(known);
                Some(Apart { known, live, configured, objects: Mutex::default() })
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
        let mut untold = None;
        loop {
            let mut said = false;
            let came = tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(INTERVAL) => false,
                () = self.objects_changed() => {
                    said = true;
                    false
                }
                passed = passes.changed() => passed.is_ok(),
            };
            let this = self.clone();
            let logins = tokio::task::spawn_blocking(move || this.logins()).await.unwrap_or_default();
            let changed = seen.as_ref().is_some_and(|seen| *seen != logins);
            // What was said grows too old without a word.
            let now = self.objects().and_then(|objects| objects.untold());
            if changed || said || now != untold {
                let this = self.clone();
                drop(tokio::task::spawn_blocking(move || this.recognise()).await);
            }
            (seen, untold) = (Some(logins), now);
            if said {
                continue;
            }
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
        right & self.recognise()
    }

    /// The tenants that a cluster keeps as objects, where these count.
    fn objects(&self) -> Option<&Arc<TenantObjects>> {
        self.foundations.cluster.as_ref()?.tenants()
    }

    /// Resolves once something else may be said of them.
    async fn objects_changed(&self) {
        match self.objects() {
            Some(objects) => objects.changed().await,
            None => std::future::pending().await,
        }
    }

    /// Reads who there is and what callers log in with. Says whether it is right; where not, what was before it stays.
    fn recognise(&self) -> bool {
        let Some(apart) = &self.apart else { return true };
        // One after the other: what was said last is what stays.
        let mut objects = apart.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let said = self.objects().map(|objects| objects.said());
        let read = match &said {
            Some(Said::All(documents)) => {
                Some(Objects::read(&self.config, &apart.configured, documents, &objects))
            }
            Some(Said::Nothing(why)) => Some(Objects::untold(why)),
            Some(Said::Again) | None => None,
        };
        let now = read.as_ref().unwrap_or(&objects);
        let all: Vec<_> = apart.configured.iter().cloned().chain(now.tenants()).collect();
        let labelled = self.foundations.cluster.as_ref().and_then(|cluster| cluster.namespaces());
        let accounts = self.config.registry.service_accounts.as_ref();
        let takes_the_rest = all.iter().any(|tenant| tenant.name == Domain::default());
        let untold = now.untold.clone().or_else(|| now.doubt().filter(|_| takes_the_rest));
        match Known::new(&all, accounts, labelled, untold) {
            Ok(known) => apart.known.store(Arc::new(known)),
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "who is who stays as it was");
                return false;
            }
        }
        apart.live.replace(&all);
        if let (Some(cluster), Some(Said::All(documents))) = (self.objects(), &said) {
            cluster.report(documents, &now.wrong);
            for (object, _, why) in now.wrong.iter().filter(|wrong| !objects.wrong.contains(wrong)) {
                tracing::warn!(object, why, "a tenant is not in force");
            }
        }
        if let Some(read) = read {
            *objects = read;
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
