//! What is in force while the API server cannot be heard, and after a start without it.

use std::time::{Duration, SystemTime};

use super::world::{World, until};

/// A gateway without an API server, of which it knows nothing, allows nothing; one that once knew goes on from its disk, says
/// how old that is, and for a while only.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_the_api_server_goes_on_from_disk_visibly_stale_and_for_a_while() {
    let mut world = World::without_gateway().await;
    let (signed, unsigned) = world.by_authority();
    let policy = world.policy("v1beta1", "acme", "registry.example/acme/**");

    // The first start of all.
    world.plane.stop_api_server();
    world.start().await;
    until("it is not said why", async || {
        let (status, said) = world.readiness().await;
        status == 503 && said.contains("policies are not synced")
    })
    .await;
    let denial = world.gateway().denial(&signed).await;
    assert!(denial.contains("policies are not synced"), "{denial}");
    let reply = world.gateway().get(&format!("/v2/{}", signed.replacen('@', "/manifests/", 1))).await;
    assert_eq!(reply.status, 503, "{reply:?}");

    // It comes, with a policy.
    world.plane.start_api_server().await;
    world.plane.apply(&policy);
    world.until_ready().await;
    until("the policy is not in force", async || world.gateway().denial(&signed).await.is_empty()).await;
    assert!(world.gateway().denial(&unsigned).await.contains("failed policy: acme"));
    assert_eq!(world.readiness().await, (200, "ready".to_owned()));

    // It goes, and everything stays as it is, and is said to be old.
    world.plane.stop_api_server();
    until("nobody notices", async || world.readiness().await.1.contains("policies are stale")).await;
    assert_eq!(world.gateway().denial(&signed).await, "");
    assert!(world.gateway().denial(&unsigned).await.contains("failed policy: acme"));
    let metrics = String::from_utf8(world.gateway().admin("/metrics").await.bytes().to_vec()).unwrap();
    assert!(metrics.contains("countersign_policies_heard_timestamp_seconds"), "{metrics}");

    // So does it after a restart.
    world.stop_gateway().await;
    world.start().await;
    world.until_ready().await;
    assert!(world.readiness().await.1.contains("policies are stale"), "{:?}", world.readiness().await);
    assert_eq!(world.gateway().denial(&signed).await, "");
    assert!(world.gateway().denial(&unsigned).await.contains("failed policy: acme"));
    world.stop_gateway().await;

    // What is too old is believed no more.
    let copy = world.copy();
    let long_ago = SystemTime::now() - Duration::from_secs(25 * 3600);
    std::fs::File::options().append(true).open(&copy).unwrap().set_modified(long_ago).unwrap();
    world.start().await;
    until("it is believed", async || {
        let (status, said) = world.readiness().await;
        status == 503 && said.contains("policies are too old")
    })
    .await;
    assert!(world.gateway().denial(&signed).await.contains("policies are too old"));

    // Neither is what somebody changed.
    world.stop_gateway().await;
    let text = std::fs::read_to_string(&copy).unwrap();
    std::fs::write(&copy, text.replace("registry.example/acme", "registry.example/none")).unwrap();
    world.start_with(", staleFor: 240h").await;
    until("it is believed", async || world.readiness().await.1.contains("policies are not synced")).await;

    // The API server is heard again, and all is well.
    world.plane.start_api_server().await;
    world.until_ready().await;
    assert_eq!(world.gateway().denial(&signed).await, "");
    world.stop().await;
}

/// Under a stream of questions the API server and etcd are stopped and started again, and policies change in between. Nothing
/// is let in that nobody signed, and nothing after the policy that let it in is gone.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_let_in_that_a_fresh_look_would_refuse_while_the_cluster_fails() {
    let mut world = World::without_gateway().await;
    world.start().await;
    world.until_ready().await;
    world.hook();
    world.plane.does(&["label", "namespace", "default", "policy.sigstore.dev/include=true"]);
    let (signed, unsigned) = world.by_authority();
    let policy = world.policy("v1beta1", "acme", "registry.example/acme/**");
    for round in 0..3 {
        world.plane.apply(&policy);
        world.until_admitted(&signed).await;
        assert!(world.asked(&unsigned).is_err());
        match round {
            0 => world.plane.stop_etcd(),
            1 => world.plane.stop_api_server(),
            _ => {
                world.plane.stop_api_server();
                world.plane.stop_etcd();
            }
        }
        // The door itself is asked, since nobody can create anything now.
        let gateway = world.gateway();
        let asking = async {
            for _ in 0..200 {
                let denial = gateway.denial(&unsigned).await;
                assert!(!denial.is_empty(), "an image that nobody signed was let in");
                assert_eq!(gateway.denial(&signed).await, "", "the last good policies are in force no more");
            }
        };
        asking.await;
        match round {
            0 => world.plane.start_etcd().await,
            1 => world.plane.start_api_server().await,
            _ => {
                world.plane.start_etcd().await;
                world.plane.start_api_server().await;
            }
        }
        until("the cluster does not come back", async || {
            world.plane.kubectl(&["delete", "cip", "acme"]).status.success()
        })
        .await;
        // In force for the next question, not for one that a watch has yet to be granted for.
        world.until_refused_with(&signed, "no matching policies").await;
        for _ in 0..20 {
            assert!(world.asked(&signed).is_err(), "a policy that was deleted lets something in");
        }
        until("it is not heard again", async || world.readiness().await == (200, "ready".to_owned())).await;
    }
    world.stop().await;
}
