//! The webhooks' certificate, which the gateway keeps itself.

use super::world::{World, printed, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_is_made_injected_and_renewed_while_the_webhooks_answer() {
    let mut world = World::without_gateway().await;
    world.start().await;
    world.until_ready().await;
    world.plane.does(&["label", "namespace", "default", "policy.sigstore.dev/include=true"]);
    // Whoever labels these by mistake locks nobody out.
    for namespace in ["kube-system", "cosign-system"] {
        world.plane.does(&["label", "namespace", namespace, "policy.sigstore.dev/include=true"]);
    }
    let url = format!("https://127.0.0.1:{}", world.gateway().admission().port());
    world.plane.apply(&printed(&["webhooks", "--url", &url]));
    let image = format!("registry.example/acme/none@sha256:{}", "0".repeat(64));
    world.until_refused_with(&image, "no matching policies").await;
    let put = ["run", "free", "--image=nginx", "--dry-run=server", "-n"];
    for namespace in ["kube-system", "cosign-system"] {
        world.plane.does(&[put.as_slice(), &[namespace]].concat());
    }

    // Another configuration of the same name, without our label, is nobody's business here: see that it would be seen.
    let bundle = "jsonpath={.webhooks[0].clientConfig.caBundle}";
    let injected =
        || world.plane.does(&["get", "validatingwebhookconfiguration", "policy.sigstore.dev", "-o", bundle]);
    let first = injected();
    assert!(!first.is_empty());

    // It ends soon, so the next one is made, trusted and then shown; the API server is answered all the while.
    let secret = ["secret", "countersign-webhook", "-n", "cosign-system"];
    let shown =
        || world.plane.does(&[["get"].as_slice(), &secret, &["-o", r"jsonpath={.data.tls\.crt}"]].concat());
    let before = shown();
    let mut annotate = vec!["annotate", "--overwrite"];
    annotate.extend(secret);
    annotate.push("policy.countersign.dev/ends=1");
    world.plane.does(&annotate);
    let answered = async || {
        let refusal = world.asked(&image).unwrap_err();
        assert!(refusal.contains("no matching policies"), "{refusal}");
        shown() != before
    };
    until("no other certificate is shown", answered, String::new).await;
    assert_ne!(injected(), first);
    // Long enough for the door to show it.
    for _ in 0..10 {
        let refusal = world.asked(&image).unwrap_err();
        assert!(refusal.contains("no matching policies"), "{refusal}");
    }
    world.stop().await;
}
