//! The composition root: every part constructed once, in order.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use cache::{Blobs, Index, Shared};
use hyper::body::Incoming;
use oci::Digest;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::admin::{Access, Admin, Decided, Operated, Readiness, Socket, Via};
use crate::admission::AdmissionDoor;
use crate::config::{AuditFile, Config};
use crate::connect::{self, upstreams};
use crate::content::Content;
use crate::cue::Cue;
use crate::decision::Decisions;
use crate::figures::Figures;
use crate::fleet::Fleet;
use crate::kubernetes::Cluster;
use crate::listen::Door;
use crate::material::Materials;
use crate::memory::{Memory, usage};
use crate::metrics::{self, Metrics};
use crate::place::Upstreams;
use crate::pull::{Gate, Prefetch, PullDoor};
use crate::records::{Audit, Records};
use crate::remote::RemoteFiles;
use crate::renewals::Renewals;
use crate::rules::Rules;
use crate::tags::Beliefs;
use crate::tls::Shown;
use crate::trust::{self, Repositories};
use crate::verdicts::Verdicts;
use crate::{reload, tls};

/// How long requests under way may take to finish once the gateway is told to stop.
const DRAIN: Duration = Duration::from_secs(25);

/// The parts that answer questions, without the doors that they are asked at.
pub struct Core {
    /// Content, read through.
    pub content: Arc<Content>,
    /// The pipeline.
    pub verdicts: Arc<Verdicts>,
    /// The registries that may be asked.
    pub upstreams: Arc<Upstreams>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    fleet: Option<Fleet>,
    renewals: Arc<Renewals>,
    rules: Arc<ArcSwap<Rules>>,
    /// The digest of the revocations among them, for those who have to know when it changes.
    revocations: watch::Sender<Digest>,
    repositories: Arc<Repositories>,
    remote: Arc<RemoteFiles>,
    cluster: Option<Arc<Cluster>>,
}

