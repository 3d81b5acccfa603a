//! Images that are made to be fetched through the gateway, and those that name it already.

use serde_json::{Value, json};

use super::admission::mutate_review;
use super::stage::{HOST, Stage, pod, review};

const KEYS: &str = "admission.rewrite: {registry: gateway.example}";

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_becomes_the_gateway_and_the_image_is_judged_under_its_origins_name() {
    let stage = Stage::new().await;
    let signed = stage.signed(1, "acme/app", "v1").digest();
    let unsigned = stage.unsigned(2, "acme/app", "v2").digest();
    let gateway = stage.gateway_with(KEYS).await;
    for (written, becomes) in [
        (format!("{HOST}/acme/app:v1"), format!("gateway.example/{HOST}/acme/app:v1@{signed}")),
        (format!("{HOST}/acme/app@{signed}"), format!("gateway.example/{HOST}/acme/app@{signed}")),
        (
            format!("gateway.example/{HOST}/acme/app:v1"),
            format!("gateway.example/{HOST}/acme/app:v1@{signed}"),
        ),
        (format!("{HOST}/acme/app:v2"), format!("gateway.example/{HOST}/acme/app:v2@{unsigned}")),
    ] {
        let patch = mutate_review(&gateway, &review(&pod(&[&written]))).await;
        assert_eq!(patch[1]["value"], json!(becomes), "{written}: {patch}");
        let again = mutate_review(&gateway, &review(&pod(&[&becomes]))).await;
        assert_eq!((&again["allowed"], &again["patch"]), (&json!(true), &Value::Null), "{becomes}");
    }
    assert_eq!(gateway.denial(&format!("gateway.example/{HOST}/acme/app@{signed}")).await, "");
    let denial = gateway.denial(&format!("gateway.example/{HOST}/acme/app@{unsigned}")).await;
    let own = format!("failed policy: acme-is-signed: spec.containers[0].image\n{HOST}/acme/app@{unsigned} ");
    assert!(denial.contains(&own), "{denial}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_does_not_pull_stays_and_so_does_what_is_only_recognised() {
    let stage = Stage::new().await;
    let signed = stage.signed(1, "acme/app", "v1").digest();
    let gateway = stage.gateway_with(KEYS).await;
    let other = format!("elsewhere.example/app@{signed}");
    let response = mutate_review(&gateway, &review(&pod(&[&other]))).await;
    assert_eq!((&response["allowed"], &response["patch"]), (&json!(true), &Value::Null));
    gateway.stop().await;
    let gateway = stage.gateway_with(&format!("{KEYS}\nadmission.mutate: none")).await;
    let response = mutate_review(&gateway, &review(&pod(&[&format!("{HOST}/acme/app:v1")]))).await;
    assert_eq!(response["patch"], Value::Null);
    assert_eq!(gateway.denial(&format!("gateway.example/{HOST}/acme/app@{signed}")).await, "");
}
