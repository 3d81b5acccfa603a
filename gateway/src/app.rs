//! The composition root: every part constructed once, in order.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use cache::Shared;
use hyper::body::Incoming;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::admin::{Access, Admin, Decided, Operated, Readiness, Socket, Via};
use crate::config::{self, AuditFile, Config};
use crate::core::{self, Core, Foundations};
use crate::decision::Decisions;
use crate::figures::Figures;
use crate::listen::Door;
use crate::memory::usage;
use crate::peer::Peer;
use crate::records::{Audit, Records};
use crate::tenants::{Deciding, Tenants};
use crate::threads::{self, Threads};
use crate::{metrics, reload, tls, trust};

/// How long requests under way may take to finish once the gateway is told to stop.
const DRAIN: Duration = Duration::from_secs(25);

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
    tenants: Arc<Tenants>,
    tasks: Vec<JoinHandle<()>>,
}

/// Where decisions are kept.
fn records(config: &Config) -> anyhow::Result<Arc<Records>> {
    let open = |file: &AuditFile| {
        Audit::open(&file.path, file.limit, file.format)
            .map_err(|error| anyhow::anyhow!("audit.path: {}: {error}", file.path.display()))
    };
    Ok(Records::new(config.audit.memory, config.audit.file.as_ref().map(open).transpose()?))
}

