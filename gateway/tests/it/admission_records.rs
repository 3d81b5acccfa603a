//! Decisions that are kept: found again, told whole, and written down; and what is only observed.

use serde_json::{Value, json};
use testkit::authority::Identity;

use super::stage::{HOST, Stage, pod, review};

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_names_a_decision_that_tells_who_signed_against_who_was_asked_for() {
    let stage = Stage::new().await;
    let digest = stage.unsigned(1, "acme/app", "v1").digest();
    stage.sign("acme/app", &digest, &Identity::email("https://accounts.example", "eve@example.com"));
    let gateway = stage.gateway().await;
    let mut question = review(&pod(&[&format!("{HOST}/acme/app@{digest}")]));
    question["request"]["namespace"] = json!("shop");
    question["request"]["name"] = json!("web-1");
    let response = gateway.post("/admission/validate", question.to_string()).await.json()["response"].clone();
    let message = response["status"]["message"].as_str().unwrap();
    let decision = message.rsplit_once("\ndecision ").unwrap().1;
    assert_eq!(response["auditAnnotations"]["decision"], json!(decision));
    assert_eq!(response["auditAnnotations"]["reason"], json!("wrong-identity"));

    let by_name = gateway.decisions(&format!("about={decision}")).await;
    assert_eq!(by_name["decisions"].as_array().unwrap().len(), 1);
    let told = &by_name["decisions"][0];
    assert_eq!((&told["outcome"], &told["door"]), (&json!("denied"), &json!("admission")));
    assert_eq!(told["message"], json!(message));
    assert_eq!((&told["review"]["namespace"], &told["review"]["name"]), (&json!("shop"), &json!("web-1")));
    let image = &told["images"][0];
    assert_eq!(image["digest"], json!(digest.to_string()));
    assert_eq!(image["image"], json!(format!("{HOST}/acme/app")));
    assert_eq!((&image["verdict"], &image["cache"]), (&json!("deny"), &json!("miss")));
    let policy = &image["policies"][0];
    assert_eq!((&policy["name"], &policy["outcome"]), (&json!("acme-is-signed"), &json!("failed")));
    assert!(policy["pattern"].as_str().unwrap().starts_with(HOST), "{policy}");
    let authority = &policy["authorities"][0];
    assert_eq!(authority["found"][0]["subjects"], json!(["eve@example.com"]));
    assert!(!authority["expected"].as_array().unwrap().is_empty());
    let signer = &image["signatures"][0]["signer"];
    assert_eq!(signer, &json!({"issuer": "https://accounts.example", "subjects": ["eve@example.com"]}));
    assert!(image["timings"]["gathering"].as_u64().unwrap() > 0);

    for about in ["web-1", "shop/web-1", &format!("{HOST}/acme/app@{digest}"), &digest.to_string()] {
        let about = about.replace('/', "%2F").replace('@', "%40").replace(':', "%3A");
        assert_eq!(
            gateway.decisions(&format!("about={about}")).await["decisions"][0]["decision"],
            json!(decision),
            "{about}"
        );
    }
    gateway.denial(&format!("{HOST}/acme/app@{digest}")).await;
    let newest = gateway.decisions("limit=1").await;
    assert_eq!(newest["decisions"][0]["images"][0]["cache"], json!("hit"));
    assert!(newest["more"].as_u64().unwrap() >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_allowed_is_kept_with_what_it_rests_on_and_so_are_pulls() {
    let stage = Stage::new().await;
    let signed = stage.signed(1, "acme/app", "v1").digest();
    let unsigned = stage.unsigned(2, "acme/app", "v2").digest();
    let gateway = stage.gateway().await;
    assert_eq!(gateway.denial(&format!("{HOST}/acme/app@{signed}")).await, "");
    let told = gateway.decisions(&format!("about={signed}")).await["decisions"][0].clone();
    assert_eq!((&told["outcome"], &told["reason"]), (&json!("allowed"), &json!("satisfied")));
    assert_eq!(told["images"][0]["policies"][0]["outcome"], json!("satisfied"));
    assert_eq!(told["images"][0]["signers"].as_array().unwrap().len(), 1);

    let denied = gateway.get(&format!("/v2/{HOST}/acme/app/manifests/v2")).await;
    assert_eq!(denied.status, 403);
    let told = gateway.decisions(&format!("about={}", denied.header("countersign-decision"))).await;
    let told = &told["decisions"][0];
    assert_eq!((&told["door"], &told["outcome"]), (&json!("pull"), &json!("denied")));
    assert_eq!(told["pull"]["status"], json!(403));
    assert_eq!(told["images"][0]["digest"], json!(unsigned.to_string()));
    let pulled = gateway.get(&format!("/v2/{HOST}/acme/app/manifests/v1")).await;
    let told = gateway.decisions(&format!("about={}", pulled.header("countersign-decision"))).await;
    assert_eq!(told["decisions"][0]["outcome"], json!("allowed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_told_is_kept_with_why() {
    let stage = Stage::new().await;
    let digest = stage.signed(1, "acme/app", "v1").digest();
    let gateway = stage.gateway().await;
    stage.origin.fault(|_| true, testkit::registry::Fault::Status(500));
    let denial = gateway.denial(&format!("{HOST}/acme/app@{digest}")).await;
    let decision = denial.rsplit_once("\ndecision ").unwrap().1;
    let told = gateway.decisions(&format!("about={decision}")).await["decisions"][0].clone();
    assert_eq!((&told["outcome"], &told["reason"]), (&json!("undecided"), &json!("registry-unavailable")));
    assert!(told["images"][0]["error"].as_str().unwrap().contains("could not be read"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_exported_as_lines_and_as_cloud_events_and_to_operators_alone() {
    let stage = Stage::new().await;
    let digest = stage.signed(1, "acme/app", "v1").digest();
    let gateway = stage.gateway().await;
    gateway.denial(&format!("{HOST}/acme/app@{digest}")).await;
    gateway.denial(&format!("nginx@{digest}")).await;
    let lines = gateway.operated("/decisions?format=jsonl").await;
    let text = String::from_utf8(lines.bytes().to_vec()).unwrap();
    let outcomes: Vec<Value> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["outcome"].clone()).collect();
    assert_eq!(outcomes, [json!("denied"), json!("allowed")]);
    let events = gateway.operated("/decisions?format=cloudevents&outcome=denied").await;
    assert_eq!(events.header("content-type"), "application/cloudevents-batch+json");
    assert_eq!(events.json()[0]["data"]["reason"], json!("no-matching-policy"));
    assert_eq!(gateway.operated("/decisions?format=xml").await.status, 400);
    for path in ["/decisions", "/disagreements"] {
        assert_eq!(gateway.admin(path).await.status, 403, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_file_has_every_decision() {
    let stage = Stage::new().await;
    let digest = stage.signed(1, "acme/app", "v1").digest();
    let path = stage.directory.path().join("audit.jsonl");
    let more = format!("audit: {{path: '{}', format: cloudevents}}", path.display());
    let gateway = stage.gateway_and(&more).await;
    gateway.denial(&format!("{HOST}/acme/app@{digest}")).await;
    let written = async {
        loop {
            let text = std::fs::read_to_string(&path).unwrap();
            if text.ends_with('\n') {
                return text;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let text =
        tokio::time::timeout(std::time::Duration::from_secs(20), written).await.expect("it is written");
    let event: Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(event["data"]["images"][0]["digest"], json!(digest.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_observed_passes_and_what_would_have_been_said_is_reported() {
    let stage = Stage::new().await;
    stage.signed(1, "acme/app", "v1");
    let unsigned = stage.unsigned(2, "acme/app", "v2").digest();
    let gateway = stage.gateway_with("admission.observe: true").await;
    let tagged = |tag: &str| review(&pod(&[&format!("{HOST}/acme/app:{tag}")]));
    for path in ["/admission/mutate", "/admission/validate"] {
        for tag in ["v1", "v2", "v2"] {
            let response = gateway.post(path, tagged(tag).to_string()).await.json()["response"].clone();
            assert_eq!(response["allowed"], json!(true), "{response}");
            assert_eq!((&response["patch"], &response["warnings"]), (&Value::Null, &Value::Null));
            if path.ends_with("validate") {
                let would_be = if tag == "v1" { "allowed" } else { "denied" };
                assert_eq!(response["auditAnnotations"]["would-be"], json!(would_be));
            }
        }
    }
    let report = gateway.operated("/disagreements").await.json();
    assert_eq!(report["reviews"], json!(2));
    let case = &report["cases"][0];
    assert_eq!((&case["count"], &case["reason"]), (&json!(2), &json!("unsigned")));
    assert_eq!(case["image"], json!(format!("{HOST}/acme/app@{unsigned}")));
    assert!(case["message"].as_str().unwrap().contains("failed policy: acme-is-signed"), "{case}");
    // What keeps this gateway from reading a review is no reason to deny it either, but says nothing of an image.
    assert_eq!(gateway.decisions("wouldDeny").await["decisions"].as_array().unwrap().len(), 2);
}
