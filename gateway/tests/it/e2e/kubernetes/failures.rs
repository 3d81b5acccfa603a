//! Whatever fails, alone and together, while Pods are created: the gateway, Redis, the registry, the cluster's own store.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;
use testkit::authority::Identity;
use testkit::registry::Fault;

use super::super::parts::{Running, answers, free_address, run, until};
use super::super::redis::Redis;
use super::world::{World, printed};
use crate::stage::{HOST, pod, release};

/// Pods that are created again and again, and which of them were let in.
struct Creates {
    kubeconfig: String,
    file: PathBuf,
    over: AtomicBool,
    passes: AtomicUsize,
    admitted: Mutex<BTreeSet<String>>,
    /// Why the last ones were not.
    refused: Mutex<String>,
}

impl Creates {
    /// Creates all of them, one request each, until it is over.
    fn go_on(&self) {
        while !self.over.load(Ordering::Relaxed) {
            let file = self.file.display().to_string();
            let create = ["create", "--dry-run=server", "-o", "name", "-f", &file];
            let cache = self.file.with_extension("cache").display().to_string();
            let common = ["--kubeconfig", &self.kubeconfig, "--cache-dir", &cache, "--request-timeout=5s"];
            let output = run("kubectl", &[&common[..], &create].concat());
            let names = String::from_utf8(output.stdout).unwrap();
            self.admitted.lock().unwrap().extend(names.lines().map(str::to_owned));
            *self.refused.lock().unwrap() = String::from_utf8(output.stderr).unwrap();
            self.passes.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all of them were created so many times from now on, or refused.
    async fn pass(&self, times: usize) {
        let from = self.passes.load(Ordering::Relaxed);
        until("Pods are created", async || self.passes.load(Ordering::Relaxed) > from + times).await;
    }

    fn admitted(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.admitted.lock().unwrap())
    }
}

/// What fails, and comes back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Failing {
    Gateway,
    Redis,
    Registry,
    Cluster,
}

const EACH: [&[Failing]; 5] = [
    &[Failing::Redis],
    &[Failing::Registry],
    &[Failing::Gateway],
    &[Failing::Cluster],
    &[Failing::Redis, Failing::Registry, Failing::Gateway, Failing::Cluster],
];

/// A cluster with everything that may fail.
struct Failures {
    world: World,
    redis: Redis,
    configuration: PathBuf,
    ready: String,
    gateway: Running,
    creates: Arc<Creates>,
}

fn started(configuration: &std::path::Path) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    let command = command.args(["serve", "--config"]).arg(configuration).stdout(Stdio::null());
    Running(command.spawn().unwrap())
}

impl Failures {
    async fn new() -> Self {
        let world = World::without_gateway().await;
        let directory = world.stage().directory.path().to_owned();
        let redis = Redis::start(&directory).await;
        std::fs::write(directory.join("seal.key"), (1..=32).collect::<Vec<u8>>()).unwrap();
        let (admission, admin) = (free_address(), free_address());
        let configuration = world.configuration("");
        let mut text = std::fs::read_to_string(&configuration).unwrap();
        for (door, address) in [("admission", admission), ("admin", admin)] {
            let from = format!("{door}: {{listen: '127.0.0.1:0'}}");
            text = text.replace(&from, &format!("{door}: {{listen: '{address}'}}"));
        }
        let sealed = format!("url: '{}', sealKeys: [{}/seal.key]", redis.url(), directory.display());
        text.push_str(&format!("cache: {{redis: {{{sealed}}}}}\n"));
        std::fs::write(&configuration, text).unwrap();
        let ready = format!("http://{admin}/readyz");
        let gateway = started(&configuration);
        until("the gateway is ready", async || answers(&ready).await == Some(200)).await;
        let (url, ca) = (format!("https://{admission}"), directory.join("storage/ca.pem"));
        world.plane.apply(&printed(&["webhooks", "--url", &url, "--ca", ca.to_str().unwrap()]));
        world.plane.does(&["label", "namespace", "default", "policy.sigstore.dev/include=true"]);
        world.plane.apply(&world.policy("v1beta1", "acme", "registry.example/acme/**"));
        let creates = Arc::new(Creates {
            kubeconfig: world.plane.admin(),
            file: directory.join("pods.json"),
            over: AtomicBool::new(false),
            passes: AtomicUsize::new(0),
            admitted: Mutex::default(),
            refused: Mutex::default(),
        });
        Self { world, redis, configuration, ready, gateway, creates }
    }

