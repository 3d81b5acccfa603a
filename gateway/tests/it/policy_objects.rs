//! Policies as Kubernetes keeps them: what is refused, filled in and converted before it is stored.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use serde_json::{Value, json};

use super::stage::{Gateway, Stage, shared};

const POLICIES: &str = "policy-controller/test/testdata/policy-controller";

/// The files of a folder, each as objects.
fn files(folder: &Path) -> Vec<(String, String, Vec<Value>)> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let yaml = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        (name, text, objects.into_iter().filter(|object| !object.is_null()).collect())
    };
    yaml.map(read).collect()
}

fn review(operation: &str, object: &Value) -> Value {
    let (group, version) = object["apiVersion"].as_str().unwrap().split_once('/').unwrap();
    let kind = json!({"group": group, "version": version, "kind": object["kind"]});
    let request = json!({"uid": "7", "kind": kind, "operation": operation, "name": "p", "object": object});
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
}

async fn asks(gateway: &Gateway, path: &str, review: &Value) -> Value {
    let reply = gateway.post(path, review.to_string()).await;
    let response = reply.json()["response"].clone();
    assert_eq!(response["uid"], "7");
    response
}

async fn validated(gateway: &Gateway, object: &Value) -> Value {
    asks(gateway, "/admission/policies/validate", &review("CREATE", object)).await
}

/// The object as it is once its defaults are written out.
async fn defaulted(gateway: &Gateway, object: &Value) -> Value {
    let response = asks(gateway, "/admission/policies/default", &review("CREATE", object)).await;
    assert_eq!(response["allowed"], true);
    let mut object = object.clone();
    if let Some(patch) = response["patch"].as_str() {
        let patch = base64::engine::general_purpose::STANDARD.decode(patch).unwrap();
        for operation in serde_json::from_slice::<Vec<Value>>(&patch).unwrap() {
            let (at, field) = operation["path"].as_str().unwrap().rsplit_once('/').unwrap();
            object.pointer_mut(at).unwrap()[field] = operation["value"].clone();
        }
    }
    object
}

#[tokio::test(flavor = "multi_thread")]
async fn what_policy_controller_refuses_is_refused_in_its_words() {
    let Some(data) = shared(POLICIES) else { return };
    let stage = Stage::new().await;
    let gateway = stage.gateway().await;
    let mut count = 0;
    for (name, text, objects) in files(&data.join("invalid")) {
        let mut said = String::new();
        for object in &objects {
            let object = defaulted(&gateway, object).await;
            let response = validated(&gateway, &object).await;
            if response["allowed"] == false {
                assert_eq!(
                    (&response["status"]["code"], &response["status"]["reason"]),
                    (&json!(400), &json!("BadRequest"))
                );
                let message = response["status"]["message"].as_str().unwrap();
                assert!(message.starts_with("validation failed: "), "{message}");
                said.push_str(message);
            }
        }
        for wanted in text.lines().filter_map(|line| line.strip_prefix("# ERROR:")) {
            let wanted = wanted.trim().trim_start_matches("validation failed: ");
            // The schema of the API server speaks before the webhook there.
            let wanted = match (wanted, name.trim_start_matches("v1beta1-")) {
                ("keyless.identities: Invalid value", "empty-keyref-and-keylessref.yaml") => "got both",
                ("keyless.identities: Invalid value", _) => "keyless.identities",
                _ => wanted,
            };
            assert!(said.contains(wanted), "{name}: {wanted:?} is not in {said:?}");
            count += 1;
        }
    }
    assert!(count >= 33, "{count}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_policy_controller_accepts_is_accepted_filled_in_once_and_converted_without_loss() {
    let Some(data) = shared(POLICIES) else { return };
    let stage = Stage::new().await;
    let gateway = stage.gateway().await;
    let mut count = 0;
    let folders = ["valid", "e2e", "tester"].map(|folder| files(&data.join(folder)));
    for (name, _, objects) in folders.into_iter().flatten() {
        let objects: Vec<_> = objects.into_iter().filter(|it| it["kind"] == "ClusterImagePolicy").collect();
        for object in &objects {
            let filled = defaulted(&gateway, object).await;
            assert!(filled["spec"]["mode"].is_string(), "{name}");
            assert_eq!(defaulted(&gateway, &filled).await, filled, "{name}");
            let response = validated(&gateway, &filled).await;
            assert_eq!(response["allowed"], true, "{name}: {response}");
            count += 1;
        }
        for version in ["policy.sigstore.dev/v1alpha1", "policy.sigstore.dev/v1beta1"] {
            let there = converted(&gateway, &objects, version).await["convertedObjects"].clone();
            for (object, converted) in objects.iter().zip(there.as_array().unwrap()) {
                let mut expected = object.clone();
                expected["apiVersion"] = version.into();
                assert_eq!(*converted, expected, "{name}");
            }
        }
    }
    assert!(count >= 40, "{count}");
}

async fn converted(gateway: &Gateway, objects: &[Value], version: &str) -> Value {
    let request = json!({"uid": "7", "desiredAPIVersion": version, "objects": objects});
    let review =
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "request": request});
    asks(gateway, "/admission/policies/convert", &review).await
}