/// A gateway that answers.
pub struct App {
    /// Where the pull door listens.
    pub registry: SocketAddr,
    /// Where the admission door listens.
    pub admission: SocketAddr,
    /// Where health and metrics are served.
    pub admin: SocketAddr,
    /// The certificate authority of the admission door, where none was configured.
    pub ca: Option<PathBuf>,
    readiness: Arc<Readiness>,
    stop: watch::Sender<bool>,
    reload: mpsc::Sender<reload::Asker>,
    shared: Option<Arc<Shared>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Core {
    /// Builds everything that the configuration names.
    ///
    /// # Errors
    /// Whatever is wrong first, by the key or file that it is in.
    pub fn build(config: &Config) -> anyhow::Result<Self> {
        let repositories = Repositories::new(&config.storage.path, config.trust.refresh)?;
        let remote = RemoteFiles::new(&config.storage.path)?;
        let (rules, problems) = match &config.policies.kubernetes {
            Some(_) => (Rules::withheld("policies are not synced"), Vec::new()),
            None => Rules::load_first(config, &repositories, &remote)?,
        };
        for problem in &problems {
            tracing::error!(%problem, "a policy is wrong, and denies what it speaks of");
        }
        Self::with_rules(config, rules, repositories, remote)
    }

    /// The same under rules that were read elsewhere.
    ///
    /// # Errors
    /// As [`Core::build`].
    pub fn with_rules(
        config: &Config,
        rules: Rules,
        repositories: Arc<Repositories>,
        remote: Arc<RemoteFiles>,
    ) -> anyhow::Result<Self> {
        let directory = &config.storage.path;
        private_directory(directory)?;
        let metrics = Metrics::new();
        metrics.reloaded(Ok(&rules.policies));
        let index = Index::open(directory)?;
        let bucket = config.storage.objects.as_ref().map(connect::bucket).transpose();
        let bucket = bucket.map_err(|error| error.context("storage.object"))?;
        let blobs = Blobs::open_before(directory, config.storage.limit, bucket)?;
        let upstreams = Arc::new(upstreams(config)?);
        let fleet = config.redis.as_ref().map(|redis| Fleet::connect(redis, &index)).transpose()?;
        let renewals = Renewals::new();
        let beliefs = Beliefs { fresh: config.registry.tag_freshness, stale: config.registry.stale_tags };
        let content = Content::new(blobs.clone(), &index, fleet.as_ref(), beliefs, renewals.clone());
        let materials = Materials::new(blobs, &index, fleet.as_ref(), config.denials, metrics.clone());
        let revocations = watch::Sender::new(rules.policies.revoked());
        let rules = Arc::new(ArcSwap::from_pointee(rules));
        let verdicts = Verdicts::new(
            rules.clone(),
            upstreams.clone(),
            materials,
            content.clone(),
            cue(config)?,
            &index,
            fleet.as_ref(),
            metrics.clone(),
            renewals.clone(),
        );
        let cluster = config.policies.kubernetes.as_ref().map(|settings| Cluster::new(config, settings));
        Ok(Self {
            content,
            verdicts,
            upstreams,
            metrics,
            fleet,
            renewals,
            rules,
            revocations,
            repositories,
            remote,
            cluster,
        })
    }
}

/// The `cue` program, which this very program starts in a sandbox.
fn cue(config: &Config) -> anyhow::Result<Option<Cue>> {
    let start = |program: &PathBuf| Ok(Cue::new(program.clone(), std::env::current_exe()?));
    config.policies.cue.as_ref().map(start).transpose()
}

/// Where decisions are kept.
fn records(config: &Config) -> anyhow::Result<Arc<Records>> {
    let open = |file: &AuditFile| {
        Audit::open(&file.path, file.limit, file.format)
            .map_err(|error| anyhow::anyhow!("audit.path: {}: {error}", file.path.display()))
    };
    Ok(Records::new(config.audit.memory, config.audit.file.as_ref().map(open).transpose()?))
}

fn private_directory(directory: &std::path::Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(directory)
        .map_err(|error| anyhow::anyhow!("storage.path: {}: {error}", directory.display()))
}

impl App {
    /// Binds every door and starts to answer.
    ///
    /// # Errors
    /// Whatever is wrong first; nothing is left running then.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let handle = metrics::install();
        let core = Core::build(&config)?;
        let bind = |key: &'static str| move |error| anyhow::anyhow!("{key}: cannot be bound: {error}");
        let registry_tls = config.registry.tls.as_ref().map(tls::from_files).transpose()?;
        let (admission_tls, ca) = match &config.admission.tls {
            Some(files) => (tls::from_files(files)?, None),
            None => (tls::of_our_own(&config.storage.path)?, Some(config.storage.path.join("ca.pem"))),
        };
        let registry_server = registry_tls.as_ref().map(Shown::server).transpose()?;
        let registry =
            Door::bind(config.registry.listen, registry_server).await.map_err(bind("registry.listen"))?;
        let admission = Door::bind(config.admission.listen, Some(admission_tls.server()?))
            .await
            .map_err(bind("admission.listen"))?;
        let admin = Door::bind(config.admin.listen, None).await.map_err(bind("admin.listen"))?;
        let access = Access::new(config.admin.token.clone())?;
        let socket = Socket::bind(&config.admin.socket).await;
        let socket = socket.map_err(|error| {
            anyhow::anyhow!("admin.socket: {}: cannot be bound: {error}", config.admin.socket.display())
        })?;
        let (stop, stopped) = watch::channel(false);
        let (reload, askers) = mpsc::channel(1);
        let readiness = Arc::new(Readiness::default());
        let mut app = Self {
            registry: registry.address()?,
            admission: admission.address()?,
            admin: admin.address()?,
            ca,
            readiness: readiness.clone(),
            stop,
            reload,
            shared: core.fleet.as_ref().map(|fleet| fleet.shared().clone()),
            tasks: Vec::new(),
        };
        let decided = (Arc::new(Decisions::new(process_number())), records(&config)?);
        app.open_registry(registry, &config, &core, &decided, stopped.clone());
        app.open_admission(admission, &config, &core, &decided, stopped.clone());
        let renewals = core.renewals.clone();
        let figures = Figures::new(core.content.clone(), core.verdicts.clone(), app.shared.clone(), renewals);
        let memory = Memory::new(core.content.clone(), core.verdicts.clone(), core.upstreams.clone());
        let decided = Decided::new(decided.1, core.upstreams.clone());
        let admin_door = Arc::new(Admin::new(
            readiness.clone(),
            core.rules.clone(),
            core.cluster.clone(),
            handle,
            figures,
            Operated { access, memory: memory.clone(), decided },
        ));
        let counting = usage::count_now_and_then(memory, until(stopped.clone()));
        app.tasks.push(tokio::spawn(counting));
        for (door, via) in [(admin, Via::Address), (Door::of_socket(socket), Via::Socket)] {
            let admin_door = admin_door.clone();
            app.open(door, stopped.clone(), move |request| {
                let admin_door = admin_door.clone();
                async move { admin_door.answer(request, via).await }
            });
        }
        if let (Some(redis), Some(fleet)) = (&config.redis, &core.fleet) {
            let watching =
                reload::watch_seal_keys(redis.clone(), fleet.shared().clone(), until(stopped.clone()));
            app.tasks.push(tokio::spawn(watching));
        }
        let refreshing = trust::run(core.repositories.clone(), core.metrics.clone(), until(stopped.clone()));
        app.tasks.push(tokio::spawn(refreshing));
        app.tasks.push(tokio::spawn(core.remote.clone().run(until(stopped.clone()))));
        for (shown, files) in [
            (registry_tls, config.registry.tls.clone()),
            (Some(admission_tls.clone()), config.admission.tls.clone()),
        ] {
            if let (Some(shown), Some(files)) = (shown, files) {
                app.tasks.push(tokio::spawn(shown.follow(files, until(stopped.clone()))));
            }
        }
        if let Some(cluster) = &core.cluster {
            // Where no certificate is configured, the replicas share one.
            let shown = config.admission.tls.is_none().then_some(admission_tls);
            let running = cluster.clone().run(core.metrics.clone(), shown, until(stopped.clone()));
            app.tasks.push(tokio::spawn(running));
        }
        let in_force = reload::InForce { rules: core.rules, revocations: core.revocations, askers };
        let reloading = reload::watch(
            config,
            in_force,
            core.repositories,
            core.remote,
            core.cluster,
            core.metrics,
            until(stopped),
        );
        app.tasks.push(tokio::spawn(reloading));
        readiness.open();
        Ok(app)
    }

