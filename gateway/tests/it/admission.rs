//! The admission door: every kind, policy-controller's words, and a clear answer to bad input.

use base64::Engine as _;
use http::Method;
use serde_json::{Value, json};
use testkit::authority::Identity;

use super::stage::{Gateway, HOST, Stage, pod, review};

const ZEROS: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_no_policy_matches_is_denied_in_the_guides_words() {
    let stage = Stage::new().await;
    let gateway = stage.gateway().await;
    let denial = gateway.denial(&format!("nginx@{ZEROS}")).await;
    let image = format!("index.docker.io/library/nginx@{ZEROS}");
    assert_eq!(denial, format!("validation failed: no matching policies: spec.containers[0].image\n{image}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_image_is_allowed_and_an_unsigned_one_is_denied_with_its_policy() {
    let stage = Stage::new().await;
    let signed = stage.signed(1, "acme/app", "v1").digest();
    let unsigned = stage.unsigned(2, "acme/app", "v2").digest();
    let gateway = stage.gateway().await;
    let image = format!("{HOST}/acme/app@{signed}");
    assert_eq!(gateway.denial(&image).await, "");
    let other = format!("{HOST}/acme/app@{unsigned}");
    let denial = gateway.denial(&other).await;
    let (words, decision) = denial.rsplit_once('\n').unwrap();
    assert_eq!(
        words,
        format!(
            "validation failed: failed policy: acme-is-signed: spec.containers[0].image\n{other} \
             signature keyless validation failed for authority authority-0 for {other}: no signatures found"
        )
    );
    assert!(decision.starts_with("decision "), "{decision}");
    let both = gateway.validate(&[&image, &other]).await;
    assert_eq!(both["allowed"], json!(false));
    assert_eq!(both["status"]["reason"], json!("BadRequest"));
    assert!(both["status"]["message"].as_str().unwrap().contains("spec.containers[1].image"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_signer_is_named() {
    let stage = Stage::new().await;
    let digest = stage.unsigned(1, "acme/app", "v1").digest();
    stage.sign("acme/app", &digest, &Identity::email("https://accounts.example", "eve@example.com"));
    let gateway = stage.gateway().await;
    let denial = gateway.denial(&format!("{HOST}/acme/app@{digest}")).await;
    assert!(
        denial.contains(
            "none of the expected identities matched what was in the certificate, got subjects [eve@example.com] \
             with issuer https://accounts.example"
        ),
        "{denial}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_that_makes_pods_is_looked_into() {
    let stage = Stage::new().await;
    let unsigned = stage.unsigned(1, "acme/app", "v1").digest();
    let signed = stage.signed(2, "acme/app", "v2").digest();
    let gateway = stage.gateway().await;
    for (image, allowed) in
        [(format!("{HOST}/acme/app@{signed}"), true), (format!("{HOST}/acme/app@{unsigned}"), false)]
    {
        for object in objects(&image) {
            let reply = gateway.post("/admission/validate", review(&object).to_string()).await;
            let response = &reply.json()["response"];
            assert_eq!(response["allowed"], json!(allowed), "{} {response}", object["kind"]);
            assert_eq!(response["uid"], json!("0b4e1c2a"));
        }
    }
}

/// The same Pod in every kind, its image in every list.
fn objects(image: &str) -> Vec<Value> {
    let image = json!([{"name": "c", "image": image}]);
    let specs = ["containers", "initContainers", "ephemeralContainers"].map(|list| json!({list: image}));
    let volume = json!({"volumes": [{"name": "v", "image": {"reference": image[0]["image"]}}]});
    let template = json!({"spec": specs[0]});
    let with_template = |api_version: &str, kind: &str| json!({"apiVersion": api_version, "kind": kind, "spec": {"template": template}});
    let mut objects: Vec<Value> = specs
        .iter()
        .chain([&volume])
        .map(|spec| json!({"apiVersion": "v1", "kind": "Pod", "spec": spec}))
        .collect();
    objects.extend([
        with_template("v1", "ReplicationController"),
        with_template("apps/v1", "Deployment"),
        with_template("apps/v1", "ReplicaSet"),
        with_template("apps/v1", "StatefulSet"),
        with_template("apps/v1", "DaemonSet"),
        with_template("batch/v1", "Job"),
        json!({"apiVersion": "v1", "kind": "PodTemplate", "template": template}),
        json!({"apiVersion": "batch/v1", "kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": template}}}}),
    ]);
    objects
}

async fn mutate(gateway: &Gateway, object: &Value) -> Value {
    mutate_review(gateway, &review(object)).await
}

/// The patch that a review is answered with, or the answer where there is none.
pub(crate) async fn mutate_review(gateway: &Gateway, review: &Value) -> Value {
    let reply = gateway.post("/admission/mutate", review.to_string()).await;
    let response = reply.json()["response"].clone();
    if let Some(patch) = response["patch"].as_str() {
        assert_eq!(response["patchType"], json!("JSONPatch"));
        let patch = base64::engine::general_purpose::STANDARD.decode(patch).unwrap();
        return serde_json::from_slice(&patch).unwrap();
    }
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_of_pods_become_digests_and_templates_stay_as_they_are() {
    let stage = Stage::new().await;
    let digest = stage.signed(1, "acme/app", "v1").digest();
    let gateway = stage.gateway().await;
    let image = format!("{HOST}/acme/app:v1");
    let patch = mutate(&gateway, &pod(&[&image])).await;
    assert_eq!(
        patch,
        json!([
            {"op": "test", "path": "/spec/containers/0/image", "value": image},
            {"op": "replace", "path": "/spec/containers/0/image", "value": format!("{image}@{digest}")},
        ])
    );
    let pinned = format!("{image}@{digest}");
    assert_eq!(
        mutate(&gateway, &pod(&[&pinned])).await["allowed"],
        json!(true),
        "a second time changes nothing"
    );
    assert_eq!(gateway.denial(&pinned).await, "");

    let deployment = objects(&image).into_iter().find(|object| object["kind"] == "Deployment").unwrap();
    assert_eq!(mutate(&gateway, &deployment).await["patch"], Value::Null);
    let validated = gateway.post("/admission/validate", review(&deployment).to_string()).await;
    assert_eq!(
        validated.json()["response"]["allowed"],
        json!(true),
        "a template's tag is resolved and judged"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_not_pinned_is_denied() {
    let stage = Stage::new().await;
    stage.signed(1, "acme/app", "v1");
    let gateway = stage.gateway_with("admission.mutate: none").await;
    let image = format!("{HOST}/acme/app:v1");
    assert_eq!(mutate(&gateway, &pod(&[&image])).await["patch"], Value::Null);
    assert_eq!(
        gateway.denial(&image).await,
        format!(
            "validation failed: invalid value: {image} must be an image digest: spec.containers[0].image"
        )
    );
    assert_eq!(
        gateway.denial("Not An Image").await,
        "validation failed: could not parse reference: Not An Image: spec.containers[0].image"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_means_nothing_is_denied_with_why() {
    let stage = Stage::new().await;
    let gateway = stage.gateway().await;
    let response = mutate(&gateway, &pod(&[&format!("{HOST}/acme/app:missing")])).await;
    assert_eq!(response["allowed"], json!(false));
    let message = response["status"]["message"].as_str().unwrap();
    assert!(message.contains("could not be resolved to a digest: spec.containers[0].image"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_in_warn_mode_changes_the_response_and_not_the_verdict() {
    let stage = Stage::new().await;
    let digest = stage.unsigned(1, "acme/app", "v1").digest();
    let policy = super::stage::POLICY.replace("spec:", "spec:\n  mode: warn");
    stage.policy("acme.yaml", &policy);
    let gateway = stage.gateway().await;
    let response = gateway.validate(&[&format!("{HOST}/acme/app@{digest}")]).await;
    assert_eq!(response["allowed"], json!(true));
    assert_eq!(response["warnings"][0], json!("failed policy: acme-is-signed: spec.containers[0].image"));
    let pulled = gateway.get(&format!("/v2/{HOST}/acme/app/manifests/v1")).await;
    assert_eq!((pulled.status.as_u16(), pulled.header("countersign-reason")), (200, "warned"));
    assert!(pulled.header("warning").contains("acme-is-signed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_matching_policy_must_be_satisfied() {
    let stage = Stage::new().await;
    let digest = stage.signed(1, "acme/app", "v1").digest();
    let second =
        super::stage::POLICY.replace("acme-is-signed", "second").replace("release.yaml", "other.yaml");
    stage.policy("second.yaml", &second);
    let gateway = stage.gateway().await;
    let denial = gateway.denial(&format!("{HOST}/acme/app@{digest}")).await;
    assert!(denial.contains("failed policy: second"), "{denial}");
    assert!(!denial.contains("acme-is-signed"), "{denial}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_starts_nothing_passes() {
    let stage = Stage::new().await;
    let gateway = stage.gateway().await;
    let mut question = review(&pod(&["unsigned"]));
    for (operation, part, allowed) in [
        ("DELETE", "", true),
        ("UPDATE", "status", true),
        ("UPDATE", "", false),
        ("UPDATE", "ephemeralcontainers", false),
    ] {
        question["request"]["operation"] = json!(operation);
        question["request"]["subResource"] = json!(part);
        let reply = gateway.post("/admission/validate", question.to_string()).await;
        assert_eq!(reply.json()["response"]["allowed"], json!(allowed), "{operation} {part}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_gets_a_clear_error() {
    let stage = Stage::new().await;
    let gateway = stage.gateway().await;
    let mut other = review(&pod(&[]));
    other["apiVersion"] = json!("admission.k8s.io/v1beta1");
    for (body, status, says) in [
        ("{".to_owned(), 400, "no AdmissionReview"),
        ("[]".to_owned(), 400, "no AdmissionReview"),
        (other.to_string(), 400, "v1beta1"),
        (
            json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}).to_string(),
            400,
            "no request",
        ),
        (" ".repeat(9 * 1024 * 1024), 413, "larger than"),
    ] {
        let reply = gateway.post("/admission/validate", body).await;
        assert_eq!(reply.status.as_u16(), status);
        let text = String::from_utf8(reply.bytes().to_vec()).unwrap();
        assert!(text.contains(says), "{text}");
    }
    let unknown = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {}});
    let reply = gateway.post("/admission/validate", review(&unknown).to_string()).await;
    assert_eq!(reply.json()["response"]["allowed"], json!(false));
    let odd = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": {"image": "a"}}});
    let reply = gateway.post("/admission/validate", review(&odd).to_string()).await;
    assert_eq!(reply.json()["response"]["allowed"], json!(false));
    assert_eq!(gateway.post("/elsewhere", "{}").await.status, 404);
    assert_eq!(gateway.request(Method::GET, "/v2/", &[]).await.status, 200, "nothing changed");
}