    /// Pods of images that nobody has seen yet: one that is signed, one that a stranger signed, and one that nobody did.
    fn new_pods(&self, seed: u64) {
        let stage = self.world.stage();
        let stranger = Identity::github_workflow("eve/app", "release.yaml@refs/heads/main");
        let signers = [("signed", Some(release())), ("stranger", Some(stranger)), ("unsigned", None)];
        let pods = signers.into_iter().zip(0..).map(|((name, signer), index)| {
            let digest = stage.unsigned(1000 + seed * 10 + index, "acme/app", name).digest();
            if let Some(signer) = signer {
                stage.sign("acme/app", &digest, &signer);
            }
            let mut pod = pod(&[&format!("{HOST}/acme/app@{digest}")]);
            pod["metadata"]["name"] = json!(format!("{name}-{seed}"));
            pod
        });
        let list = json!({"apiVersion": "v1", "kind": "List", "items": pods.collect::<Vec<_>>()});
        // In one step: somebody is reading it again and again.
        let aside = self.creates.file.with_extension("new");
        std::fs::write(&aside, list.to_string()).unwrap();
        std::fs::rename(aside, &self.creates.file).unwrap();
    }

    fn fail(&mut self, what: Failing) {
        match what {
            Failing::Gateway => self.gateway.kill(),
            Failing::Redis => self.redis.kill(),
            Failing::Registry => self.world.stage().origin.fault(|_| true, Fault::Reset),
            Failing::Cluster => self.world.plane.stop_etcd(),
        }
    }

    async fn come_back(&mut self, what: Failing) {
        match what {
            Failing::Gateway => self.gateway = started(&self.configuration),
            Failing::Redis => self.redis.restart().await,
            Failing::Registry => self.world.stage().origin.clear_faults(),
            Failing::Cluster => self.world.plane.start_etcd().await,
        }
    }
}

/// Under a stream of creations everything that a decision rests on is killed, in turn and all at once, while images come that
/// nobody has seen. Nothing is let in that a fresh verification would refuse, and what is signed is let in again unaided.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_let_in_unsigned_whatever_is_killed_while_pods_are_created() {
    let mut failures = Failures::new().await;
    failures.new_pods(0);
    let creates = failures.creates.clone();
    let stream = {
        let creates = creates.clone();
        std::thread::spawn(move || creates.go_on())
    };
    until("what is signed is let in", async || creates.admitted().contains("pod/signed-0")).await;
    for (failing, seed) in EACH.into_iter().zip(1..) {
        for what in failing {
            failures.fail(*what);
        }
        // Seen for the first time while it fails.
        failures.new_pods(2 * seed);
        creates.pass(2).await;
        let admitted = creates.admitted();
        for what in failing {
            failures.come_back(*what).await;
        }
        let ready = failures.ready.clone();
        until("the gateway is ready again", async || answers(&ready).await == Some(200)).await;
        failures.new_pods(2 * seed + 1);
        let signed = format!("pod/signed-{}", 2 * seed + 1);
        let all = Mutex::new(admitted);
        let let_in = async || {
            let mut all = all.lock().unwrap();
            all.extend(creates.admitted());
            all.contains(&signed)
        };
        let what = format!("what is signed is not let in after {failing:?}");
        super::world::until(&what, let_in, || creates.refused.lock().unwrap().clone()).await;
        let admitted = all.into_inner().unwrap();
        let others: Vec<_> = admitted.iter().filter(|name| !name.starts_with("pod/signed-")).collect();
        assert!(others.is_empty(), "let in while {failing:?} failed: {others:?}");
    }
    creates.over.store(true, Ordering::Relaxed);
    stream.join().unwrap();
    failures.world.stop().await;
}
