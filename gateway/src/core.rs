//! What answers questions: the parts of one tenant, put together over what all tenants stand on.
//!
//! Nothing in here has a tenant as a parameter. Every part is made of one `Foundation`'s tables, bytes and share, which
//! are that tenant's from the beginning.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use cache::{Blobs, Domain, Holdings, Index, Shared};
use oci::Digest;
use tokio::sync::watch;

use crate::callers::Callers;
use crate::config::{Config, Quotas};
use crate::connect::{self, upstreams};
use crate::content::Content;
use crate::cue::Cue;
use crate::fleet::Fleet;
use crate::kubernetes::{Cluster, PullSecrets};
use crate::material::Materials;
use crate::metrics::Metrics;
use crate::place::Upstreams;
use crate::remote::RemoteFiles;
use crate::renewals::Renewals;
use crate::rules::{Rules, RulesError};
use crate::tags::Beliefs;
use crate::trust::Repositories;
use crate::turns::Turns;
use crate::verdicts::Verdicts;

/// The parts that answer questions, without the doors that they are asked at. They are one tenant's.
pub struct Core {
    /// Content, read through.
    pub content: Arc<Content>,
    /// The pipeline.
    pub verdicts: Arc<Verdicts>,
    /// The registries that may be asked.
    pub upstreams: Arc<Upstreams>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    pub(crate) callers: Arc<Callers>,
    /// What reads the pull secrets of Pods, where that is configured.
    pub(crate) pull_secrets: Option<Arc<PullSecrets>>,
    pub(crate) renewals: Arc<Renewals>,
    pub(crate) rules: Arc<ArcSwap<Rules>>,
    /// The digest of the revocations among them, for those who have to know when it changes.
    pub(crate) revocations: watch::Sender<Digest>,
}

/// What the process has once, whoever it serves.
pub(crate) struct Foundations {
    index: Arc<Index>,
    blobs: Arc<Blobs>,
    fleet: Option<Fleet>,
    turns: Turns,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) repositories: Arc<Repositories>,
    pub(crate) remote: Arc<RemoteFiles>,
    pub(crate) cluster: Option<Arc<Cluster>>,
    pull_secrets: Option<Arc<PullSecrets>>,
}

/// One tenant's part of that.
pub(crate) struct Foundation {
    index: Arc<Index>,
    holdings: Arc<Holdings>,
    fleet: Option<Fleet>,
    turns: Turns,
    /// How many blobs arrive at once.
    arriving: Option<usize>,
    metrics: Arc<Metrics>,
    pull_secrets: Option<Arc<PullSecrets>>,
}

impl Foundations {
    /// Opens what the configuration names.
    pub(crate) fn open(
        config: &Config,
        repositories: Arc<Repositories>,
        remote: Arc<RemoteFiles>,
    ) -> anyhow::Result<Self> {
        let directory = &config.storage.path;
        private_directory(directory)?;
        let metrics = Metrics::new();
        let index = Index::open(directory)?;
        let bucket = config.storage.objects.as_ref().map(connect::bucket).transpose();
        let bucket = bucket.map_err(|error| error.context("storage.object"))?;
        let blobs = Blobs::open_before(directory, config.storage.limit, bucket)?;
        let fleet = config.redis.as_ref().map(|redis| Fleet::connect(redis, &index)).transpose()?;
        let cluster = config.policies.kubernetes.as_ref().map(|settings| Cluster::new(config, settings));
        let pull_secrets = cluster.clone().filter(|_| config.admission.pull_secrets).map(PullSecrets::of);
        let turns = Turns::at_cores();
        Ok(Self { index, blobs, fleet, turns, metrics, repositories, remote, cluster, pull_secrets })
    }

    /// All of it, for whoever has no others beside.
    pub(crate) fn whole(&self) -> Foundation {
        Foundation {
            index: self.index.clone(),
            holdings: Holdings::all(self.blobs.clone()),
            fleet: self.fleet.clone(),
            turns: self.turns.clone(),
            arriving: None,
            metrics: self.metrics.clone(),
            pull_secrets: self.pull_secrets.clone(),
        }
    }

    /// What is a tenant's: tables of its own, what it brought of the bytes that are kept, and a queue of its own.
    pub(crate) fn of(&self, domain: Domain, quotas: &Quotas) -> Foundation {
        let index = self.index.within(domain);
        let fleet = self.fleet.as_ref().map(|fleet| fleet.within(domain));
        let holdings = Holdings::of(&self.blobs, &index, fleet.as_ref().map(|fleet| fleet.shared().clone()));
        Foundation {
            index,
            holdings,
            fleet,
            turns: self.turns.apart(quotas.weight),
            arriving: Some(quotas.fills),
            metrics: self.metrics.clone(),
            pull_secrets: self.pull_secrets.clone(),
        }
    }

