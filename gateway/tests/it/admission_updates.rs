//! Updates, parts of objects and requests that are only tried out: what passes, what is judged, and what is left alone.

use serde_json::{Value, json};

use super::admission::mutate_review;
use super::stage::{Gateway, HOST, Stage, pod, review};

/// The review of an update.
pub(crate) fn update(old: &Value, new: &Value, part: &str) -> Value {
    let mut question = review(new);
    question["request"]["operation"] = json!("UPDATE");
    question["request"]["oldObject"] = old.clone();
    if !part.is_empty() {
        question["request"]["subResource"] = json!(part);
    }
    question
}

pub(crate) async fn validated(gateway: &Gateway, question: &Value) -> Value {
    let reply = gateway.post("/admission/validate", question.to_string()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["response"].clone()
}

async fn passes(gateway: &Gateway, question: &Value) -> bool {
    let response = validated(gateway, question).await;
    let reason = response["auditAnnotations"]["reason"].as_str();
    // Nothing that is not judged is told to be satisfied.
    assert_eq!(response["allowed"] == true, reason == Some("starts-nothing"), "{response}");
    response["allowed"] == true
}

fn deployment(image: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "labels": {"a": "b"}},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "c", "image": image}]}}},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_starts_nothing_passes_and_is_counted_and_every_other_is_judged() {
    let stage = Stage::new().await;
    let unsigned = stage.unsigned(1, "acme/app", "v1").digest();
    let gateway = stage.gateway().await;
    // It is there because it was before this namespace was asked about.
    let image = format!("{HOST}/acme/app@{unsigned}");
    let old = deployment(&image, 3);
    let mut labelled = old.clone();
    labelled["metadata"] = json!({"name": "d", "labels": {"a": "c"}, "finalizers": ["f"], "ownerReferences": [{"kind": "Trusted"}]});
    let mut restarted = old.clone();
    restarted["spec"]["template"]["metadata"] = json!({"annotations": {"restartedAt": "now"}});
    for (new, expected) in [
        (labelled, true),
        (deployment(&image, 1), true),
        (deployment(&image, 4), false),
        (restarted, false),
        (deployment(&format!("{HOST}/acme/app:v1"), 3), false),
        // Policy-controller lets this pass, because there are fewer.
        (deployment(&format!("{HOST}/acme/app:v1"), 1), false),
    ] {
        assert_eq!(passes(&gateway, &update(&old, &new, "")).await, expected, "{new}");
    }
    let metrics = String::from_utf8(gateway.admin("/metrics").await.bytes().to_vec()).unwrap();
    let passed = "countersign_reviews_passed_total{reason=\"starts-nothing\"} ";
    let count = metrics.lines().find_map(|line| line.strip_prefix(passed)).unwrap();
    assert!(count.parse::<u64>().unwrap() >= 2, "{count}");
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_hold_no_image_pass_and_those_that_do_are_judged() {
    let stage = Stage::new().await;
    let signed = format!("{HOST}/acme/app@{}", stage.signed(1, "acme/app", "v1").digest());
    let unsigned = format!("{HOST}/acme/app@{}", stage.unsigned(2, "acme/app", "v2").digest());
    let gateway = stage.gateway().await;
    let old = pod(&[&signed]);
    let mut debugged = old.clone();
    debugged["spec"]["ephemeralContainers"] = json!([{"name": "debug", "image": unsigned}]);
    let mut resized = old.clone();
    resized["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "1"}});
    let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 9}});
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "target": {"name": "node"}});
    for (question, allowed) in [
        (update(&old, &debugged, "ephemeralcontainers"), false),
        (update(&old, &debugged, ""), false),
        (update(&old, &debugged, "something-new"), false),
        (update(&old, &resized, "resize"), true),
        (update(&old, &debugged, "status"), true),
        (update(&scale, &scale, "scale"), true),
        (update(&binding, &binding, "binding"), true),
        // The object itself, of a kind whose images are not known.
        (update(&binding, &binding, ""), false),
    ] {
        assert_eq!(validated(&gateway, &question).await["allowed"], json!(allowed), "{question}");
    }
    let mut gone = review(&pod(&[&unsigned]));
    gone["request"]["operation"] = json!("DELETE");
    gone["request"]["object"] = json!(null);
    assert_eq!(validated(&gateway, &gone).await["allowed"], json!(true));
    gone["request"]["operation"] = json!("CONNECT");
    assert_eq!(validated(&gateway, &gone).await["allowed"], json!(true));
    gone["request"]["operation"] = json!("REPLACE");
    assert_eq!(gateway.post("/admission/validate", gone.to_string()).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_an_update_brings_is_pinned() {
    let stage = Stage::new().await;
    let signed = stage.signed(1, "acme/app", "v1").digest();
    let gateway = stage.gateway_with("admission.mutate: all").await;
    let image = format!("{HOST}/acme/app:v1");
    let old = deployment(&image, 1);
    let patch = mutate_review(&gateway, &update(&old, &deployment(&image, 2), "")).await;
    assert_eq!(patch["patch"], Value::Null, "its image is not what changed");
    let mut two = old.clone();
    two["spec"]["template"]["spec"]["initContainers"] = json!([{"name": "i", "image": image}]);
    let patch = mutate_review(&gateway, &update(&old, &two, "")).await;
    assert_eq!(patch.as_array().unwrap().len(), 2, "{patch}");
    assert_eq!(patch[1]["path"], json!("/spec/template/spec/initContainers/0/image"));
    assert_eq!(patch[1]["value"], json!(format!("{image}@{signed}")));

    // What a debugger adds to a Pod is pinned, and of the Pod itself nothing may be changed then.
    let (old, mut new) = (pod(&[&image]), pod(&[&image]));
    new["spec"]["ephemeralContainers"] = json!([{"name": "debug", "image": image}]);
    let patch = mutate_review(&gateway, &update(&old, &new, "ephemeralcontainers")).await;
    assert_eq!(patch.as_array().unwrap().len(), 2, "{patch}");
    assert_eq!(patch[1]["path"], json!("/spec/ephemeralContainers/0/image"));
    new["spec"]["ephemeralContainers"][0]["image"] = patch[1]["value"].clone();
    let response = validated(&gateway, &update(&old, &new, "ephemeralcontainers")).await;
    assert_eq!(response["allowed"], json!(true), "what ran before is not what the update starts: {response}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_only_tried_out_is_answered_and_leaves_no_trace() {
    let stage = Stage::new().await;
    let unsigned = stage.unsigned(1, "acme/app", "v1").digest();
    let gateway = stage.gateway().await;
    let image = format!("{HOST}/acme/app@{unsigned}");
    let mut question = review(&pod(&[&image]));
    question["request"]["dryRun"] = json!(true);
    let response = validated(&gateway, &question).await;
    assert_eq!(response["allowed"], json!(false));
    assert!(response["status"]["message"].as_str().unwrap().contains("failed policy: acme-is-signed"));
    assert!(!response["status"]["message"].as_str().unwrap().contains("decision"), "{response}");
    assert_eq!(response["auditAnnotations"], Value::Null);
    let decisions = gateway.decisions(&format!("about={unsigned}")).await;
    assert_eq!(decisions["decisions"], json!([]));
    gateway.denial(&image).await;
    assert_eq!(
        gateway.decisions(&format!("about={unsigned}")).await["decisions"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_images_of_other_kinds_are_judged_where_it_is_configured() {
    let stage = Stage::new().await;
    let signed = format!("{HOST}/acme/app@{}", stage.signed(1, "acme/app", "v1").digest());
    let unsigned = format!("{HOST}/acme/app@{}", stage.unsigned(2, "acme/app", "v2").digest());
    let gateway = stage
        .gateway_with(
            "admission.kinds: [{group: argoproj.io, kind: Rollout, podSpecs: [spec.template.spec]}, \
             {group: tekton.dev, kind: Task, paths: ['spec.steps[*].image']}]",
        )
        .await;
    let rollout = |image: &str| {
        let mut rollout = deployment(image, 1);
        rollout["apiVersion"] = json!("argoproj.io/v1alpha1");
        rollout["kind"] = json!("Rollout");
        rollout
    };
    let task = |image: &str| json!({"apiVersion": "tekton.dev/v1", "kind": "Task", "spec": {"steps": [{"image": image}]}});
    for (image, allowed) in [(&signed, true), (&unsigned, false)] {
        for object in [rollout(image), task(image)] {
            let response = validated(&gateway, &review(&object)).await;
            assert_eq!(response["allowed"], json!(allowed), "{response}");
        }
    }
    let unknown = json!({"apiVersion": "tekton.dev/v1", "kind": "Pipeline", "spec": {}});
    let message = validated(&gateway, &review(&unknown)).await["status"]["message"].clone();
    assert!(message.as_str().unwrap().contains("admission.kinds"), "{message}");
}
