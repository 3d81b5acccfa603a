//! Tags: what they cost, and what they mean when nobody can be asked.

use base64::Engine as _;
use http::Method;
use oci::Digest;
use serde_json::{Value, json};
use testkit::registry::{Fault, Seen};

use super::stage::{Gateway, HOST, Stage, pod, review};

const STALE: &str = "registry.staleTags: {for: 1h}";

fn by_tag(seen: &Seen, method: &Method) -> bool {
    seen.method == *method && seen.is_manifest() && !seen.path.contains("sha256")
}

/// That a tag cannot be asked about, and in which way.
fn fails(stage: &Stage, tag: &str, fault: Fault) {
    let end = format!("/manifests/{tag}");
    stage.origin.fault(move |seen| seen.path.ends_with(&end), fault);
}

async fn figure(gateway: &Gateway, name: &str) -> String {
    let metrics = String::from_utf8(gateway.admin("/metrics").await.bytes().to_vec()).unwrap();
    metrics.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned())).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_asked_about_by_head_and_its_manifest_is_fetched_once() {
    let stage = Stage::new().await;
    stage.signed(1, "acme/app", "v1");
    let gateway = stage.gateway().await;
    for _ in 0..3 {
        assert_eq!(gateway.get(&format!("/v2/{HOST}/acme/app/manifests/v1")).await.status, 200);
    }
    assert_eq!(stage.origin.count(|seen| by_tag(seen, &Method::HEAD)), 3);
    assert_eq!(stage.origin.count(|seen| by_tag(seen, &Method::GET)), 0, "that would count as a pull");
    gateway.stop().await;

    stage.origin.clear_requests();
    let gateway = stage.gateway_with("registry.tagFreshness: 1h").await;
    for _ in 0..3 {
        assert_eq!(gateway.get(&format!("/v2/{HOST}/acme/app/manifests/v1")).await.status, 200);
    }
    assert_eq!(stage.origin.count(|seen| by_tag(seen, &Method::HEAD)), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_whose_registry_cannot_be_asked_is_what_it_last_meant_where_that_is_configured() {
    let stage = Stage::new().await;
    let faults = [
        ("a", Fault::Status(429)),
        ("b", Fault::Status(500)),
        ("c", Fault::Status(503)),
        ("d", Fault::Reset),
    ];
    for (seed, (tag, _)) in (1..).zip(&faults) {
        stage.signed(seed, "acme/app", tag);
    }
    let gateway = stage.gateway_with(STALE).await;
    let path = |tag: &str| format!("/v2/{HOST}/acme/app/manifests/{tag}");
    for (tag, fault) in &faults {
        let fresh = gateway.get(&path(tag)).await;
        assert_eq!((fresh.status.as_u16(), fresh.header("countersign-stale")), (200, ""));
        fails(&stage, tag, fault.clone());
        let stale = gateway.get(&path(tag)).await;
        assert_eq!((stale.status.as_u16(), stale.bytes()), (200, fresh.bytes()), "{fault:?}");
        assert!(!stale.header("countersign-stale").is_empty(), "{fault:?}");
        assert!(stale.header("warning").starts_with("110 "), "{fault:?}");
    }
    assert_ne!(figure(&gateway, "countersign_stale_tags_total").await, "");
    gateway.stop().await;

    // A restart forgets nothing, and what was not asked for is not given.
    let gateway = stage.gateway_with(STALE).await;
    assert_eq!(gateway.get(&path("a")).await.status, 200);
    gateway.stop().await;
    let gateway = stage.gateway().await;
    for (tag, fault) in &faults {
        let reply = gateway.get(&path(tag)).await;
        assert_eq!(reply.status, 503, "{fault:?}");
        assert!(!reply.header("retry-after").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_is_gone_is_gone() {
    let stage = Stage::new().await;
    stage.signed(1, "acme/app", "v1");
    let gateway = stage.gateway_with(STALE).await;
    let path = format!("/v2/{HOST}/acme/app/manifests/v1");
    assert_eq!(gateway.get(&path).await.status, 200);
    stage.origin.remove_tag("acme/app", "v1");
    assert_eq!(gateway.get(&path).await.status, 404);
    fails(&stage, "v1", Fault::Status(500));
    assert_eq!(gateway.get(&path).await.status, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn access_that_is_refused_takes_the_tag_and_the_links_with_it() {
    for status in [401, 403] {
        let stage = Stage::new().await;
        let image = stage.signed(1, "acme/app", "v1");
        let other = stage.signed(2, "acme/other", "v1");
        let gateway = stage.gateway_with(STALE).await;
        let manifest = |version: &str| format!("/v2/{HOST}/acme/app/manifests/{version}");
        let blob = format!("/v2/{HOST}/acme/app/blobs/{}", Digest::of(&image.layers[0]));
        let digest = image.digest().to_string();
        for path in
            [manifest("v1"), manifest(&digest), blob.clone(), format!("/v2/{HOST}/acme/other/manifests/v1")]
        {
            assert_eq!(gateway.get(&path).await.status, 200, "{path}");
        }
        stage.origin.fault(|seen| seen.path.contains("/acme/app/"), Fault::Status(status));
        let refused = gateway.get(&manifest("v1")).await;
        assert_eq!(
            (refused.status.as_u16(), refused.header("countersign-reason")),
            (403, "upstream-unauthorized")
        );
        assert_eq!(gateway.get(&blob).await.status, 404, "{status}");
        assert_eq!(gateway.get(&manifest(&digest)).await.status, 403, "{status}");
        stage.origin.clear_faults();
        fails(&stage, "v1", Fault::Status(500));
        assert_eq!(gateway.get(&manifest("v1")).await.status, 503, "nothing of it is left to be stale");
        let other = format!("/v2/{HOST}/acme/other/manifests/{}", other.digest());
        assert_eq!(gateway.get(&other).await.status, 200, "another repository is another matter");
        assert_eq!(gateway.get(&manifest(&digest)).await.status, 200, "and it comes back with the access");
        assert_eq!(gateway.get(&blob).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn admission_pins_a_stale_tag_and_says_so() {
    let stage = Stage::new().await;
    let image = stage.signed(1, "acme/app", "v1");
    let gateway = stage.gateway_with(STALE).await;
    let name = format!("{HOST}/acme/app:v1");
    let mutate = async || {
        let reply = gateway.post("/admission/mutate", review(&pod(&[&name])).to_string()).await;
        reply.json()["response"].clone()
    };
    assert_eq!(mutate().await["warnings"], json!(null));
    fails(&stage, "v1", Fault::Status(500));
    let response = mutate().await;
    assert_eq!(response["allowed"], json!(true), "{response}");
    let patch =
        base64::engine::general_purpose::STANDARD.decode(response["patch"].as_str().unwrap()).unwrap();
    let patch: Value = serde_json::from_slice(&patch).unwrap();
    assert_eq!(patch[1]["value"], format!("{name}@{}", image.digest()));
    let said = response["warnings"][0].as_str().unwrap().to_owned();
    assert!(said.contains(&name) && said.contains("cannot be asked"), "{said}");

    let template = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"template": {"spec": {"containers": [{"name": "c", "image": name}]}}},
    });
    let reply = gateway.post("/admission/validate", review(&template).to_string()).await;
    let response = reply.json()["response"].clone();
    assert_eq!(response["allowed"], json!(true), "{response}");
    assert!(response["warnings"][0].as_str().unwrap().contains("cannot be asked"), "{response}");
}