    fn open_registry(
        &mut self,
        door: Door,
        config: &Config,
        core: &Core,
        (decisions, records): &(Arc<Decisions>, Arc<Records>),
        stopped: watch::Receiver<bool>,
    ) {
        let gate = Gate::new(core.content.clone(), core.verdicts.clone(), config.registry.no_match);
        let pull = Arc::new(PullDoor::new(
            gate,
            core.content.clone(),
            core.upstreams.clone(),
            decisions.clone(),
            records.clone(),
            core.revocations.subscribe(),
            Prefetch::new(config.storage.prefetch.clone()),
            core.metrics.clone(),
        ));
        self.open(door, stopped, move |request| {
            let pull = pull.clone();
            async move { pull.answer(&request).await }
        });
    }

    fn open_admission(
        &mut self,
        door: Door,
        config: &Config,
        core: &Core,
        (decisions, records): &(Arc<Decisions>, Arc<Records>),
        stopped: watch::Receiver<bool>,
    ) {
        let admission = Arc::new(AdmissionDoor::new(
            core,
            decisions.clone(),
            records.clone(),
            &config.admission,
            config.policies.no_match,
        ));
        self.open(door, stopped, move |request| {
            let admission = admission.clone();
            async move { admission.answer(request).await }
        });
    }

    fn open<F, Fut>(&mut self, door: Door, stopped: watch::Receiver<bool>, answer: F)
    where
        F: Fn(http::Request<Incoming>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = http::Response<crate::reply::Body>> + Send + 'static,
    {
        self.tasks.push(tokio::spawn(door.serve(answer, until(stopped))));
    }

    /// What it shares with other replicas, if it does.
    pub fn shared(&self) -> Option<&Arc<Shared>> {
        self.shared.as_ref()
    }

    /// Reads policies and trust roots now, rather than when it is noticed that their files changed. Says whether what is
    /// there is in force; where it is wrong, what was before it stays.
    pub async fn reload(&self) -> bool {
        let (asker, answer) = oneshot::channel();
        self.reload.send(asker).await.is_ok() && answer.await.unwrap_or(false)
    }

    /// Stops accepting, lets what is under way finish within 25 s, and ends every task.
    pub async fn drain(self) {
        self.readiness.drain();
        self.stop.send_replace(true);
        let aborts: Vec<_> = self.tasks.iter().map(JoinHandle::abort_handle).collect();
        let done = futures_util::future::join_all(self.tasks);
        if tokio::time::timeout(DRAIN, done).await.is_err() {
            tracing::warn!("some requests did not finish in time");
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
        }
    }
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // The sender being gone means the same: nobody is left to answer for.
    drop(stopped.wait_for(|stopped| *stopped).await);
}

/// Some number that another process is unlikely to have. It names answers and protects nothing.
fn process_number() -> u32 {
    use std::hash::{BuildHasher as _, Hasher as _};
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    u32::try_from(random >> 32).unwrap_or_default()
}
