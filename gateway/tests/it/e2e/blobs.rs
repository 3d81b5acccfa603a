//! Blobs and the disk, with the product as a process: it is killed, and its disk takes no more.

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use oci::Digest;
use testkit::image::Image;
use testkit::registry::{Fault, Seen};

use super::parts::{Served, get, run, until};
use crate::stage::{HOST, POLICY, Stage, release};

/// A gateway before an origin that has a signed image with one layer.
struct Scene {
    stage: Stage,
    gateway: Served,
    layer: Bytes,
    digest: Digest,
}

fn layer(mebibytes: u32) -> Bytes {
    (0..mebibytes * 256 * 1024).flat_map(u32::to_le_bytes).collect::<Vec<_>>().into()
}

/// The image whose layer this is, pushed and signed.
fn push(stage: &Stage, layer: &Bytes) {
    let image = Image::of(vec![layer.clone()]);
    image.push_to(&stage.origin, "acme/big", Some("v1"));
    stage.sign("acme/big", &image.digest(), &release());
}

impl Scene {
    async fn new(mebibytes: u32) -> Self {
        let stage = Stage::new().await;
        let layer = layer(mebibytes);
        push(&stage, &layer);
        std::fs::remove_dir_all(stage.directory.path().join("policies")).unwrap();
        let trusted_root = stage.authority.trusted_root();
        let gateway = Served::start(stage.directory.path(), &stage.origin.url(), &trusted_root, POLICY).await;
        Self { stage, gateway, digest: Digest::of(&layer), layer }
    }

    fn storage(&self) -> PathBuf {
        self.stage.directory.path().join("storage")
    }

    fn configuration(&self) -> PathBuf {
        self.stage.directory.path().join("countersign.yaml")
    }

    fn url(&self, rest: &str) -> String {
        format!("http://{}/v2/{HOST}/acme/big/{rest}", self.gateway.registry)
    }

    fn blob(&self) -> String {
        self.url(&format!("blobs/{}", self.digest))
    }

    fn fetches(&self) -> usize {
        let ends = self.digest.to_string();
        self.stage.origin.count(|seen: &Seen| seen.path.ends_with(&ends))
    }

    async fn metric(&self, name: &str) -> u64 {
        let metrics = String::from_utf8(self.gateway.doors.admin("/metrics").await.bytes().to_vec()).unwrap();
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
    }

    /// Pulls the blob and compares it as it comes.
    async fn is_right(&self) -> bool {
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let mut answer = client.get(self.blob().parse().unwrap()).await.unwrap();
        let mut left = &self.layer[..];
        while let Some(frame) = answer.body_mut().frame().await {
            let Some(rest) = frame.ok().and_then(|frame| left.strip_prefix(&frame.data_ref()?[..])) else {
                return false;
            };
            left = rest;
        }
        left.is_empty()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_cold_pulls_of_64_mib_are_one_fetch() {
    let scene = Scene::new(64).await;
    assert_eq!(get(&scene.url("manifests/v1")).await.status, 200);
    let pulls = join_all((0..100).map(|_| scene.is_right())).await;
    assert!(pulls.into_iter().all(|right| right));
    assert_eq!(scene.fetches(), 1);
    assert_eq!(scene.metric("countersign_fill_bytes_total").await, 64 * 1024 * 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_killed_in_the_middle_of_a_fill_believes_nothing_of_it() {
    let mut scene = Scene::new(16).await;
    assert_eq!(get(&scene.url("manifests/v1")).await.status, 200);
    let ends = scene.digest.to_string();
    scene.stage.origin.fault(move |seen| seen.path.ends_with(&ends), Fault::Stall(8 * 1024 * 1024));
    let unfinished = scene.storage().join("blobs/unfinished");
    let files = |directory: &Path| directory.read_dir().unwrap().count();
    let pulling = tokio::spawn({
        let url = scene.blob();
        async move {
            let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
            client.get(url.parse().unwrap()).await.unwrap().into_body().collect().await.is_ok()
        }
    });
    until("half of it has landed", async || {
        scene.metric("countersign_fill_bytes_total").await == 8 * 1024 * 1024
    })
    .await;
    assert_eq!(files(&unfinished), 1);
    scene.gateway.process.kill();
    assert!(!pulling.await.unwrap(), "nobody takes half of it for the whole");
    assert_eq!(files(&unfinished), 1);

    scene.stage.origin.clear_faults();
    scene.gateway = Served::of(&scene.configuration(), &scene.storage()).await;
    assert_eq!(files(&unfinished), 0);
    assert!(scene.is_right().await && scene.is_right().await);
    assert_eq!(scene.fetches(), 2);
    let configuration = scene.configuration().display().to_string();
    let verified = run(env!("CARGO_BIN_EXE_countersign"), &["storage", "verify", "--config", &configuration]);
    assert!(verified.status.success(), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_no_more_serves_on_without_keeping() {
    let mut scene = Scene::new(48).await;
    scene.gateway.process.kill();
    // No file beyond 32 MiB, as on a disk that has no more room.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 65536; exec \"$@\"", "limited"]);
    limited.arg(env!("CARGO_BIN_EXE_countersign"));
    scene.gateway = Served::by(limited, &scene.configuration(), &scene.storage()).await;
    assert_eq!(get(&scene.url("manifests/v1")).await.status, 200);
    for _ in 0..2 {
        let pulled = get(&scene.blob()).await;
        assert_eq!((pulled.status, pulled.header("countersign-cache")), (200, "miss"));
        assert!(pulled.body == scene.layer);
    }
    assert_eq!(scene.fetches(), 2, "each has its own, since nothing is kept");
    assert_eq!(scene.metric("countersign_passed_through_total").await, 2);
    assert_eq!(scene.metric("countersign_storage_disk_failures_total").await, 2);
    assert_eq!(scene.metric("countersign_storage_bytes{part=\"layers\"}").await, 0);

    // What is wrong is told from what is right here too.
    let ends = scene.digest.to_string();
    scene.stage.origin.fault(move |seen| seen.path.ends_with(&ends), Fault::Corrupt);
    assert!(!scene.is_right().await);
    scene.stage.origin.clear_faults();
    // What there is room for is kept as ever.
    let small = layer(8);
    push(&scene.stage, &small);
    assert_eq!(get(&scene.url("manifests/v1")).await.status, 200);
    for _ in 0..2 {
        assert!(get(&scene.url(&format!("blobs/{}", Digest::of(&small)))).await.body == small);
    }
    let kept = 8 * 1024 * 1024;
    until("it is kept", async || scene.metric("countersign_storage_bytes{part=\"layers\"}").await == kept)
        .await;
}
