//! Layers that gateways share through an object store: one that speaks as Amazon's does, and one as Azure's.

mod server;

use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use oci::Digest;
use testkit::image::Image;
use testkit::registry::{Fault, Seen};
use testkit::relay::Relay;

use self::server::ObjectStore;
use super::parts::{Served, get, until};
use super::replicas::figure;
use crate::stage::{HOST, Stage, release};

/// An origin that has a signed image, whose layers are smaller than one part and of three.
struct Scene {
    stage: Stage,
    image: Image,
}

/// A gateway before the store.
struct Replica(Served);

/// Bytes that repeat nowhere near, and that no other first word begins.
fn layer(first: u32, mebibytes: u32) -> Bytes {
    (first..first + mebibytes * 256 * 1024).flat_map(u32::to_le_bytes).collect::<Vec<_>>().into()
}

impl Scene {
    async fn new() -> Self {
        let stage = Stage::new().await;
        let image = Image::of(vec![layer(0, 3), layer(1, 20)]);
        image.push_to(&stage.origin, "acme/big", Some("v1"));
        stage.sign("acme/big", &image.digest(), &release());
        Self { stage, image }
    }

    /// A gateway with a disk of its own that has nothing yet, before this store, whose credentials its environment holds.
    async fn replica(&self, name: &str, store: &ObjectStore) -> Replica {
        self.replica_by(name, &store.keys(), store).await
    }

