//! Policies and trust roots that change while the gateway runs: all of a change, or nothing and a complaint.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use cache::Shared;
use oci::Digest;
use policies::Problem;
use tokio::sync::{mpsc, oneshot, watch};

use crate::config::{Config, Redis, TrustSource};
use crate::kubernetes::Cluster;
use crate::metrics::{Metrics, resealed};
use crate::remote::RemoteFiles;
use crate::rules::{Rules, listed};
use crate::trust::Repositories;

/// How often it is looked whether files changed: a revocation is in force within a second of its arrival.
const INTERVAL: Duration = Duration::from_millis(500);

/// How often they are read even if nothing seems to have changed: not every file system keeps exact times.
const EVERY: u32 = 60;

/// Somebody who waits for rules to be read, and is told whether they are right.
pub(crate) type Asker = oneshot::Sender<bool>;

/// What is in force, who is told of changes, and who asks for it to be read.
pub(crate) struct InForce {
    /// Policies, revocations and trust roots.
    pub(crate) rules: Arc<ArcSwap<Rules>>,
    /// The digest of the revocations among them. It changes after they do.
    pub(crate) revocations: watch::Sender<Digest>,
    /// Who does not wait until it is noticed that something changed.
    pub(crate) askers: mpsc::Receiver<Asker>,
    /// How often they were read because something came: whoever rests on the same reads it too.
    pub(crate) passes: watch::Sender<u64>,
}

/// Reads the rules again and again until `stop` resolves, and puts them in force where they changed and are right; at once where a
/// trust root has come, or a file that a policy names, or somebody asks for it.
pub(crate) async fn watch(
    config: Config,
    mut in_force: InForce,
    repositories: Arc<Repositories>,
    remote: Arc<RemoteFiles>,
    cluster: Option<Arc<Cluster>>,
    metrics: Arc<Metrics>,
    stop: impl Future<Output = ()>,
) {
    tokio::pin!(stop);
    let config = Arc::new(config);
    let (mut complaint, mut seen, mut unchanged) = (None, Vec::new(), 0);
    loop {
        let (arrived, asker) = tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(INTERVAL) => (false, None),
            () = repositories.arrived() => (true, None),
            () = remote.arrived() => (true, None),
            () = changed(cluster.as_ref()) => (true, None),
            Some(asker) = in_force.askers.recv() => (true, Some(asker)),
        };
        let now = {
            let config = config.clone();
            tokio::task::spawn_blocking(move || marks(&config)).await.unwrap_or_default()
        };
        unchanged = if now == seen && !arrived { unchanged + 1 } else { 0 };
        seen = now;
        if unchanged % EVERY != 0 {
            continue;
        }
        let (config, followed, named) = (config.clone(), repositories.clone(), remote.clone());
        let objects = cluster.clone();
        let load = move || match objects {
            None => Rules::load(&config, &followed, &named).map(|rules| (rules, Vec::new())),
            Some(objects) => objects.load(&config, &followed, &named),
        };
        let Ok(loaded) = tokio::task::spawn_blocking(load).await else {
            continue;
        };
        in_force.passes.send_modify(|passes| *passes += 1);
        complaint = match loaded {
            Ok((loaded, problems)) => {
                replace(&in_force, loaded, &metrics);
                deplore(&problems, complaint.as_ref())
            }
            Err(error) => complain(error.to_string(), complaint.as_ref(), &metrics),
        };
        if let Some(asker) = asker
            && asker.send(complaint.is_none()).is_err()
        {
            tracing::debug!("whoever asked for the rules to be read has left");
        }
    }
}

