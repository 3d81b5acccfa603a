//! Replicas that share their memory: a real `redis-server`, one origin, and gateways that have nothing else in common.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use oci::Digest;
use testkit::authority::SignatureManifest;
use testkit::registry::Seen;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stage::{Gateway, HOST, Stage, release};

/// A server, which is killed when this is dropped.
pub(super) struct Redis {
    port: u16,
    child: Child,
}

impl Redis {
    async fn start(directory: &Path) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let child = Self::spawn(directory, port);
        super::parts::listening((Ipv4Addr::LOCALHOST, port).into()).await;
        Self { port, child }
    }

    fn spawn(directory: &Path, port: u16) -> Child {
        Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
            .arg(directory)
            .args(["--port", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed: scripts/install-tools e2e")
    }

    /// Asks what an intruder would ask, one command a line, and gives what the server says.
    async fn ask(&self, commands: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.unwrap();
        stream.write_all(format!("{commands}\r\nQUIT\r\n").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Every key of these tables.
    async fn keys(&self, tables: &[&str]) -> Vec<String> {
        let all = self.ask("KEYS countersign:*").await;
        let of = |key: &str| tables.iter().any(|table| key.starts_with(&format!("countersign:{table}:")));
        all.lines().filter(|line| of(line)).map(str::to_owned).collect()
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts an empty one in its place, on the same port.
    pub(super) async fn start_again(&mut self, directory: &Path) {
        self.child = Self::spawn(directory, self.port);
        super::parts::listening((Ipv4Addr::LOCALHOST, self.port).into()).await;
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What every replica is configured with.
pub(super) struct Fleet {
    pub(super) stage: Stage,
    pub(super) redis: Redis,
}

impl Fleet {
    pub(super) async fn new() -> Self {
        let stage = Stage::new().await;
        let redis = Redis::start(stage.directory.path()).await;
        std::fs::write(stage.directory.path().join("seal.key"), (1..=32).collect::<Vec<u8>>()).unwrap();
        std::fs::write(stage.directory.path().join("other.key"), (2..=33).collect::<Vec<u8>>()).unwrap();
        Self { stage, redis }
    }

    pub(super) async fn replica(&self, name: &str) -> Gateway {
        self.replica_with(name, "sealKeys: [SEALS/seal.key]").await
    }

    /// A replica with a directory of its own, which has reached Redis.
    pub(super) async fn replica_with(&self, name: &str, keys: &str) -> Gateway {
        let gateway = self.unready(name, keys).await;
        for _ in 0..200 {
            if figure(&gateway, "countersign_redis_up").await == "1" {
                return gateway;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the replica did not reach Redis");
    }

    pub(super) async fn unready(&self, name: &str, keys: &str) -> Gateway {
        let directory = self.stage.directory.path().display().to_string();
        let keys = keys.replace("SEALS", &directory);
        let text = format!(
            "registry: {{listen: '127.0.0.1:0'}}\nadmission: {{listen: '127.0.0.1:0'}}\nadmin: {{listen: '127.0.0.1:0'}}\n\
             storage: {{path: {directory}/{name}}}\ntrust: {{root: {{file: {directory}/trusted_root.json}}}}\n\
             policies: {{directory: {directory}/policies}}\n\
             upstreams: [{{host: {HOST}, endpoint: '{}'}}]\n\
             cache: {{redis: {{url: 'redis://127.0.0.1:{}', {keys}}}}}\n",
            self.stage.origin.url(),
            self.redis.port,
        );
        let path = self.stage.directory.path().join(format!("{name}.yaml"));
        std::fs::write(&path, text).unwrap();
        Gateway::start(&path).await
    }

    /// The names of the keys that seal the lists which Redis has.
    pub(super) async fn sealers(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for key in self.redis.keys(&["material-lists"]).await {
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

/// What the metrics say of this name, labels and all.
async fn figure(gateway: &Gateway, name: &str) -> String {
    let reply = gateway.admin("/metrics").await;
    let text = String::from_utf8(reply.bytes().to_vec()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    line.unwrap_or_default()
}

pub(super) fn image(digest: &Digest) -> String {
    format!("{HOST}/acme/app@{digest}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_replica_admits_and_serves_by_what_the_first_found() {
    let fleet = Fleet::new().await;
    let pushed = fleet.stage.signed(1, "acme/app", "v1");
    let digest = pushed.digest();
    let (first, second) = (fleet.replica("one").await, fleet.replica("two").await);
    assert_eq!(first.get(&format!("/v2/{HOST}/acme/app/manifests/{digest}")).await.status, 200);
    assert_eq!(fleet.discoveries(&digest), 1);

    fleet.stage.origin.clear_requests();
    // A client that was told of the layers by the first asks the second for them.
    let layer = pushed.blobs().next().unwrap();
    let reply = second.get(&format!("/v2/{HOST}/acme/app/blobs/{}", Digest::of(layer))).await;
    assert_eq!((reply.status.as_u16(), reply.bytes()), (200, layer));
    assert_eq!(second.denial(&image(&digest)).await, "");
    assert_eq!(second.get(&format!("/v2/{HOST}/acme/app/manifests/{digest}")).await.status, 200);
    assert_eq!(fleet.discoveries(&digest), 0, "{:?}", fleet.stage.origin.requests());
    let stray = Digest::of(b"nobody names this");
    assert_eq!(second.get(&format!("/v2/{HOST}/acme/app/blobs/{stray}")).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_material_alone_trusted_nothing_but_material_is_shared() {
    let fleet = Fleet::new().await;
    let digest = fleet.stage.signed(1, "acme/app", "v1").digest();
    let first = fleet.replica_with("one", "trust: material").await;
    let second = fleet.replica_with("two", "trust: material").await;
    assert_eq!(first.denial(&image(&digest)).await, "");
    assert_eq!(second.denial(&image(&digest)).await, "");
    assert_eq!(fleet.discoveries(&digest), 1);
    assert!(!fleet.redis.keys(&["material"]).await.is_empty());
    assert!(fleet.redis.keys(&["facts", "tags"]).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_signed_after_its_denial_is_admitted_by_every_replica() {
    let fleet = Fleet::new().await;
    let digest = fleet.stage.unsigned(1, "acme/app", "v1").digest();
    let (first, second) = (fleet.replica("one").await, fleet.replica("two").await);
    assert_ne!(first.denial(&image(&digest)).await, "");
    assert_ne!(second.denial(&image(&digest)).await, "");
    assert_eq!(fleet.discoveries(&digest), 1, "a denial is shared, for as long as one replica believes it");
    fleet.stage.sign("acme/app", &digest, &release());
    let mut waited = 0;
    let denied = async |gateway: &Gateway| !gateway.denial(&image(&digest)).await.is_empty();
    while denied(&first).await || denied(&second).await {
        waited += 1;
        assert!(waited < 40, "it is still denied");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_a_replica_is_ready_and_right_and_so_it_is_when_redis_goes() {
    let mut fleet = Fleet::new().await;
    let known = fleet.stage.signed(1, "acme/app", "v1").digest();
    let (first, second) = (fleet.replica("one").await, fleet.replica("two").await);
    assert_eq!(first.denial(&image(&known)).await, "");
    fleet.redis.kill();

    let (signed, unsigned) = (
        fleet.stage.signed(2, "acme/app", "v2").digest(),
        fleet.stage.unsigned(3, "acme/app", "v3").digest(),
    );
    let third = fleet.unready("three", "sealKeys: [SEALS/seal.key]").await;
    for gateway in [&first, &second, &third] {
        assert_eq!(gateway.admin("/readyz").await.status, 200);
        assert_eq!(gateway.denial(&image(&known)).await, "");
        assert_eq!(gateway.denial(&image(&signed)).await, "");
        assert_ne!(gateway.denial(&image(&unsigned)).await, "");
    }
    assert_eq!(fleet.discoveries(&signed), 3, "each for itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_herd_of_reviews_is_one_discovery_an_image_in_the_fleet() {
    let fleet = Fleet::new().await;
    let digests: Vec<Digest> =
        (0..10).map(|seed| fleet.stage.signed(seed, "acme/app", &format!("v{seed}")).digest()).collect();
    let replicas = [fleet.replica("one").await, fleet.replica("two").await, fleet.replica("three").await];
    let images: Vec<String> = digests.iter().map(image).collect();
    let reviews = replicas.iter().flat_map(|replica| {
        (0..20).flat_map(|_| images.iter().map(move |image| replica.denial(image))).collect::<Vec<_>>()
    });
    let denials = futures_util::future::join_all(reviews).await;
    assert_eq!(denials.len(), 600);
    assert!(denials.iter().all(String::is_empty), "{denials:?}");
    for digest in &digests {
        assert_eq!(fleet.discoveries(digest), 1, "{digest}");
    }
    let requests = fleet.stage.origin.requests().len();
    assert!(requests <= 150, "{requests} requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_in_redis_or_sealed_by_others_is_a_miss() {
    let fleet = Fleet::new().await;
    let digest = fleet.stage.signed(1, "acme/app", "v1").digest();
    let unsigned = fleet.stage.unsigned(2, "acme/app", "v2").digest();
    let first = fleet.replica("one").await;
    assert_eq!(first.denial(&image(&digest)).await, "");

    let stranger = fleet.replica_with("stranger", "sealKeys: [SEALS/other.key]").await;
    assert_eq!(stranger.denial(&image(&digest)).await, "");
    assert_eq!(fleet.discoveries(&digest), 2, "it could open nothing");
    let unknown = figure(&stranger, "countersign_redis_seal_failures_total{reason=\"unknown\"}").await;
    assert_ne!(unknown, "0");

    let keys = fleet.redis.keys(&["material-lists", "material", "facts"]).await;
    assert!(keys.len() >= 3, "{keys:?}");
    let flips: Vec<String> = keys.iter().map(|key| format!("SETRANGE {key} 60 !!!!")).collect();
    fleet.redis.ask(&flips.join("\r\n")).await;
    let second = fleet.replica("two").await;
    assert_eq!(second.denial(&image(&digest)).await, "");
    assert_ne!(second.denial(&image(&unsigned)).await, "");
    assert_eq!(fleet.discoveries(&digest), 3, "a flipped byte is a miss");
}
