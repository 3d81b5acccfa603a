//! Policies that a cluster keeps as objects: followed by every replica, and never read on a request path.
//!
//! `Cluster` holds what the API server says, and puts it in force through the one parser that also reads files. Until
//! everything was listed once, nothing is in force and nothing is allowed. Where the API server is away, the last whole set
//! goes on, from memory or from disk, for as long as `policies.staleFor` says, and whoever looks is told its age.

mod certificates;
mod connect;
pub mod crds;
mod held;
mod inject;
mod kind;
mod lead;
mod lease;
mod namespaces;
mod pull_secrets;
mod report;
mod saved;
mod tenants;
mod watch;
pub mod webhooks;

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use policies::{External, PolicySet, Problem};
use tokio::sync::{Notify, watch as channel};

pub(crate) use self::pull_secrets::{PullSecrets, Unusable};

use self::held::Held;
use self::kind::Kind;
pub(crate) use self::namespaces::Namespaces;
pub(crate) use self::report::Reason;
use self::report::Report;
use self::saved::Saved;
pub(crate) use self::tenants::{Said, TenantObjects};
use self::watch::Follower as _;
use crate::config::{Config, Kubernetes};
use crate::metrics::Metrics;
use crate::remote::RemoteFiles;
use crate::rules::{Rules, RulesError};
use crate::tls::Shown;
use crate::trust::Repositories;

/// How often it is looked whether what is in force has grown too old, and how old it is told to be.
const LOOK: Duration = Duration::from_secs(1);

/// How often the copy on disk is marked as still true.
const MARK: Duration = Duration::from_secs(15);

/// How long the API server may take over the first lists before the copy on disk is believed. One that refuses, or is not
/// there, is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The objects of a cluster that policies are made of.
pub(crate) struct Cluster {
    settings: Kubernetes,
    /// What the configurations of our webhooks are called.
    webhook: String,
    saved: Saved,
    /// The way to its API server, once there is one.
    client: OnceLock<kube::Client>,
    state: Mutex<State>,
    /// Where a tenant is told by them.
    namespaces: Option<Arc<Namespaces>>,
    /// Where tenants are objects too.
    tenants: Option<Arc<TenantObjects>>,
    /// What is to be in force changed, or how it stands.
    changed: Notify,
    /// A policy names a Secret or a ConfigMap that none named before.
    named: Notify,
    /// What came of the objects when they were last put in force.
    reports: channel::Sender<Arc<Report>>,
}

struct State {
    held: Held,
    /// The copy on disk, until the API server said everything once.
    copy: Option<saved::Copy>,
    /// Whether everything was listed once, with all that it names.
    settled: bool,
    /// What is on disk of this process.
    kept: Option<Documents>,
    started: std::time::Instant,
}

/// How the objects stand that are at hand.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Standing {
    /// The API server says so.
    Current,
    /// It said so at this time, and cannot be heard now: why.
    Stale(SystemTime, String),
    /// There is nothing that could be in force: why.
    Missing(String),
}

/// Objects as the parser reads them, each with where it is from.
type Documents = Vec<(String, Arc<str>)>;

impl Cluster {
    /// Follows nothing yet. The copy of an earlier process is read.
    pub(crate) fn new(config: &Config, settings: &Kubernetes) -> Arc<Self> {
        let saved = Saved::below(&config.storage.path);
        let copy = saved.read().unwrap_or_else(|error| {
            tracing::error!(%error, "the copy of the cluster's policies cannot be used");
            None
        });
        let state = State {
            held: Held::default(),
            copy,
            settled: false,
            kept: None,
            started: std::time::Instant::now(),
        };
        let selects = |tenant: &crate::config::Tenant| tenant.namespace_selector.is_some();
        // Of an object it is not known beforehand whether it selects any.
        let namespaces = settings.tenants || config.tenants.iter().flatten().any(selects);
        let tenants =
            settings.tenants.then(|| TenantObjects::believed(settings.stale_for, &settings.namespace));
        Arc::new(Self {
            namespaces: namespaces.then(|| Namespaces::believed(settings.stale_for)),
            tenants,
            settings: settings.clone(),
            webhook: config.admission.webhook.clone(),
            saved,
            client: OnceLock::new(),
            state: Mutex::new(state),
            changed: Notify::new(),
            named: Notify::new(),
            reports: channel::Sender::new(Arc::default()),
        })
    }

    /// Resolves once something else is to be in force.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// How what is at hand stands now.
    pub(crate) fn standing(&self) -> Standing {
        self.state().standing(SystemTime::now(), self.settings.stale_for)
    }

