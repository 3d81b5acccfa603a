//! What a fleet is made of: a stage, a Redis, and gateways that have nothing else in common.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use gateway::config::Config;
use oci::Digest;
use testkit::authority::SignatureManifest;
use testkit::registry::{Registry, Seen};

use super::parts::{Served, until};
use super::redis::Redis;
use crate::stage::{DoorClient, Gateway, HOST, Stage};

/// How long replicas of tests believe a denial: tests that sign after it do not wait for half a minute.
const DENIALS: Duration = Duration::from_secs(2);

/// What every replica is configured with.
pub(super) struct Fleet {
    pub(super) stage: Stage,
    pub(super) redis: Redis,
}

/// What a replica is configured with beside its name.
#[derive(Clone)]
pub(super) struct Keys {
    /// The keys of `cache.redis`.
    pub(super) redis: String,
    /// More keys of `registry`.
    pub(super) registry: String,
    /// The directory of policies.
    pub(super) policies: PathBuf,
    /// The trust root.
    pub(super) trust: String,
}

impl Fleet {
    pub(super) async fn new() -> Self {
        Self::over(Registry::start().await).await
    }

    /// A fleet before this origin.
    pub(super) async fn over(origin: Registry) -> Self {
        let stage = Stage::with_origin(origin);
        let redis = Redis::start(stage.directory.path()).await;
        std::fs::write(stage.directory.path().join("seal.key"), (1..=32).collect::<Vec<u8>>()).unwrap();
        std::fs::write(stage.directory.path().join("other.key"), (2..=33).collect::<Vec<u8>>()).unwrap();
        Self { stage, redis }
    }

    /// The keys of a Redis at this URL, sealed by this key.
    pub(super) fn sealed(&self, url: &str, key: &str) -> String {
        format!("url: '{url}', sealKeys: [{}/{key}]", self.stage.directory.path().display())
    }

    /// What a replica is configured with if nothing else is said.
    pub(super) fn keys(&self) -> Keys {
        let directory = self.stage.directory.path();
        Keys {
            redis: self.sealed(&self.redis.url(), "seal.key"),
            registry: String::new(),
            policies: directory.join("policies"),
            trust: format!("root: {{file: {}/trusted_root.json}}", directory.display()),
        }
    }

    /// A replica with a directory of its own, which has reached Redis.
    pub(super) async fn replica(&self, name: &str) -> Gateway {
        self.replica_with(name, &self.keys()).await
    }

    pub(super) async fn replica_with(&self, name: &str, keys: &Keys) -> Gateway {
        let gateway = self.unready(name, keys).await;
        reaches(&gateway).await;
        gateway
    }

    /// A replica that may reach nothing.
    pub(super) async fn unready(&self, name: &str, keys: &Keys) -> Gateway {
        let denials = |config: &mut Config| config.denials = DENIALS;
        Gateway::start_with(&self.configuration(name, keys), denials).await
    }

    /// A replica that is a process, which has reached Redis.
    pub(super) async fn process(&self, name: &str) -> Served {
        let storage = self.stage.directory.path().join(name);
        let served = Served::of(&self.configuration(name, &self.keys()), &storage).await;
        until("the process reaches Redis", async || {
            figure(&served.doors, "countersign_redis_up").await == "1"
        })
        .await;
        served
    }

    fn configuration(&self, name: &str, keys: &Keys) -> PathBuf {
        let directory = self.stage.directory.path();
        let text = format!(
            "registry: {{listen: '127.0.0.1:0', {}}}\nadmission: {{listen: '127.0.0.1:0'}}\nadmin: {{listen: '127.0.0.1:0'}}\n\
             storage: {{path: {}/{name}}}\ntrust: {{{}}}\npolicies: {{directory: {}}}\n\
             upstreams: [{{host: {HOST}, endpoint: '{}'}}]\ncache: {{redis: {{{}}}}}\nlog: {{level: warn}}\n",
            keys.registry,
            directory.display(),
            keys.trust,
            keys.policies.display(),
            self.stage.origin.url(),
            keys.redis,
        );
        let path = directory.join(format!("{name}.yaml"));
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The names of the keys that seal the lists which Redis has.
    pub(super) async fn sealers(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for key in self.redis.keys(&["countersign:material-lists:"]).await {
            // After one byte that says how it is sealed.
            let answer = self.redis.ask(&format!("GETRANGE {key} 1 8")).await;
            names.insert(answer.split("\r\n").nth(1).unwrap_or_default().to_owned());
        }
        names
    }

    /// How often the registry was asked for the signatures of this image.
    pub(super) fn discoveries(&self, digest: &Digest) -> usize {
        let tag = SignatureManifest::tag_for(digest);
        self.stage.origin.count(|seen: &Seen| seen.path.ends_with(&tag))
    }
}

/// Waits until this replica has Redis.
pub(super) async fn reaches(replica: &Gateway) {
    let answers = tokio::time::timeout(Duration::from_secs(60), replica.shared().answers());
    answers.await.expect("the replica does not reach Redis");
}

/// What the metrics of a process say of this name, labels and all. Those in one process share their metrics.
pub(super) async fn figure(replica: &DoorClient, name: &str) -> String {
    let reply = replica.admin("/metrics").await;
    let text = String::from_utf8(reply.bytes().to_vec()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    line.unwrap_or_default()
}

/// An image as a Pod names it.
pub(super) fn image(digest: &Digest) -> String {
    format!("{HOST}/acme/app@{digest}")
}

/// Where the pull door has a manifest of the repository that most tests are about.
pub(super) fn manifest(version: impl std::fmt::Display) -> String {
    format!("/v2/{HOST}/acme/app/manifests/{version}")
}

/// Where it has a blob.
pub(super) fn blob(digest: &Digest) -> String {
    format!("/v2/{HOST}/acme/app/blobs/{digest}")
}
