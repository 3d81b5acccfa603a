//! Replicas that share layers through an object store: a real S3 server, which is slow to nobody and believed in nothing.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bytes::Bytes;
use oci::Digest;
use testkit::image::Image;
use testkit::registry::Seen;

use super::parts::{Running, Served, free_address, get, listening, until};
use crate::stage::{HOST, POLICY, Stage, release};

/// An origin with a signed image of one layer, and an S3 server with an empty bucket.
struct Scene {
    stage: Stage,
    layer: Bytes,
    digest: Digest,
    s3: SocketAddr,
    server: Running,
}

/// The bucket, which is a directory of the server's, and what keys begin with.
const BUCKET: &str = "layers";
const PREFIX: &str = "countersign";

impl Scene {
    async fn new(mebibytes: u32) -> Self {
        let stage = Stage::new().await;
        let layer: Bytes = (0..mebibytes * 256 * 1024).flat_map(u32::to_le_bytes).collect::<Vec<_>>().into();
        let image = Image::of(vec![layer.clone()]);
        image.push_to(&stage.origin, "acme/big", Some("v1"));
        stage.sign("acme/big", &image.digest(), &release());
        std::fs::write(stage.directory.path().join("policies/policy.yaml"), POLICY).unwrap();
        let root = stage.directory.path().join("s3");
        std::fs::create_dir_all(root.join(BUCKET)).unwrap();
        let s3 = free_address();
        let program = Command::new("versitygw")
            .args(["--port", &s3.to_string(), "--access", "access", "--secret", "secret", "--quiet", "posix"])
            .args(["--nometa"])
            .arg(&root)
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("versitygw: {error}; `scripts/install-tools e2e` installs it"));
        let server = Running(program);
        listening(s3).await;
        Self { stage, digest: Digest::of(&layer), layer, s3, server }
    }

    /// A replica with a storage of its own.
    async fn replica(&self, name: &str) -> Served {
        let directory = self.stage.directory.path();
        let (at, origin, s3) = (directory.display(), self.stage.origin.url(), self.s3);
        let text = format!(
            "registry: {{listen: '127.0.0.1:0'}}\nadmission: {{listen: '127.0.0.1:0'}}\nadmin: {{listen: '127.0.0.1:0'}}\n\
             storage: {{path: {at}/{name}, object: {{url: s3://{BUCKET}/{PREFIX}, endpoint: 'http://{s3}', region: here}}}}\n\
             trust: {{root: {{file: {at}/trusted_root.json}}}}\npolicies: {{directory: {at}/policies}}\n\
             upstreams: [{{host: {HOST}, endpoint: '{origin}'}}]\n"
        );
        let config = directory.join(format!("{name}.yaml"));
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.env("AWS_ACCESS_KEY_ID", "access").env("AWS_SECRET_ACCESS_KEY", "secret");
        let replica = Served::by(command, &config, &directory.join(name)).await;
        assert_eq!(get(&url(&replica, "manifests/v1")).await.status, 200);
        replica
    }

    fn object(&self) -> PathBuf {
        let bucket = self.stage.directory.path().join("s3").join(BUCKET);
        bucket.join(PREFIX).join("sha256").join(self.digest.hex())
    }

    fn fetches(&self) -> usize {
        let ends = self.digest.to_string();
        self.stage.origin.count(|seen: &Seen| seen.path.ends_with(&ends))
    }

    async fn pulls(&self, replica: &Served) -> bool {
        let pulled = get(&url(replica, &format!("blobs/{}", self.digest))).await;
        pulled.status == 200 && pulled.body == self.layer
    }
}

fn url(replica: &Served, rest: &str) -> String {
    format!("http://{}/v2/{HOST}/acme/big/{rest}", replica.registry)
}

async fn counted(replica: &Served, outcome: &str) -> u64 {
    let metrics = String::from_utf8(replica.doors.admin("/metrics").await.bytes().to_vec()).unwrap();
    let name = format!("countersign_object_store_total{{outcome=\"{outcome}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

fn change(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[0] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_pulled_the_others_have_from_the_object_store() {
    // One that is sent whole, and one in parts.
    for mebibytes in [1, 20] {
        let mut scene = Scene::new(mebibytes).await;
        let first = scene.replica("first").await;
        assert!(scene.pulls(&first).await);
        until("the store was given the layer", async || counted(&first, "stored").await == 1).await;
        assert!(std::fs::read(scene.object()).unwrap() == scene.layer);

        let second = scene.replica("second").await;
        assert!(scene.pulls(&second).await);
        assert_eq!((scene.fetches(), counted(&second, "hit").await), (1, 1));

        scene.server.kill();
        assert!(scene.pulls(&second).await, "what a replica has it has");
        let third = scene.replica("third").await;
        assert!(scene.pulls(&third).await, "a store that is away costs no answer");
        assert_eq!((scene.fetches(), counted(&third, "failed").await), (2, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_something_else_is_neither_served_nor_kept_and_is_replaced() {
    let scene = Scene::new(1).await;
    let first = scene.replica("first").await;
    assert!(scene.pulls(&first).await);
    until("the store was given the layer", async || counted(&first, "stored").await == 1).await;
    change(&scene.object());

    let second = scene.replica("second").await;
    let url = url(&second, &format!("blobs/{}", scene.digest));
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .build_http::<http_body_util::Empty<Bytes>>();
    let answer = client.get(url.parse().unwrap()).await.unwrap();
    let ended_well = http_body_util::BodyExt::collect(answer.into_body()).await.is_ok();
    assert!(!ended_well, "the last of it never comes");
    assert_eq!(counted(&second, "wrong").await, 1);
    assert!(scene.pulls(&second).await);
    assert_eq!(scene.fetches(), 2);
    until("the store was given the right one", async || counted(&second, "stored").await == 1).await;
    assert!(std::fs::read(scene.object()).unwrap() == scene.layer);
}