    /// Its namespaces, where a tenant is told by their labels.
    pub(crate) fn namespaces(&self) -> Option<&Arc<Namespaces>> {
        self.namespaces.as_ref()
    }

    /// Its Tenant objects, where those count.
    pub(crate) fn tenants(&self) -> Option<&Arc<TenantObjects>> {
        self.tenants.as_ref()
    }

    /// When the API server last said what is in force, if it ever did.
    pub(crate) fn heard(&self) -> Option<SystemTime> {
        self.state().heard()
    }

    /// Rules of what is at hand: what is wrong denies what it speaks of. Where nothing is at hand they withhold every
    /// answer.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub(crate) fn load(
        &self,
        config: &Config,
        repositories: &Repositories,
        remote: &RemoteFiles,
    ) -> Result<(Rules, Vec<Problem>), RulesError> {
        let (standing, from_disk, documents) = self.documents();
        if let Standing::Missing(why) = standing {
            return Ok((Rules::withheld(why), Vec::new()));
        }
        let (rules, problems) = Rules::load_objects(config, &documents, repositories, remote)?;
        let waiting = self.name(&rules.policies);
        let current = standing == Standing::Current;
        if waiting && !from_disk && !self.state().settled {
            let why = "policies are not synced: what they name is being looked up".to_owned();
            return Ok((Rules::withheld(why), Vec::new()));
        }
        if current && !waiting {
            self.settle(&documents);
        }
        self.reports.send_replace(Arc::new(Report::of(&documents, &rules, &problems)));
        Ok((rules, problems))
    }

    /// The rules of a tenant, of the same objects. What is said of the objects is said of the rules for all.
    pub(crate) fn rules_of(
        &self,
        config: &Config,
        repositories: &Repositories,
        remote: &RemoteFiles,
    ) -> Result<(Rules, Vec<Problem>), RulesError> {
        let (standing, from_disk, documents) = self.documents();
        if let Standing::Missing(why) = standing {
            return Ok((Rules::withheld(why), Vec::new()));
        }
        if !from_disk && !self.state().settled {
            let why = "policies are not synced: what they name is being looked up".to_owned();
            return Ok((Rules::withheld(why), Vec::new()));
        }
        Rules::load_objects(config, &documents, repositories, remote)
    }

    /// Everything was said, and is kept for a process that finds nobody to ask.
    fn settle(&self, documents: &Documents) {
        let heard = {
            let mut state = self.state();
            state.settled = true;
            state.copy = None;
            if state.kept.as_ref() == Some(documents) {
                return;
            }
            state.heard()
        };
        if let Err(error) = self.saved.write(documents, heard.unwrap_or_else(SystemTime::now)) {
            tracing::error!(%error, "the cluster's policies are in force and could not be kept on disk");
            return;
        }
        self.state().kept = Some(documents.clone());
    }

    /// Takes note of what policies name. Whether some of it was not looked for yet.
    fn name(&self, policies: &PolicySet) -> bool {
        let mut state = self.state();
        let mut changed = false;
        for kind in [Kind::Secret, Kind::ConfigMap] {
            let named = policies.externals().filter_map(|external| match (kind, external) {
                (Kind::Secret, External::Secret(name)) => Some(name.clone()),
                (Kind::ConfigMap, External::ConfigMap { name, .. }) => Some(name.clone()),
                (
                    _,
                    External::Secret(_)
                    | External::ConfigMap { .. }
                    | External::Remote { .. }
                    | External::Kms(_),
                ) => None,
            });
            changed |= state.held.want(kind, named.collect());
        }
        if changed {
            self.named.notify_waiters();
        }
        state.held.unheard().is_some()
    }

    fn documents(&self) -> (Standing, bool, Documents) {
        let state = self.state();
        let standing = state.standing(SystemTime::now(), self.settings.stale_for);
        match (&state.copy, state.settled) {
            (Some(copy), false) if matches!(standing, Standing::Stale(..)) => {
                (standing, true, copy.documents.clone())
            }
            _ => (standing, false, state.held.documents()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the objects, and keeps the copy on disk marked, until `stop` resolves. What one replica does for all is done
    /// where this one leads. Where `shown` is given, the certificate that replicas share is shown there.
    pub(crate) async fn run(
        self: Arc<Self>,
        metrics: Arc<Metrics>,
        shown: Option<Arc<Shown>>,
        stop: impl Future<Output = ()>,
    ) {
        let running = async {
            let client = connect::patiently(&self.settings, |why| {
                if let Some(namespaces) = &self.namespaces {
                    namespaces.trouble(why.clone());
                }
                if let Some(tenants) = &self.tenants {
                    tenants.trouble(&why);
                }
                for kind in Kind::POLICIES {
                    self.state().held.trouble(kind, why.clone());
                }
                self.changed.notify_one();
            })
            .await;
            let client = self.client.get_or_init(|| client).clone();
            let labelled = async {
                match &self.namespaces {
                    Some(namespaces) => namespaces.follow(&client).await,
                    None => std::future::pending().await,
                }
            };
            let tenants = async {
                match &self.tenants {
                    Some(tenants) => tenants.follow(&client).await,
                    None => std::future::pending().await,
                }
            };
            let follow = Kind::POLICIES.map(|kind| watch::follow(&self, &client, kind));
            let leading = lead::run(&self, &client, shown.is_some());
            let showing = certificates::show(&client, &self.settings.namespace, shown.as_deref());
            tokio::join!(futures_util::future::join_all(follow), labelled, tenants, leading, showing);
        };
        tokio::select! {
            () = stop => {}
            () = running => {}
            () = self.look(&metrics) => {}
        }
    }

    /// Says when what is in force has grown old, or has become true again.
    async fn look(&self, metrics: &Metrics) {
        let mut before = self.standing();
        metrics.synced(&before, self.heard());
        let mut marked = std::time::Instant::now();
        loop {
            tokio::time::sleep(LOOK).await;
            let now = self.standing();
            metrics.synced(&now, self.heard());
            if told_apart(&before, &now) {
                tell(&now);
                self.changed.notify_one();
            }
            if now == Standing::Current && marked.elapsed() > MARK {
                marked = std::time::Instant::now();
                let heard = self.heard().unwrap_or_else(SystemTime::now);
                if let Err(error) = self.saved.mark(heard) {
                    tracing::warn!(%error, "the copy of the cluster's policies could not be marked as true");
                }
            }
            before = now;
        }
    }
}

/// Whether it is another standing, not only another age or reason.
fn told_apart(one: &Standing, other: &Standing) -> bool {
    std::mem::discriminant(one) != std::mem::discriminant(other)
}

fn tell(standing: &Standing) {
    match standing {
        Standing::Current => tracing::info!("the API server says which policies there are"),
        Standing::Stale(heard, why) => {
            let heard = display(*heard);
            tracing::error!(heard, why, "the API server cannot be heard, the last policies stay in force");
        }
        Standing::Missing(why) => tracing::error!(why, "no policies are in force, and nothing is allowed"),
    }
}

/// A time for a person.
fn display(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| "?".to_owned(), |time| format!("{time:.0}"))
}

impl Standing {
    /// What there is to say of it to whoever asks, where policies are in force.
    pub(crate) fn remark(&self) -> Option<String> {
        match self {
            Self::Current | Self::Missing(_) => None,
            Self::Stale(heard, why) => {
                let age = SystemTime::now().duration_since(*heard).unwrap_or_default().as_secs();
                Some(format!("policies are stale, {age} s old: {why}"))
            }
        }
    }
}

impl State {
    fn heard(&self) -> Option<SystemTime> {
        match (&self.copy, self.settled) {
            (Some(copy), false) => Some(copy.heard),
            _ => self.held.heard(),
        }
    }

    fn standing(&self, now: SystemTime, stale_for: Duration) -> Standing {
        let trouble = self.held.trouble_of();
        let unheard = self.held.unheard();
        if !self.settled {
            return match (unheard, trouble) {
                (None, None) => Standing::Current,
                (unheard, trouble) => {
                    let refused = trouble.is_some() || self.started.elapsed() > PATIENCE;
                    let why = trouble.unwrap_or_else(|| {
                        format!("no list of {} has come", unheard.map_or("objects", Kind::plural))
                    });
                    match &self.copy {
                        Some(copy) if refused => stale("policies", copy.heard, why, now, stale_for),
                        _ => Standing::Missing(format!("policies are not synced: {why}")),
                    }
                }
            };
        }
        match trouble {
            None => Standing::Current,
            Some(why) => {
                let heard = self.held.heard().unwrap_or(SystemTime::UNIX_EPOCH);
                stale("policies", heard, why, now, stale_for)
            }
        }
    }
}

/// What was true then stays in force for a while.
fn stale(what: &str, heard: SystemTime, why: String, now: SystemTime, stale_for: Duration) -> Standing {
    let age = now.duration_since(heard).unwrap_or_default();
    if age > stale_for {
        let heard = display(heard);
        return Standing::Missing(format!(
            "{what} are too old: the API server was last heard at {heard}: {why}"
        ));
    }
    Standing::Stale(heard, why)
}