impl App {
    /// Binds every door and starts to answer.
    ///
    /// # Errors
    /// Whatever is wrong first; nothing is left running then.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        Self::start_with(config, &Threads::shared()).await
    }

    /// The same, on these threads.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn start_with(config: Config, threads: &Threads) -> anyhow::Result<Self> {
        let handle = metrics::install();
        let (repositories, remote) = core::parts(&config)?;
        let foundations = Arc::new(Foundations::open(&config, repositories, remote)?);
        let everybody = Core::over(foundations.whole(), &config, foundations.first_rules(&config)?)?;
        everybody.metrics.reloaded(Ok(&everybody.rules.load().policies));
        Tenants::check(&config, &foundations)?;
        let bind = |key: &'static str| move |error| anyhow::anyhow!("{key}: cannot be bound: {error}");
        let registry_tls = config.registry.tls.as_ref().map(tls::from_files).transpose()?;
        let (admission_tls, ca) = match &config.admission.tls {
            Some(files) => (tls::from_files(files)?, None),
            None => (tls::of_our_own(&config.storage.path)?, Some(config.storage.path.join("ca.pem"))),
        };
        let authorities = config.registry.client_ca.as_deref().map(config::authorities).transpose();
        let authorities = authorities.context("registry.clientCa")?;
        let registry_server = match (&registry_tls, authorities) {
            (Some(shown), Some(authorities)) => Some(shown.server_that_asks(authorities)?),
            (Some(shown), None) => Some(shown.server()?),
            (None, _) => None,
        };
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
        let config = Arc::new(config);
        let decisions = Arc::new(Decisions::new(process_number()));
        let in_force = reload::InForce {
            rules: everybody.rules.clone(),
            revocations: everybody.revocations.clone(),
            askers,
            passes: watch::Sender::new(0),
        };
        let passes = in_force.passes.subscribe();
        let decided = Deciding { decisions, records: records(&config)? };
        let tenants = Tenants::new(&config, &foundations, everybody, &decided)?;
        let mut app = Self {
            registry: registry.address()?,
            admission: admission.address()?,
            admin: admin.address()?,
            ca,
            readiness: readiness.clone(),
            stop,
            reload,
            shared: foundations.shared().cloned(),
            tenants: tenants.clone(),
            tasks: Vec::new(),
        };
        app.open_doors(registry, admission, &tenants, &stopped, threads);
        let figures = Figures::new(tenants.clone(), app.shared.clone());
        let admin_door = Arc::new(Admin::new(
            readiness.clone(),
            in_force.rules.clone(),
            foundations.cluster.clone(),
            handle.clone(),
            figures,
            Operated {
                access,
                tenants: tenants.clone(),
                decided: Decided::new(decided.records, tenants.everybody().core().upstreams.clone()),
            },
        ));
        if !tenants.are_apart() {
            let counting = usage::count_now_and_then(tenants.everybody().memory(), until(stopped.clone()));
            app.tasks.push(tokio::spawn(counting));
        }
        app.tasks.push(tokio::spawn(metrics::tidy(handle, until(stopped.clone()))));
        for (door, via) in [(admin, Via::Address), (Door::of_socket(socket), Via::Socket)] {
            let admin_door = admin_door.clone();
            app.open(door, stopped.clone(), move |request, _| {
                let admin_door = admin_door.clone();
                async move { admin_door.answer(request, via).await }
            });
        }
        let Foundations { metrics, repositories, remote, cluster, .. } = &*foundations;
        if let (Some(redis), Some(shared)) = (&config.redis, &app.shared) {
            let watching = reload::watch_seal_keys(redis.clone(), shared.clone(), until(stopped.clone()));
            app.tasks.push(tokio::spawn(watching));
        }
        let refreshing = trust::run(repositories.clone(), metrics.clone(), until(stopped.clone()));
        app.tasks.push(tokio::spawn(refreshing));
        app.tasks.push(tokio::spawn(remote.clone().run(until(stopped.clone()))));
        app.tasks.push(tokio::spawn(tenants.run(passes, until(stopped.clone()))));
        for (shown, files) in [
            (registry_tls, config.registry.tls.clone()),
            (Some(admission_tls.clone()), config.admission.tls.clone()),
        ] {
            if let (Some(shown), Some(files)) = (shown, files) {
                app.tasks.push(tokio::spawn(shown.follow(files, until(stopped.clone()))));
            }
        }
        if let Some(cluster) = cluster {
            // Where no certificate is configured, the replicas share one.
            let shown = config.admission.tls.is_none().then_some(admission_tls);
            let running = cluster.clone().run(metrics.clone(), shown, until(stopped.clone()));
            app.tasks.push(tokio::spawn(running));
        }
        let reloading = reload::watch(
            Config::clone(&config),
            in_force,
            repositories.clone(),
            remote.clone(),
            cluster.clone(),
            metrics.clone(),
            until(stopped),
        );
        app.tasks.push(tokio::spawn(reloading));
        readiness.open();
        Ok(app)
    }

    fn open_doors(
        &mut self,
        registry: Door,
        admission: Door,
        tenants: &Arc<Tenants>,
        stopped: &watch::Receiver<bool>,
        threads: &Threads,
    ) {
        let (asked, work) = (tenants.clone(), threads.work.clone());
        let pulls = move |request, peer| {
            let tenants = asked.clone();
            threads::within(work.clone(), async move { tenants.pull(request, peer).await })
        };
        let (asked, work) = (tenants.clone(), threads.work.clone());
        let reviews = move |request, _| {
            let tenants = asked.clone();
            threads::within(work.clone(), async move { tenants.review(request).await })
        };
        self.tasks.push(threads.doors.spawn(registry.serve(pulls, until(stopped.clone()))));
        self.tasks.push(threads.doors.spawn(admission.serve(reviews, until(stopped.clone()))));
    }

    fn open<F, Fut>(&mut self, door: Door, stopped: watch::Receiver<bool>, answer: F)
    where
        F: Fn(http::Request<Incoming>, Arc<Peer>) -> Fut + Clone + Send + Sync + 'static,
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
        let read = self.reload.send(asker).await.is_ok() && answer.await.unwrap_or(false);
        self.tenants.reload().await && read
    }

    /// Stops accepting, lets what is under way finish within 25 s, and ends every task.
    pub async fn drain(self) {
        self.readiness.drain();
        self.stop.send_replace(true);
        let aborts: Vec<_> = self.tasks.iter().map(JoinHandle::abort_handle).collect();
        let tenants = self.tenants;
        let done = async {
            futures_util::future::join_all(self.tasks).await;
            tenants.settled().await;
        };
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
