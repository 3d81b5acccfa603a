//! Blobs: one fetch for all who ask, nothing believed that was not hashed, and whose they are.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::future::join_all;
use http::Method;
use oci::Digest;
use serde_json::json;
use testkit::image::{Image, index_of};
use testkit::registry::Seen;

use crate::cli::{countersign, exits};
use crate::stage::{Gateway, HOST, Reply, Stage, release};

/// A signed image with one large layer, whose bytes repeat nowhere near.
fn large(stage: &Stage, repository: &str, words: u32) -> (Image, Bytes) {
    let layer = Bytes::from((0..words).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
    let image = Image::of(vec![layer.clone()]);
    image.push_to(&stage.origin, repository, Some("v1"));
    stage.sign(repository, &image.digest(), &release());
    (image, layer)
}

/// A signed image with one large layer, where they are pulled, and a gateway that both were pulled through.
struct Pulled {
    image: Image,
    layer: Bytes,
    digest: Digest,
    manifest: String,
    blob: String,
    gateway: Gateway,
}

impl Pulled {
    async fn of(stage: &Stage, words: u32) -> Self {
        let (image, layer) = large(stage, "acme/big", words);
        let digest = Digest::of(&layer);
        let manifest = format!("/v2/{HOST}/acme/big/manifests/{}", image.digest());
        let blob = format!("/v2/{HOST}/acme/big/blobs/{digest}");
        let gateway = stage.gateway().await;
        for path in [&manifest, &blob] {
            assert_eq!(gateway.get(path).await.status, 200);
        }
        Self { image, layer, digest, manifest, blob, gateway }
    }
}

/// How often the origin was asked for some content.
fn fetches(stage: &Stage, digest: &Digest) -> usize {
    let ends = ["blobs", "manifests"].map(|kind| format!("/{kind}/{digest}"));
    let of_it = |seen: &Seen| ends.iter().any(|end| seen.path.ends_with(end));
    stage.origin.count(|seen| seen.method == Method::GET && of_it(seen))
}

/// The file of some content.
fn file(stage: &Stage, part: &str, digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    stage.directory.path().join("storage").join(part).join("sha256").join(&hex[..2]).join(hex)
}

/// Pulls until what was pulled is kept, for which nobody who reads it has to wait.
async fn kept(gateway: &Gateway, path: &str) -> Reply {
    for _ in 0..1000 {
        let reply = gateway.get(path).await;
        if reply.header("countersign-cache") == "hit" {
            return reply;
        }
    }
    panic!("{path} is not kept");
}

fn change(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[0] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

async fn metric(gateway: &Gateway, name: &str) -> f64 {
    let metrics = String::from_utf8(gateway.admin("/metrics").await.bytes().to_vec()).unwrap();
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
}

async fn storage(arguments: &[&str]) -> std::process::Output {
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let run = move || countersign(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_cold_pulls_of_a_blob_are_one_fetch() {
    let stage = Stage::new().await;
    let (_, layer) = large(&stage, "acme/big", 500_000);
    let digest = Digest::of(&layer);
    let gateway = stage.gateway().await;
    assert_eq!(gateway.get(&format!("/v2/{HOST}/acme/big/manifests/v1")).await.status, 200);
    let path = format!("/v2/{HOST}/acme/big/blobs/{digest}");
    let middle = [("range", "bytes=1000-999999")];
    let pulls = (0..100).map(async |number| match number % 10 {
        0 => gateway.request(Method::GET, &path, &middle).await.bytes() == &layer.slice(1000..1_000_000),
        _ => gateway.get(&path).await.bytes() == &layer,
    });
    assert!(join_all(pulls).await.into_iter().all(|right| right));
    assert_eq!(fetches(&stage, &digest), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_clients_that_pull_a_new_image_are_one_fetch_an_object() {
    let stage = Stage::new().await;
    let index = index_of(&[Image::random(1), Image::random(2)]);
    index.push_to(&stage.origin, "acme/app", Some("v1"));
    stage.sign("acme/app", &index.digest(), &release());
    let gateway = stage.gateway().await;
    let (at, image) = (format!("/v2/{HOST}/acme/app"), &index.images[0]);
    let client = async || {
        let mut right = gateway.get(&format!("{at}/manifests/v1")).await.bytes() == &index.manifest;
        right &= gateway.get(&format!("{at}/manifests/{}", image.digest())).await.bytes() == &image.manifest;
        for blob in image.blobs() {
            right &= gateway.get(&format!("{at}/blobs/{}", Digest::of(blob))).await.bytes() == blob;
        }
        right
    };
    assert!(join_all((0..50).map(|_| client())).await.into_iter().all(|right| right));
    let objects = image.blobs().chain([&image.manifest, &index.manifest]);
    for object in objects {
        assert_eq!(fetches(&stage, &Digest::of(object)), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_1_what_changed_on_disk_is_not_served() {
    let stage = Stage::new().await;
    let Pulled { image, layer, digest, manifest, blob, gateway } = Pulled::of(&stage, 200_000).await;
    kept(&gateway, &blob).await;
    // While it runs, and while it does not.
    change(&file(&stage, "blobs", &digest));
    assert_eq!(gateway.get(&blob).await.bytes(), &layer);
    assert!(metric(&gateway, "countersign_storage_changed_total").await >= 1.0);
    gateway.stop().await;
    change(&file(&stage, "blobs", &digest));
    change(&file(&stage, "documents", &image.digest()));
    let gateway = stage.gateway().await;
    assert_eq!(gateway.get(&manifest).await.bytes(), &image.manifest);
    assert_eq!(gateway.get(&blob).await.bytes(), &layer);
    assert_eq!((fetches(&stage, &digest), fetches(&stage, &image.digest())), (3, 2));
    assert_eq!(kept(&gateway, &blob).await.bytes(), &layer);
    assert_eq!(fetches(&stage, &digest), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_what_is_kept_is_hashed_and_served_without_the_registry() {
    let stage = Stage::new().await;
    // More than is hashed before anybody is given any of it.
    let Pulled { layer, blob, gateway, .. } = Pulled::of(&stage, 1_500_000).await;
    gateway.stop().await;
    stage.origin.clear_requests();
    let gateway = stage.gateway().await;
    let pulls = join_all((0..20).map(|_| gateway.get(&blob))).await;
    assert!(pulls.iter().all(|reply| reply.bytes() == &layer && reply.header("countersign-cache") == "hit"));
    assert!(metric(&gateway, "countersign_storage_hashed_again_total").await >= 1.0);
    assert_eq!(stage.origin.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_looked_through_beside_a_gateway_and_told_by_repository() {
    let stage = Stage::new().await;
    let Pulled { image, layer, digest, blob, gateway, .. } = Pulled::of(&stage, 50_000).await;
    let configuration = stage.directory.path().join("countersign.yaml").display().to_string();
    let usage = storage(&["storage", "usage", "--config", &configuration]).await;
    exits(&usage, 0, &["layers: ", HOST, "acme/big: "]);
    let usage = storage(&["storage", "usage", "--output", "json", "--config", &configuration]).await;
    let usage: serde_json::Value = serde_json::from_slice(&usage.stdout).unwrap();
    let of = |part: &str| usage[part]["bytes"].as_u64().unwrap();
    let expected = (layer.len() + image.manifest.len()) as u64;
    assert_eq!((of("layers"), &usage["unlinkedBytes"]), (layer.len() as u64, &json!(0)));
    let upstream = &usage["upstreams"][0];
    assert_eq!((&upstream["tenant"], &upstream["upstream"]), (&json!("default"), &json!(HOST)));
    assert_eq!(upstream["repositories"][0]["repository"], "acme/big");
    assert!(upstream["bytes"].as_u64().unwrap() >= expected && of("documents") > image.manifest.len() as u64);

    let verify = ["storage", "verify", "--config", &configuration];
    exits(&storage(&verify).await, 0, &["0 changed"]);
    change(&file(&stage, "blobs", &digest));
    exits(&storage(&verify).await, 1, &[&digest.to_string(), "1 changed"]);
    let repaired = storage(&[&verify[..], &["--repair", "--output", "json"]].concat()).await;
    exits(&repaired, 0, &["\"removed\":1"]);
    exits(&storage(&verify).await, 0, &["0 changed"]);
    exits(&storage(&["storage", "verify", "--path", "/nowhere"]).await, 2, &["no such directory"]);
    assert_eq!(gateway.get(&blob).await.bytes(), &layer);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_of_a_platform_asks_for_next_is_fetched_ahead() {
    let stage = Stage::new().await;
    // Of amd64 and arm64, in this order.
    let index = index_of(&[Image::random(1), Image::random(2)]);
    index.push_to(&stage.origin, "acme/app", Some("v1"));
    stage.sign("acme/app", &index.digest(), &release());
    let configuration = {
        let (directory, endpoint) = (stage.directory.path().display(), stage.origin.url());
        let text = format!(
            "storage: {{path: {directory}/storage, prefetch: [linux/amd64]}}\n\
             trust: {{root: {{file: {directory}/trusted_root.json}}}}\npolicies: {{directory: {directory}/policies}}\n\
             registry: {{listen: '127.0.0.1:0'}}\nadmission: {{listen: '127.0.0.1:0'}}\nadmin: {{listen: '127.0.0.1:0'}}\n\
             upstreams: [{{host: {HOST}, endpoint: '{endpoint}'}}]\n"
        );
        let path = stage.directory.path().join("countersign.yaml");
        std::fs::write(&path, text).unwrap();
        path
    };
    let gateway = Gateway::start(&configuration).await;
    let at = format!("/v2/{HOST}/acme/app");
    // A client that only looks has nothing fetched.
    assert_eq!(gateway.head(&format!("{at}/manifests/v1")).await.status, 200);
    assert_eq!(gateway.get(&format!("{at}/manifests/v1")).await.status, 200);
    let (wanted, other) = (&index.images[0], &index.images[1]);
    for blob in wanted.blobs() {
        stage.origin.reached(&Digest::of(blob).to_string()).await;
    }
    for blob in wanted.blobs() {
        assert_eq!(gateway.get(&format!("{at}/blobs/{}", Digest::of(blob))).await.bytes(), blob);
        assert_eq!(fetches(&stage, &Digest::of(blob)), 1);
    }
    for blob in other.blobs().chain([&other.manifest]) {
        assert_eq!(fetches(&stage, &Digest::of(blob)), 0);
    }
}
