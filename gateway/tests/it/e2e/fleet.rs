//! Replicas that share their memory: a real `redis-server`, one origin, and gateways that have nothing else in common.

use oci::Digest;

use super::parts::until;
use super::replicas::{Fleet, Keys, blob, image, manifest};
use crate::stage::{Gateway, release};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_replica_admits_and_serves_by_what_the_first_found() {
    let fleet = Fleet::new().await;
    let pushed = fleet.stage.signed(1, "acme/app", "v1");
    let digest = pushed.digest();
    let (first, second) = (fleet.replica("one").await, fleet.replica("two").await);
    assert_eq!(first.get(&manifest(digest)).await.status, 200);
    assert_eq!(fleet.discoveries(&digest), 1);

    fleet.stage.origin.clear_requests();
    // A client that was told of the layers by the first asks the second for them.
    let layer = pushed.blobs().next().unwrap();
    let reply = second.get(&blob(&Digest::of(layer))).await;
    assert_eq!((reply.status.as_u16(), reply.bytes()), (200, layer));
    assert_eq!(second.denial(&image(&digest)).await, "");
    assert_eq!(second.get(&manifest(digest)).await.status, 200);
    assert_eq!(fleet.discoveries(&digest), 0, "{:?}", fleet.stage.origin.requests());
    let stray = Digest::of(b"nobody names this");
    assert_eq!(second.get(&blob(&stray)).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_material_alone_trusted_nothing_but_material_is_shared() {
    let fleet = Fleet::new().await;
    let digest = fleet.stage.signed(1, "acme/app", "v1").digest();
    let keys = Keys { redis: format!("url: '{}', trust: material", fleet.redis.url()), ..fleet.keys() };
    let first = fleet.replica_with("one", &keys).await;
    let second = fleet.replica_with("two", &keys).await;
    assert_eq!(first.denial(&image(&digest)).await, "");
    assert_eq!(second.denial(&image(&digest)).await, "");
    assert_eq!(fleet.discoveries(&digest), 1);
    assert!(!fleet.redis.keys(&["countersign:material:"]).await.is_empty());
    assert!(fleet.redis.keys(&["countersign:facts:", "countersign:tags:"]).await.is_empty());
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
    let admitted = async |gateway: &Gateway| gateway.denial(&image(&digest)).await.is_empty();
    until("both admit it", async || admitted(&first).await && admitted(&second).await).await;
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
    let third = fleet.unready("three", &fleet.keys()).await;
    for gateway in [&first, &second, &third] {
        assert_eq!(gateway.admin("/readyz").await.status, 200);
        assert_eq!(gateway.denial(&image(&known)).await, "");
        assert_eq!(gateway.denial(&image(&signed)).await, "");
        assert_ne!(gateway.denial(&image(&unsigned)).await, "");
    }
    assert_eq!(fleet.discoveries(&signed), 3, "each for itself");
}