/// Reads the secrets that seal what replicas share again and again until `stop` resolves, and puts them in force where they
/// changed: all of them, or those before stay.
pub(crate) async fn watch_seal_keys(redis: Redis, shared: Arc<Shared>, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    let (redis, mut complaint) = (Arc::new(redis), None);
    loop {
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        // A few files of 32 bytes: to read them is no more work than to look whether to.
        let redis = redis.clone();
        let Ok(seals) = tokio::task::spawn_blocking(move || redis.seals()).await else { continue };
        let outcome = match seals {
            Ok(Some(seals)) => shared.reseal(seals).map_err(|error| error.to_string()),
            Ok(None) => return,
            Err(error) => Err(format!("{error:#}")),
        };
        match outcome {
            Ok(changed) => {
                if changed {
                    resealed("loaded");
                    tracing::info!("new seal keys are in force");
                }
                complaint = None;
            }
            Err(error) => {
                if complaint.as_ref() != Some(&error) {
                    resealed("refused");
                    tracing::error!(%error, "the new seal keys are refused, those before them stay in force");
                }
                complaint = Some(error);
            }
        }
    }
}

/// What a file is told by that changed: it was written, or another took its place.
pub(crate) type Mark = (PathBuf, Option<SystemTime>, u64, u64);

/// The marks of all files that rules are made of, and of the directory that has them.
pub(crate) fn marks(config: &Config) -> Vec<Mark> {
    let directories = || config.policies.directory.iter().chain(&config.policies.own);
    let policies = directories().filter_map(|directory| listed(directory).ok()).flatten();
    let sources = config
        .trust
        .roots
        .iter()
        .chain(&config.trust.own)
        .map(|(_, source)| source)
        .chain([&config.trust.root]);
    let roots = sources.filter_map(|source| match source {
        TrustSource::File(path) => Some(path.clone()),
        TrustSource::Tuf(tuf) => Some(tuf.root.clone()),
        TrustSource::PublicGood | TrustSource::Staging => None,
    });
    let files = policies.chain(roots).chain(directories().cloned());
    files.filter_map(mark).collect()
}

pub(crate) fn mark(path: PathBuf) -> Option<Mark> {
    use std::os::unix::fs::MetadataExt as _;
    let file = std::fs::metadata(&path).ok()?;
    Some((path, file.modified().ok(), file.len(), file.ino()))
}

fn replace(in_force: &InForce, loaded: Rules, metrics: &Metrics) {
    let withheld = |rules: &Rules| rules.in_force().err().map(|why| why.to_string());
    let (before, now) = (in_force.rules.load_full(), withheld(&loaded));
    if loaded.revision() == before.revision() && withheld(&before) == now {
        return;
    }
    if let Some(why) = now {
        tracing::warn!(why, "nothing is allowed");
        in_force.rules.store(Arc::new(loaded));
        return;
    }
    metrics.reloaded(Ok(&loaded.policies));
    for (policy, why) in loaded.policies.unusable() {
        tracing::warn!(policy, why, "a policy cannot be used, and denies what it speaks of");
    }
    tracing::info!(policies = loaded.policies.len(), revision = %loaded.revision(), "new rules are in force");
    let revoked = loaded.policies.revoked();
    in_force.rules.store(Arc::new(loaded));
    in_force.revocations.send_if_modified(|before| std::mem::replace(before, revoked) != revoked);
}

/// Resolves once the objects of a cluster are to be read again.
async fn changed(cluster: Option<&Arc<Cluster>>) {
    match cluster {
        Some(cluster) => cluster.changed().await,
        None => std::future::pending().await,
    }
}

/// Says once what is wrong with objects, each of which denies what it speaks of.
fn deplore(problems: &[Problem], before: Option<&String>) -> Option<String> {
    let all = problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n");
    if before != Some(&all) {
        for problem in problems {
            tracing::error!(%problem, "a policy is wrong, and denies what it speaks of");
        }
    }
    (!all.is_empty()).then_some(all)
}

/// Says once what is wrong, not every time that it is read.
fn complain(error: String, before: Option<&String>, metrics: &Metrics) -> Option<String> {
    if before != Some(&error) {
        metrics.reloaded(Err(()));
        tracing::error!(%error, "the new rules are refused, those before them stay in force");
    }
    Some(error)
}