    /// The same, with bytes in a directory of the tenant's own, up to its own limit.
    pub(crate) fn of_own_disk(
        &self,
        domain: Domain,
        quotas: &Quotas,
        directory: &std::path::Path,
        limit: u64,
    ) -> anyhow::Result<Foundation> {
        private_directory(directory)?;
        let holdings = Holdings::all(Blobs::open(directory, Some(limit))?);
        Ok(Foundation { holdings, ..self.of(domain, quotas) })
    }

    /// What the replicas of the fleet share, if there is one.
    pub(crate) fn shared(&self) -> Option<&Arc<Shared>> {
        self.fleet.as_ref().map(Fleet::shared)
    }

    /// The rules of a tenant.
    pub(crate) fn rules(&self, config: &Config) -> Result<Rules, RulesError> {
        match &self.cluster {
            Some(cluster) => Ok(cluster.rules_of(config, &self.repositories, &self.remote)?.0),
            None => Rules::load(config, &self.repositories, &self.remote),
        }
    }

    /// That the files of this configuration hold rules that could be put in force.
    pub(crate) fn check_rules(&self, config: &Config) -> Result<(), RulesError> {
        Rules::load(config, &self.repositories, &self.remote).map(drop)
    }

    /// The rules of this configuration where there are none yet that could stay in force.
    pub(crate) fn first_rules(&self, config: &Config) -> Result<Rules, RulesError> {
        let (rules, problems) = match &self.cluster {
            Some(_) if config.domain_is_alone() => (Rules::withheld("policies are not synced"), Vec::new()),
            Some(cluster) => cluster.rules_of(config, &self.repositories, &self.remote)?,
            None => Rules::load_first(config, &self.repositories, &self.remote)?,
        };
        for problem in &problems {
            tracing::error!(%problem, tenant = %config.domain, "a policy is wrong, and denies what it speaks of");
        }
        Ok(rules)
    }
}

impl Core {
    /// Builds everything that the configuration names, for whoever has no others beside.
    ///
    /// # Errors
    /// Whatever is wrong first, by the key or file that it is in.
    pub fn build(config: &Config) -> anyhow::Result<Self> {
        let (repositories, remote) = parts(config)?;
        let foundations = Foundations::open(config, repositories, remote)?;
        let rules = foundations.first_rules(config)?;
        Self::over(foundations.whole(), config, rules)
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
        let foundations = Foundations::open(config, repositories, remote)?;
        Self::over(foundations.whole(), config, rules)
    }

    /// What answers by this configuration and these rules, over what is its own.
    pub(crate) fn over(foundation: Foundation, config: &Config, rules: Rules) -> anyhow::Result<Self> {
        let Foundation { index, holdings, fleet, turns, arriving, metrics, pull_secrets } = foundation;
        let upstreams = Arc::new(upstreams(config)?);
        let renewals = Renewals::new();
        let beliefs = Beliefs { fresh: config.registry.tag_freshness, stale: config.registry.stale_tags };
        let access = config.registry.access_freshness;
        let content = Content::new(
            holdings.clone(),
            &index,
            fleet.as_ref(),
            beliefs,
            access,
            arriving,
            renewals.clone(),
        );
        let materials = Materials::new(holdings, &index, fleet.as_ref(), config.denials, metrics.clone());
        let revocations = watch::Sender::new(rules.policies.revoked());
        let rules = Arc::new(ArcSwap::from_pointee(rules));
        let verdicts = Verdicts::new(
            rules.clone(),
            upstreams.clone(),
            materials,
            content.clone(),
            cue(config)?,
            turns,
            &index,
            fleet.as_ref(),
            metrics.clone(),
            renewals.clone(),
        );
        let callers = Arc::new(Callers::believed(access));
        Ok(Self {
            content,
            verdicts,
            upstreams,
            metrics,
            callers,
            pull_secrets,
            renewals,
            rules,
            revocations,
        })
    }
}

/// What follows whatever policies name that is elsewhere.
pub(crate) fn parts(config: &Config) -> anyhow::Result<(Arc<Repositories>, Arc<RemoteFiles>)> {
    let repositories = Repositories::new(&config.storage.path, config.trust.refresh)?;
    Ok((repositories, RemoteFiles::new(&config.storage.path)?))
}

/// The `cue` program, which this very program starts in a sandbox.
fn cue(config: &Config) -> anyhow::Result<Option<Cue>> {
    let start = |program: &PathBuf| Ok(Cue::new(program.clone(), std::env::current_exe()?));
    config.policies.cue.as_ref().map(start).transpose()
}

fn private_directory(directory: &std::path::Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(directory)
        .map_err(|error| anyhow::anyhow!("storage.path: {}: {error}", directory.display()))
}
