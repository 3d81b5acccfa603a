//! What could not be told, what is remembered, and what survives.

use std::time::Duration;

use http::Method;
use oci::Digest;
use serde_json::json;
use testkit::authority::SignatureManifest;
use testkit::registry::Fault;

use super::stage::{HOST, POLICY, Stage, release};

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_fails_gives_no_verdict_and_nothing_is_remembered() {
    let stage = Stage::new().await;
    let digest = stage.signed(1, "acme/app", "v1").digest();
    let gateway = stage.gateway().await;
    let path = format!("/v2/{HOST}/acme/app/manifests/{digest}");
    let image = format!("{HOST}/acme/app@{digest}");
    let tag = SignatureManifest::tag_for(&digest);
    for fault in [
        Fault::Status(500),
        Fault::Status(503),
        Fault::Status(429),
        Fault::Status(401),
        Fault::Status(403),
        Fault::Reset,
    ] {
        let tag = tag.clone();
        stage.origin.fault(move |seen| seen.path.ends_with(&tag), fault.clone());
        let reply = gateway.get(&path).await;
        assert_eq!(reply.status, 503, "{fault:?}: {reply:?}");
        assert!(!reply.header("retry-after").is_empty());
        let response = gateway.validate(&[&image]).await;
        assert_eq!(
            (&response["allowed"], &response["status"]["code"]),
            (&json!(false), &json!(503)),
            "{fault:?}"
        );
        stage.origin.clear_faults();
    }
    assert_eq!(gateway.get(&path).await.status, 200);
    assert_eq!(gateway.denial(&image).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_fails_gives_no_verdict() {
    let stage = Stage::new().await;
    let digest = stage.signed(1, "acme/app", "v1").digest();
    let gateway = stage.gateway().await;
    let path = format!("/v2/{HOST}/acme/app/manifests/{digest}");
    stage.origin.fault(testkit::registry::Seen::is_blob, Fault::Status(502));
    assert_eq!(gateway.get(&path).await.status, 503);
    stage.origin.clear_faults();
    assert_eq!(gateway.get(&path).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_stalls_is_answered_for_within_the_reviews_time() {
    let stage = Stage::new().await;
    let digest = stage.signed(1, "acme/app", "v1").digest();
    let gateway = stage.gateway().await;
    stage.origin.fault(|seen| seen.path.ends_with(".sig"), Fault::Hang);
    let body = super::stage::review(&super::stage::pod(&[&format!("{HOST}/acme/app@{digest}")])).to_string();
    let answer =
        tokio::time::timeout(Duration::from_secs(5), gateway.post("/admission/validate?timeout=1s", body));
    let response = answer.await.expect("an explicit answer before the API server gives up").json();
    assert_eq!(response["response"]["allowed"], json!(false));
    assert_eq!(response["response"]["status"]["code"], json!(503));
    stage.origin.clear_faults();
    stage.origin.release();
    // The work that outlasted the review was not thrown away, nor did it fail those who come next.
    assert_eq!(gateway.get(&format!("/v2/{HOST}/acme/app/manifests/{digest}")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_forgets_nothing_and_needs_no_registry() {
    let stage = Stage::new().await;
    let image = stage.signed(1, "acme/app", "v1");
    let gateway = stage.gateway().await;
    let manifest = format!("/v2/{HOST}/acme/app/manifests/{}", image.digest());
    let blob = format!("/v2/{HOST}/acme/app/blobs/{}", Digest::of(&image.layers[0]));
    assert_eq!(gateway.get(&manifest).await.status, 200);
    assert_eq!(gateway.get(&blob).await.status, 200);
    gateway.stop().await;

    stage.origin.fault(|_| true, Fault::Reset);
    stage.origin.clear_requests();
    let gateway = stage.gateway().await;
    assert_eq!(gateway.denial(&format!("{HOST}/acme/app@{}", image.digest())).await, "");
    assert_eq!(gateway.get(&blob).await.bytes(), &image.layers[0]);
    assert_eq!(gateway.get(&manifest).await.bytes(), &image.manifest);
    assert_eq!(stage.origin.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_changed_across_a_restart_are_in_force() {
    let stage = Stage::new().await;
    let digest = stage.signed(1, "acme/app", "v1").digest();
    let image = format!("{HOST}/acme/app@{digest}");
    let gateway = stage.gateway().await;
    assert_eq!(gateway.denial(&image).await, "");
    gateway.stop().await;
    stage.policy("acme.yaml", &POLICY.replace("release.yaml", "another.yaml"));
    let gateway = stage.gateway().await;
    assert!(gateway.denial(&image).await.contains("none of the expected identities matched"));
    gateway.stop().await;

    // Another trust root knows nothing of what the first one vouched for.
    stage.policy("acme.yaml", POLICY);
    let stranger = testkit::authority::Authority::new("stranger").trusted_root();
    std::fs::write(stage.directory.path().join("trusted_root.json"), stranger).unwrap();
    let gateway = stage.gateway().await;
    assert!(gateway.denial(&image).await.contains("no matching signatures"));
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_who_asks_at_once_shares_one_discovery_and_one_fetch() {
    let stage = Stage::new().await;
    let image = stage.signed(1, "acme/app", "v1");
    let gateway = stage.gateway().await;
    let path = format!("/v2/{HOST}/acme/app/manifests/{}", image.digest());
    let blob = format!("/v2/{HOST}/acme/app/blobs/{}", Digest::of(&image.layers[1]));
    let replies = futures_util::future::join_all((0..50).map(|_| gateway.get(&path))).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    let replies = futures_util::future::join_all((0..50).map(|_| gateway.get(&blob))).await;
    assert!(replies.iter().all(|reply| reply.bytes() == &image.layers[1]));
    let ends = |suffix: String| stage.origin.count(move |seen| seen.path.ends_with(&suffix));
    assert_eq!(ends(format!("/manifests/{}", image.digest())), 1);
    assert_eq!(ends(format!("/referrers/{}", image.digest())), 1);
    assert_eq!(ends(".sig".into()), 1);
    assert_eq!(ends(Digest::of(&image.layers[1]).to_string()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_cancels_nothing() {
    let stage = Stage::new().await;
    let image = stage.signed(1, "acme/app", "v1");
    let gateway = std::sync::Arc::new(stage.gateway().await);
    stage.origin.fault(|seen| seen.path.ends_with(".sig"), Fault::Hang);
    let path = format!("/v2/{HOST}/acme/app/manifests/{}", image.digest());
    let first = tokio::spawn({
        let (gateway, path) = (gateway.clone(), path.clone());
        async move { gateway.get(&path).await }
    });
    stage.origin.reached(".sig").await;
    first.abort();
    stage.origin.clear_faults();
    stage.origin.release();
    assert_eq!(gateway.get(&path).await.status, 200);
    assert_eq!(stage.origin.count(|seen| seen.path.ends_with(".sig")), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_answers_what_is_under_way() {
    let stage = Stage::new().await;
    let image = stage.signed(1, "acme/app", "v1");
    let gateway = stage.gateway().await;
    assert_eq!(gateway.admin("/readyz").await.status, 200);
    assert_eq!(gateway.admin("/livez").await.status, 200);
    let metrics = String::from_utf8(gateway.admin("/metrics").await.bytes().to_vec()).unwrap();
    assert!(metrics.contains("countersign_policies 1"), "{metrics}");
    stage.origin.fault(|seen| seen.path.ends_with(".sig"), Fault::Hang);
    let url = format!("http://{}/v2/{HOST}/acme/app/manifests/{}", gateway.registry(), image.digest());
    let pull = tokio::spawn(async move {
        let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
            .build_http::<http_body_util::Full<bytes::Bytes>>();
        client
            .request(http::Request::builder().method(Method::GET).uri(url).body(Default::default()).unwrap())
            .await
    });
    stage.origin.reached(".sig").await;
    let stopped = tokio::spawn(gateway.stop());
    stage.origin.clear_faults();
    stage.origin.release();
    assert_eq!(pull.await.unwrap().unwrap().status(), 200);
    stopped.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_after_a_denial_is_seen() {
    let stage = Stage::new().await;
    let digest = stage.unsigned(1, "acme/app", "v1").digest();
    let gateway = stage.gateway().await;
    let image = format!("{HOST}/acme/app@{digest}");
    assert!(gateway.denial(&image).await.contains("no signatures found"));
    stage.sign("acme/app", &digest, &release());
    // "No signature there" is believed for half a minute and by this process alone.
    gateway.stop().await;
    let gateway = stage.gateway().await;
    assert_eq!(gateway.denial(&image).await, "");
}
