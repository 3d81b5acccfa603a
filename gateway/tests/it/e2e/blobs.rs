//! Blobs and the disk, with the product as a process: it is killed, and its disk is full.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use oci::Digest;
use testkit::image::Image;
use testkit::registry::{Fault, Seen};

use super::parts::{Served, get, run, until};
use super::small_disk::SmallDisk;
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
fn push(stage: &Stage, layer: &Bytes) -> Image {
    let image = Image::of(vec![layer.clone()]);
    image.push_to(&stage.origin, "acme/big", Some("v1"));
    stage.sign("acme/big", &image.digest(), &release());
    image
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

    /// Starts the gateway anew, with its storage on this disk.
    async fn restart_on(&mut self, disk: &SmallDisk) {
        self.gateway.process.kill();
        let mut command = disk.within();
        command.arg(env!("CARGO_BIN_EXE_countersign"));
        self.gateway = Served::by(command, &self.configuration(), &disk.path()).await;
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
async fn a_disk_that_has_no_room_for_a_blob_serves_it_without_keeping_it() {
    let mut scene = Scene::new(24).await;
    let disk = SmallDisk::mount(&scene.storage(), 16);
    scene.restart_on(&disk).await;
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
    let small = layer(4);
    push(&scene.stage, &small);
    assert_eq!(get(&scene.url("manifests/v1")).await.status, 200);
    let small_url = scene.url(&format!("blobs/{}", Digest::of(&small)));
    assert!(get(&small_url).await.body == small);
    until("it is kept", async || get(&small_url).await.header("countersign-cache") == "hit").await;
    assert_eq!(scene.metric("countersign_storage_bytes{part=\"layers\"}").await, 4 * 1024 * 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_to_its_last_byte_ends_nothing_and_keeps_again_once_there_is_room() {
    let mut scene = Scene::new(2).await;
    let disk = SmallDisk::mount(&scene.storage(), 16);
    scene.restart_on(&disk).await;
    let (known, old_blob) = (push(&scene.stage, &scene.layer), scene.blob());
    let old_manifest = scene.url(&format!("manifests/{}", known.digest()));
    assert_eq!(get(&old_manifest).await.status, 200);
    until("it is kept", async || get(&old_blob).await.header("countersign-cache") == "hit").await;
    disk.fill();

    let layer = layer(3);
    let image = push(&scene.stage, &layer);
    let unsigned = scene.stage.unsigned(1, "acme/big", "v2");
    let served_whole = async |scene: &Scene| {
        assert_eq!(get(&scene.url(&format!("manifests/{}", image.digest()))).await.status, 200);
        let pulled = get(&scene.url(&format!("blobs/{}", Digest::of(&layer)))).await;
        assert!((pulled.status, pulled.header("countersign-cache")) == (200, "miss") && pulled.body == layer);
        let reviewed =
            async |digest: Digest| scene.gateway.doors.denial(&format!("{HOST}/acme/big@{digest}")).await;
        assert_eq!(reviewed(image.digest()).await, "");
        assert_ne!(reviewed(unsigned.digest()).await, "");
    };
    served_whole(&scene).await;
    served_whole(&scene).await;
    assert_eq!(scene.metric("countersign_passed_through_total").await, 2);
    assert!(scene.metric("countersign_storage_disk_failures_total").await >= 2);
    assert_eq!(scene.metric("countersign_storage_bytes{part=\"layers\"}").await, 2 * 1024 * 1024);

    // It starts there, knows what it knew, and does the same for what it did not.
    scene.restart_on(&disk).await;
    scene.stage.origin.clear_requests();
    assert_eq!(get(&scene.url(&format!("manifests/{}", known.digest()))).await.status, 200);
    let pulled = get(&scene.blob()).await;
    assert!(
        (pulled.status, pulled.header("countersign-cache")) == (200, "hit") && pulled.body == scene.layer
    );
    assert_eq!(scene.stage.origin.requests().len(), 0);
    served_whole(&scene).await;
    scene.gateway.logs("ERROR", "the disk has no room for content").await;
    scene.gateway.logs("ERROR", "the disk did not take a document").await;

    disk.free();
    let blob = scene.url(&format!("blobs/{}", Digest::of(&layer)));
    until("it is kept", async || get(&blob).await.header("countersign-cache") == "hit").await;
    assert_eq!(scene.metric("countersign_storage_bytes{part=\"layers\"}").await, 5 * 1024 * 1024);
    scene.restart_on(&disk).await;
    scene.stage.origin.clear_requests();
    assert_eq!(get(&scene.url(&format!("manifests/{}", image.digest()))).await.status, 200);
    let blob = scene.url(&format!("blobs/{}", Digest::of(&layer)));
    assert_eq!(get(&blob).await.header("countersign-cache"), "hit");
    let is_blob = |seen: &Seen| seen.path.ends_with(&Digest::of(&layer).to_string());
    assert_eq!(scene.stage.origin.count(is_blob), 0);
}
