//! What was allowed stays available: with Redis, the registry and the repository of trust roots all away, and the gateway
//! started anew.

use oci::Digest;
use serde_json::json;
use testkit::image::{Image, index_of};
use testkit::mirror::Mirror;
use testkit::registry::Fault;
use testkit::tuf::TufRepository;

use super::parts::until;
use super::replicas::{Fleet, Keys, blob, image, manifest};
use crate::stage::{DoorClient, release};

/// An image is admitted, and pulled whole.
async fn available(gateway: &DoorClient, wanted: &Image) {
    let digest = wanted.digest();
    assert_eq!(gateway.denial(&image(&digest)).await, "", "{digest}");
    assert_eq!(gateway.get(&manifest(digest)).await.bytes(), &wanted.manifest);
    for bytes in wanted.blobs() {
        assert_eq!(gateway.get(&blob(&Digest::of(bytes))).await.bytes(), bytes);
    }
}

/// It is neither admitted nor denied.
async fn cannot_be_told(gateway: &DoorClient, digest: &Digest) {
    let response = gateway.validate(&[&image(digest)]).await;
    let said = (&response["allowed"], &response["status"]["code"]);
    assert_eq!(said, (&json!(false), &json!(503)), "{response}");
    assert_eq!(gateway.get(&manifest(digest)).await.status, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_admitted_is_admitted_and_pulled_with_everything_away_and_nothing_else_is() {
    let mut fleet = Fleet::new().await;
    let repository = TufRepository::new("repository", &fleet.stage.authority.trusted_root());
    let root = fleet.stage.directory.path().join("root.json");
    std::fs::write(&root, repository.root(1)).unwrap();
    let mirror = Mirror::start(&repository.files).await;
    let tuf = format!("refresh: 1s, root: {{tuf: {{mirror: '{}', root: {}}}}}", mirror.url(), root.display());
    let keys = Keys { trust: tuf, ..fleet.keys() };
    let gateway = fleet.replica_with("one", &keys).await;
    until("it is ready", async || gateway.admin("/readyz").await.status == 200).await;

    let signed: Vec<Image> =
        (0..25).map(|seed| fleet.stage.signed(seed, "acme/app", &format!("v{seed}"))).collect();
    let index = index_of(&[Image::random(100), Image::random(101)]);
    index.push_to(&fleet.stage.origin, "acme/app", Some("index"));
    fleet.stage.sign("acme/app", &index.digest(), &release());
    let denied = fleet.stage.unsigned(200, "acme/app", "denied").digest();
    let unseen = fleet.stage.signed(201, "acme/app", "unseen").digest();
    for wanted in &signed {
        available(&gateway, wanted).await;
    }
    assert_eq!(gateway.denial(&image(&index.digest())).await, "");
    assert_eq!(gateway.get(&manifest(index.digest())).await.status, 200);
    assert_eq!(gateway.get(&manifest(index.images[0].digest())).await.status, 200);
    assert!(gateway.denial(&image(&denied)).await.contains("no signatures found"));
    assert_eq!(gateway.get(&manifest(denied)).await.status, 403);
    gateway.stop().await;

    fleet.redis.kill();
    mirror.away(true);
    fleet.stage.origin.fault(|_| true, Fault::Reset);
    let gateway = fleet.unready("one", &keys).await;
    assert_eq!(gateway.admin("/readyz").await.status, 200);
    for wanted in &signed {
        available(&gateway, wanted).await;
    }
    assert_eq!(gateway.denial(&image(&index.digest())).await, "");
    assert_eq!(gateway.get(&manifest(index.digest())).await.bytes(), &index.manifest);
    // A child is served as part of its index, and no Pod may name it: nobody signed it.
    assert_eq!(gateway.get(&manifest(index.images[0].digest())).await.bytes(), &index.images[0].manifest);
    // Somebody may have signed since what was denied, and nobody can be asked.
    cannot_be_told(&gateway, &denied).await;
    cannot_be_told(&gateway, &unseen).await;
    assert_eq!(gateway.get(&manifest("v1")).await.status, 503, "what a tag means now cannot be told either");
}
