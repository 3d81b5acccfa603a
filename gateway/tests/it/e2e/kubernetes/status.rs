//! What objects are told to be, by one replica for all.

use super::world::{World, until};

#[tokio::test(flavor = "multi_thread")]
async fn one_replica_tells_what_came_of_each_object_and_another_takes_over() {
    let mut world = World::without_gateway().await;
    world.start().await;
    world.until_ready().await;
    // No webhook is there, so the API server stores what the parser refuses.
    let odd = "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: odd}\n\
               spec: {images: [{glob: 'registry.example/**'}], authorities: [{keyless: {identities: []}}]}\n";
    world.plane.apply(odd);
    world.until_told("odd", "False").await;
    let told = world.told("odd");
    assert_eq!(told["reason"], "Refused");
    assert!(told["message"].as_str().unwrap().contains("spec.authorities[0].keyless.identities"), "{told}");
    let (signed, _) = world.by_authority();
    let denial = world.gateway().denial(&signed).await;
    assert!(denial.contains("failed policy: odd"), "{denial}");
    let events = world.plane.does(&["get", "events", "-o", "jsonpath={.items[*].reason}"]);
    assert!(events.contains("Refused"), "{events}");
    let listed = world.plane.does(&["get", "cip"]);
    assert!(listed.contains("False") && listed.contains("Refused"), "{listed}");

    // It is mended, and the same object says so.
    world.plane.apply(&world.policy("v1beta1", "odd", "registry.example/acme/**"));
    world.until_told("odd", "True").await;
    until("it is not in force", async || world.gateway().denial(&signed).await.is_empty()).await;
    let images = world.plane.does(&["get", "cip", "odd", "-o", "jsonpath={.status.images}"]);
    assert_eq!(images, "1");

    // The next process takes the lease once the last one let it lapse.
    let holder = || {
        world.plane.does(&[
            "get",
            "lease",
            "countersign",
            "-n",
            "cosign-system",
            "-o",
            "jsonpath={.spec.holderIdentity}",
        ])
    };
    assert!(!holder().is_empty());
    world.stop_gateway().await;
    world.plane.does(&[
        "patch",
        "lease",
        "countersign",
        "-n",
        "cosign-system",
        "--type=merge",
        "-p",
        r#"{"spec":{"holderIdentity":"another_1","leaseDurationSeconds":2}}"#,
    ]);
    world.start().await;
    world.until_ready().await;
    world.plane.apply(&world.policy("v1beta1", "later", "registry.example/later/**"));
    world.until_told("later", "True").await;
    world.stop().await;
}