fn cluster_policy(authority: &Value) -> Value {
    json!({
        "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "p"},
        "spec": {"images": [{"glob": "**"}], "authorities": [authority]},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn all_objects_of_a_conversion_are_converted_or_none() {
    let stage = Stage::new().await;
    let gateway = stage.gateway().await;
    let good = cluster_policy(&json!({"static": {"action": "pass"}}));
    let other = json!({"apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot"});
    let response = converted(&gateway, &[good, other], "policy.sigstore.dev/v1alpha1").await;
    assert_eq!(
        (&response["convertedObjects"], &response["result"]["status"]),
        (&json!([]), &json!("Failure"))
    );
    assert!(response["result"]["message"].as_str().unwrap().contains("TrustRoot"), "{response}");
    let reply = gateway.post("/admission/policies/convert", "{}").await;
    assert_eq!(reply.status, http::StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_and_status_pass_and_what_is_no_policy_does_not() {
    let stage = Stage::new().await;
    let gateway = stage.gateway().await;
    let wrong = cluster_policy(&json!({"static": {"action": "maybe"}}));
    let allowed = |review: Value| {
        let gateway = &gateway;
        async move { asks(gateway, "/admission/policies/validate", &review).await["allowed"].clone() }
    };
    assert_eq!(allowed(review("CREATE", &wrong)).await, false);
    assert_eq!(allowed(review("UPDATE", &wrong)).await, false);
    assert_eq!(allowed(review("DELETE", &wrong)).await, true);
    let mut status = review("UPDATE", &wrong);
    status["request"]["subResource"] = "status".into();
    assert_eq!(allowed(status).await, true);
    assert_eq!(
        allowed(review("CREATE", &json!({"apiVersion": "apps/v1", "kind": "Deployment"}))).await,
        false
    );
    // The kind that the request names and the object's own are not the same.
    let mut two_faced =
        review("CREATE", &json!({"apiVersion": "v1/v1", "kind": "ConfigMap", "metadata": {"name": "c"}}));
    two_faced["request"]["kind"] =
        json!({"group": "policy.countersign.dev", "version": "v1alpha1", "kind": "ImagePolicy"});
    assert_eq!(allowed(two_faced).await, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_kinds_are_checked_too_and_warnings_are_told() {
    let stage = Stage::new().await;
    let gateway = stage.gateway().await;
    let ours = |kind: &str, spec: Value| json!({"apiVersion": "policy.countersign.dev/v1alpha1", "kind": kind, "metadata": {"name": "p", "namespace": "shop"}, "spec": spec});
    let response =
        validated(&gateway, &ours("Revocation", json!({"digests": [{"digest": "sha256:1"}]}))).await;
    let message = response["status"]["message"].as_str().unwrap();
    assert!(
        message.contains("missing field(s): spec.reason") && message.contains("spec.digests[0].digest"),
        "{message}"
    );
    let tenant =
        json!({"images": [{"glob": "ghcr.io/acme/app:*"}], "authorities": [{"static": {"action": "fail"}}]});
    let response = validated(&gateway, &ours("ImagePolicy", tenant)).await;
    assert_eq!(response["allowed"], true, "{response}");
    assert!(response["warnings"][0].as_str().unwrap().contains("matches no image"), "{response}");
    // That a Secret is elsewhere in the cluster is nothing to be warned of.
    let named = cluster_policy(&json!({"key": {"secretRef": {"name": "k"}}}));
    let response = validated(&gateway, &named).await;
    assert_eq!((&response["allowed"], response.get("warnings")), (&json!(true), None), "{response}");
}