    /// The same with other keys of `storage.object`.
    async fn replica_by(&self, name: &str, keys: &str, store: &ObjectStore) -> Replica {
        let directory = self.stage.directory.path();
        let (storage, config) = (directory.join(name), directory.join(format!("{name}.yaml")));
        let text = format!(
            "registry: {{listen: '127.0.0.1:0'}}\nadmission: {{listen: '127.0.0.1:0'}}\nadmin: {{listen: '127.0.0.1:0'}}\n\
             storage: {{path: {}, object: {{{keys}}}}}\ntrust: {{root: {{file: {1}/trusted_root.json}}}}\n\
             policies: {{directory: {1}/policies}}\nupstreams: [{{host: {HOST}, endpoint: '{2}'}}]\n",
            storage.display(),
            directory.display(),
            self.stage.origin.url(),
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.envs(store.environment().iter().copied());
        let served = Served::by(command, &config, &storage).await;
        let url = format!("http://{}/v2/{HOST}/acme/big/manifests/{}", served.registry, self.image.digest());
        assert_eq!(get(&url).await.status, 200);
        Replica(served)
    }

    /// How often the origin was asked for a layer.
    fn fetches(&self, layer: &Bytes) -> usize {
        let ends = Digest::of(layer).to_string();
        self.stage.origin.count(|seen: &Seen| seen.path.ends_with(&ends))
    }

    /// The registry has the manifest and none of the layers any more.
    fn lose_layers(&self) {
        for layer in &self.image.layers {
            let ends = Digest::of(layer).to_string();
            self.stage.origin.fault(move |seen| seen.path.ends_with(&ends), Fault::Status(500));
        }
    }
}

impl Replica {
    /// Pulls a layer. Says whether all of it came; bytes that are not the right ones never may, whole or in part.
    async fn pulls(&self, layer: &Bytes) -> bool {
        let url = format!("http://{}/v2/{HOST}/acme/big/blobs/{}", self.0.registry, Digest::of(layer));
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let answer = client.get(url.parse().unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        match answer.into_body().collect().await {
            Ok(body) if status == 200 => {
                assert!(body.to_bytes() == layer, "wrong bytes were served as if they were right");
                true
            }
            Ok(_) | Err(_) => false,
        }
    }

    /// How often the store gave, or took, with this outcome.
    async fn outcomes(&self, outcome: &str) -> u64 {
        let name = format!("countersign_object_store_total{{outcome=\"{outcome}\"}}");
        figure(&self.0.doors, &name).await.parse().unwrap()
    }

    async fn stored(&self, layers: u64) {
        until("the store took the layers", async || self.outcomes("stored").await == layers).await;
        assert_eq!(self.outcomes("unstored").await, 0);
    }
}

/// What one gateway pulled another serves, though the registry has lost it.
async fn shares(store: &ObjectStore) {
    let scene = Scene::new().await;
    let one = scene.replica("one", store).await;
    for layer in &scene.image.layers {
        assert!(one.pulls(layer).await);
    }
    one.stored(2).await;
    scene.lose_layers();
    let another = scene.replica("another", store).await;
    for layer in &scene.image.layers {
        assert!(another.pulls(layer).await, "{}", another.0.log());
        assert_eq!(scene.fetches(layer), 1);
    }
    assert_eq!(another.outcomes("hit").await, 2);
    assert_eq!(another.outcomes("stored").await, 0, "what the store gave is not given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_gateway_pulled_another_serves_from_s3_without_the_registry() {
    shares(&ObjectStore::s3_over_tls().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_gateway_pulled_another_serves_from_azure_without_the_registry() {
    shares(&ObjectStore::azure().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_something_else_is_served_to_nobody_and_replaced() {
    let (scene, store) = (Scene::new().await, ObjectStore::s3().await);
    let one = scene.replica("one", &store).await;
    for layer in &scene.image.layers {
        assert!(one.pulls(layer).await);
    }
    one.stored(2).await;
    for (name, layer) in ["another", "a-third"].into_iter().zip(&scene.image.layers) {
        let object = store.object(&Digest::of(layer));
        let mut bytes = std::fs::read(&object).unwrap();
        assert!(bytes == *layer);
        bytes[layer.len() / 2] ^= 1;
        std::fs::write(&object, &bytes).unwrap();
        let replica = scene.replica(name, &store).await;
        assert!(!replica.pulls(layer).await);
        assert_eq!(replica.outcomes("wrong").await, 1);
        assert!(replica.pulls(layer).await, "the registry is asked now");
        assert_eq!(scene.fetches(layer), 2);
        replica.stored(1).await;
        assert!(std::fs::read(&object).unwrap() == *layer);
    }
    // Of another size it is none of ours, and is replaced too.
    let layer = &scene.image.layers[0];
    std::fs::write(store.object(&Digest::of(layer)), b"short").unwrap();
    let replica = scene.replica("a-fourth", &store).await;
    assert!(replica.pulls(layer).await);
    replica.stored(1).await;
    assert_eq!((replica.outcomes("miss").await, replica.outcomes("hit").await), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_slow_or_breaks_off_or_is_away_costs_time_and_no_answer() {
    let (scene, mut store) = (Scene::new().await, ObjectStore::s3().await);
    let [small, large] = &scene.image.layers[..] else { panic!("two layers") };
    let one = scene.replica("one", &store).await;
    assert!(one.pulls(small).await && one.pulls(large).await);
    one.stored(2).await;
    let relay = Relay::to(store.port()).await;
    let keys = store.keys_at(relay.port());

    // It breaks off in the middle, and the registry gives the rest.
    relay.cut_after(1024 * 1024);
    let replica = scene.replica_by("broken", &keys, &store).await;
    assert!(replica.pulls(large).await);
    assert_eq!((replica.outcomes("hit").await, replica.outcomes("failed").await), (1, 1));
    assert_eq!(scene.fetches(large), 2);
    // It is left alone for a while. Where that has passed already it breaks off again.
    assert!(replica.pulls(small).await);
    assert_eq!(replica.outcomes("spared").await + replica.outcomes("failed").await, 2);
    assert_eq!(scene.fetches(small), 2);
    relay.cut_after(usize::MAX);

    // It takes longer than anybody waits for it.
    relay.delay(Duration::from_secs(60));
    let replica = scene.replica_by("slow", &keys, &store).await;
    assert!(replica.pulls(small).await);
    assert_eq!((replica.outcomes("failed").await, scene.fetches(small)), (1, 3));

    // Nobody is there.
    store.kill();
    let replica = scene.replica("away", &store).await;
    assert!(replica.pulls(small).await);
    assert_eq!((replica.outcomes("failed").await, scene.fetches(small)), (1, 4));
    until("it was not given the layer", async || replica.outcomes("unstored").await == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_the_credentials_costs_no_answer_and_the_log_says_none_of_them() {
    let (scene, mut store) = (Scene::new().await, ObjectStore::s3().await);
    store.forget_credentials();
    let replica = scene.replica("one", &store).await;
    assert!(replica.pulls(&scene.image.layers[0]).await);
    until("it was not given the layer", async || replica.outcomes("unstored").await == 1).await;
    assert_eq!(replica.outcomes("failed").await, 1);
    replica.0.logs("WARN", "403").await;
    let log = replica.0.log();
    assert!(!log.contains(server::SECRET), "{log}");
}
