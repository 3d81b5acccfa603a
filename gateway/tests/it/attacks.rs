//! The attacks on the admission door that our threat list numbers, each by name. Those that need an API server or a node are
//! where those are.

use serde_json::{Value, json};
use testkit::authority::Identity;
use testkit::registry::Fault;

use super::admission::mutate_review;
use super::admission_updates::{update, validated};
use super::stage::{Gateway, HOST, POLICY, Stage, pod, review};

fn reference(digest: &oci::Digest) -> String {
    format!("{HOST}/acme/app@{digest}")
}

/// Whether a Pod of these images is let in.
async fn allowed(gateway: &Gateway, images: &[&str]) -> bool {
    gateway.validate(images).await["allowed"] == true
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_37_an_unsigned_image_hides_in_no_field_of_a_pod() {
    let stage = Stage::new().await;
    let signed = reference(&stage.signed(1, "acme/app", "v1").digest());
    let unsigned = reference(&stage.unsigned(2, "acme/app", "v2").digest());
    let gateway = stage.gateway().await;
    let sidecar = json!({"name": "s", "image": unsigned, "restartPolicy": "Always"});
    for (field, value) in [
        ("initContainers", json!([sidecar])),
        ("ephemeralContainers", json!([{"name": "e", "image": unsigned}])),
        ("containers", json!([{"name": "a", "image": signed}, {"name": "b", "image": unsigned}])),
        ("volumes", json!([{"name": "v", "image": {"reference": unsigned, "pullPolicy": "Never"}}])),
    ] {
        let mut hidden = pod(&[&signed]);
        hidden["spec"][field] = value;
        let response = validated(&gateway, &review(&hidden)).await;
        assert_eq!(response["allowed"], json!(false), "{field}");
        let part = if field == "ephemeralContainers" { "ephemeralcontainers" } else { "" };
        let response = validated(&gateway, &update(&pod(&[&signed]), &hidden, part)).await;
        assert_eq!(response["allowed"], json!(false), "{field} by an update");
    }
    // One of two fields of the same name would be what the gateway sees, and the other what the kubelet does.
    let twice = review(&pod(&[&signed])).to_string().replace(
        "\"containers\":",
        &format!("\"containers\":[{{\"name\":\"c0\",\"image\":\"{unsigned}\"}}],\"containers\":"),
    );
    let response = gateway.post("/admission/validate", twice).await.json();
    assert_eq!(response["response"]["allowed"], json!(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_38_nothing_that_an_object_says_of_itself_makes_an_update_pass() {
    let stage = Stage::new().await;
    let signed = reference(&stage.signed(1, "acme/app", "v1").digest());
    let unsigned = reference(&stage.unsigned(2, "acme/app", "v2").digest());
    let gateway = stage.gateway().await;
    let (old, mut new) = (pod(&[&signed]), pod(&[&unsigned]));
    new["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "approved", "controller": true}]);
    new["metadata"]["labels"] = json!({"policy.sigstore.dev/include": "false"});
    assert_eq!(validated(&gateway, &update(&old, &new, "")).await["allowed"], json!(false), "another image");
    assert_eq!(validated(&gateway, &review(&new)).await["allowed"], json!(false), "an owner is no approval");
    // An old object is what the API server says that it was: without one there is nothing to be as before.
    let mut forged = update(&new, &new, "");
    forged["request"]["operation"] = json!("CREATE");
    assert_eq!(
        validated(&gateway, &forged).await["allowed"],
        json!(false),
        "a creation has nothing before it"
    );
    forged["request"]["operation"] = json!("UPDATE");
    forged["request"]["oldObject"] = json!(null);
    assert_eq!(validated(&gateway, &forged).await["allowed"], json!(false));
    let mut template = json!({"apiVersion": "v1", "kind": "PodTemplate", "template": {"spec": {"containers": [{"image": signed}]}}});
    let before = template.clone();
    template["template"]["spec"]["containers"][0]["image"] = json!(unsigned);
    assert_eq!(validated(&gateway, &update(&before, &template, "")).await["allowed"], json!(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_39_that_an_annotation_says_verified_means_nothing() {
    let stage = Stage::new().await;
    let unsigned = reference(&stage.unsigned(1, "acme/app", "v1").digest());
    let gateway = stage.gateway().await;
    let mut forged = pod(&[&unsigned]);
    forged["metadata"]["annotations"] = json!({
        "policy.countersign.dev/decision": "00000001-1",
        "kyverno.io/verify-images": format!("{{\"{unsigned}\":\"pass\"}}"),
        "policy.sigstore.dev/verified": "true",
    });
    assert_eq!(validated(&gateway, &review(&forged)).await["allowed"], json!(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_40_no_label_of_the_object_takes_it_out() {
    let stage = Stage::new().await;
    let unsigned = reference(&stage.unsigned(1, "acme/app", "v1").digest());
    let gateway = stage.gateway().await;
    for label in
        ["policy.sigstore.dev/include", "policy.sigstore.dev/exclude", "webhooks.knative.dev/exclude"]
    {
        let mut labelled = pod(&[&unsigned]);
        labelled["metadata"]["labels"] = json!({label: "true"});
        assert_eq!(validated(&gateway, &review(&labelled)).await["allowed"], json!(false), "{label}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_41_an_image_that_is_changed_after_it_was_pinned_is_judged_as_it_is_then() {
    let stage = Stage::new().await;
    stage.signed(1, "acme/app", "v1");
    let unsigned = stage.unsigned(2, "acme/injected", "v1").digest();
    let gateway = stage.gateway().await;
    let patch = mutate_review(&gateway, &review(&pod(&[&format!("{HOST}/acme/app:v1")]))).await;
    let pinned = patch[1]["value"].as_str().unwrap();
    let injected = format!("{HOST}/acme/injected@{unsigned}");
    assert!(allowed(&gateway, &[pinned]).await);
    assert!(!allowed(&gateway, &[pinned, &injected]).await, "by an injector of sidecars");
    // It asks again for what was injected by tag, and leaves alone what is pinned.
    let again = mutate_review(&gateway, &review(&pod(&[pinned, &format!("{HOST}/acme/injected:v1")]))).await;
    assert_eq!(again.as_array().unwrap().len(), 2, "{again}");
    assert_eq!(again[1]["path"], json!("/spec/containers/1/image"));
    assert!(!allowed(&gateway, &[&pinned.replace("acme/app", "acme/injected")]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_43_a_dry_run_a_replay_and_another_version_change_nothing() {
    let stage = Stage::new().await;
    let signed = reference(&stage.signed(1, "acme/app", "v1").digest());
    let unsigned = reference(&stage.unsigned(2, "acme/app", "v2").digest());
    let gateway = stage.gateway().await;
    let mut tried = review(&pod(&[&signed]));
    tried["request"]["dryRun"] = json!(true);
    assert_eq!(validated(&gateway, &tried).await["allowed"], json!(true));
    assert_eq!(gateway.decisions("").await["decisions"], json!([]));
    // The same question, by its name, with another object.
    assert_eq!(validated(&gateway, &review(&pod(&[&signed]))).await["allowed"], json!(true));
    assert_eq!(validated(&gateway, &review(&pod(&[&unsigned]))).await["allowed"], json!(false));
    for version in ["v1", "v1beta1", "v9"] {
        let object = json!({
            "apiVersion": format!("apps/{version}"), "kind": "Deployment",
            "spec": {"template": {"spec": {"containers": [{"name": "c", "image": unsigned}]}}},
        });
        assert_eq!(validated(&gateway, &review(&object)).await["allowed"], json!(false), "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_44_whatever_goes_wrong_inside_nothing_is_let_in() {
    let stage = Stage::new().await;
    let digest = stage.signed(1, "acme/app", "v1").digest();
    let gateway = stage.gateway().await;
    let image = reference(&digest);
    for (fault, keeps_tags) in [
        (Fault::Status(401), true),
        (Fault::Status(404), true),
        (Fault::Status(429), true),
        (Fault::Status(500), true),
        (Fault::Reset, true),
        // What a tag means stands in a header.
        (Fault::Truncate(10), false),
        (Fault::Corrupt, false),
        (Fault::Append(1), false),
    ] {
        stage.origin.fault(|_| true, fault.clone());
        assert!(!allowed(&gateway, &[&image]).await, "{fault:?}");
        let tagged = mutate_review(&gateway, &review(&pod(&[&format!("{HOST}/acme/app:v1")]))).await;
        assert_eq!(tagged["allowed"] == false, keeps_tags, "{fault:?}: {tagged}");
        stage.origin.clear_faults();
    }
    // The API server takes anything but a review that says yes for a no.
    for body in ["", "null", "{}", r#"{"apiVersion": "admission.k8s.io/v2", "kind": "AdmissionReview"}"#] {
        assert_ne!(gateway.post("/admission/validate", body).await.status, 200, "{body:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_44_a_registry_that_hangs_is_answered_for_by_both_acts_before_the_api_server_gives_up() {
    let stage = Stage::new().await;
    let digest = stage.signed(1, "acme/app", "v1").digest();
    let gateway = stage.gateway().await;
    stage.origin.fault(|_| true, Fault::Hang);
    for (path, image) in [
        ("/admission/validate?timeout=1s", reference(&digest)),
        ("/admission/mutate?timeout=1s", format!("{HOST}/acme/app:v1")),
    ] {
        // The registry answers after this has returned, or never: an answer is what the deadline made.
        let response =
            gateway.post(path, review(&pod(&[&image])).to_string()).await.json()["response"].clone();
        assert_eq!(
            (&response["allowed"], &response["status"]["code"]),
            (&json!(false), &json!(503)),
            "{path}"
        );
        let message = response["status"]["message"].as_str().unwrap();
        assert!(message.contains("it took longer than the time allowed"), "{message}");
    }
    stage.origin.clear_faults();
    stage.origin.release();
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_45_a_gateway_that_starts_into_nothing_answers_from_what_it_knows() {
    let stage = Stage::new().await;
    let signed = reference(&stage.signed(1, "acme/app", "v1").digest());
    let unsigned = reference(&stage.unsigned(2, "acme/app", "v2").digest());
    let gateway = stage.gateway().await;
    assert!(allowed(&gateway, &[&signed]).await);
    gateway.stop().await;
    stage.origin.fault(|_| true, Fault::Reset);
    let gateway = stage.gateway().await;
    assert_eq!(gateway.admin("/readyz").await.status, 200);
    assert!(allowed(&gateway, &[&signed]).await, "what was known");
    assert!(!allowed(&gateway, &[&unsigned]).await, "what was not");
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_46_a_namespace_that_floods_the_gateway_is_told_so_and_the_others_are_answered() {
    let stage = Stage::new().await;
    let signed = reference(&stage.signed(1, "acme/app", "v1").digest());
    let slow = reference(&stage.signed(2, "acme/slow", "v1").digest());
    let gateway = stage.gateway_with("admission.reviews: 8").await;
    assert!(allowed(&gateway, &[&signed]).await);
    stage.origin.fault(|seen| seen.path.contains("acme/slow"), Fault::Hang);
    let of = |namespace: &str, image: &str| {
        let mut question = review(&pod(&[image]));
        question["request"]["namespace"] = json!(namespace);
        question.to_string()
    };
    let slow = slow.replace("acme/app", "acme/slow");
    let mut flood: Vec<_> = (0..4)
        .map(|_| Box::pin(gateway.post("/admission/validate?timeout=30s", of("flood", &slow))))
        .collect();
    // Those that wait for the registry are under way once one more is turned away.
    let turned_away = async {
        loop {
            tokio::select! {
                biased;
                answered = futures_util::future::select_all(&mut flood) => panic!("answered: {:?}", answered.0),
                reply = gateway.post("/admission/validate", of("flood", &signed)) => {
                    let response = reply.json()["response"].clone();
                    if response["allowed"] == false {
                        return response;
                    }
                }
            }
        }
    };
    let response =
        tokio::time::timeout(std::time::Duration::from_secs(20), turned_away).await.expect("one is too many");
    assert_eq!(response["status"]["code"], json!(503), "{response}");
    assert!(response["status"]["message"].as_str().unwrap().contains("busy"), "{response}");
    let reply = gateway.post("/admission/validate", of("quiet", &signed)).await.json();
    assert_eq!(reply["response"]["allowed"], json!(true), "{reply}");
    stage.origin.clear_faults();
    stage.origin.release();
    for reply in futures_util::future::join_all(flood).await {
        assert_eq!(reply.status, 200);
    }
    let reply = gateway.post("/admission/validate", of("flood", &signed)).await.json();
    assert_eq!(reply["response"]["allowed"], json!(true), "a place that is free again is given again");
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_47_a_policy_that_is_wrong_is_in_force_neither_at_first_nor_later() {
    let stage = Stage::new().await;
    let signed = reference(&stage.signed(1, "acme/app", "v1").digest());
    let bomb = format!("a: &a [{}]\nb: [*a, *a]\n", "x, ".repeat(100_000));
    for wrong in [bomb, "{".repeat(100_000), POLICY.replace("spec:", "spec:\n  surprise: 1")] {
        stage.policy("acme.yaml", POLICY);
        let gateway = stage.gateway().await;
        stage.policy("acme.yaml", &wrong);
        assert!(!gateway.tries_to_reload().await);
        assert!(allowed(&gateway, &[&signed]).await, "the last good ones stay");
        gateway.stop().await;
        let gateway = stage.gateway().await;
        assert!(!allowed(&gateway, &[&signed]).await, "at the first start what is wrong denies");
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_48_whoever_can_reach_the_webhook_cannot_have_it_ask_elsewhere() {
    let stage = Stage::new().await;
    let gateway = stage.gateway_with("policies.noMatch: allow").await;
    let other = testkit::registry::Registry::start().await;
    let digest = oci::Digest::of(b"x");
    for host in ["169.254.169.254", "localhost:10250", "kubernetes.default.svc", "[::1]:8080", &other.host()]
    {
        for image in [format!("{host}/a/b:v1"), format!("{host}/a/b@{digest}")] {
            drop(mutate_review(&gateway, &review(&pod(&[&image]))).await);
            drop(gateway.validate(&[&image]).await);
        }
    }
    assert_eq!(other.requests().len(), 0);
    assert_eq!(stage.origin.requests().len(), 0);
    // What it tells is about policies, and no more about content than a registry that is asked for it says.
    let message = gateway.denial(&format!("{}/a/b:v1", other.host())).await;
    assert!(message.contains("must be an image digest"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_49_a_trust_root_that_is_not_there_decides_nothing() {
    let stage = Stage::new().await;
    let signed = reference(&stage.signed(1, "acme/app", "v1").digest());
    let root = stage.directory.path().join("root.json");
    std::fs::write(&root, "{}").unwrap();
    let tuf =
        format!("trust: {{root: {{tuf: {{mirror: '{}', root: {}}}}}}}", stage.origin.url(), root.display());
    let started = std::panic::AssertUnwindSafe(stage.gateway_under(&tuf));
    let started: Result<Gateway, _> = futures_util::FutureExt::catch_unwind(started).await;
    // What a repository is trusted by has to be one: there is no start without.
    assert!(started.is_err());
    let gateway = stage.gateway().await;
    assert!(allowed(&gateway, &[&signed]).await);
    std::fs::write(stage.directory.path().join("trusted_root.json"), "{").unwrap();
    assert!(!gateway.tries_to_reload().await, "a root that is wrong does not come into force");
    assert!(allowed(&gateway, &[&signed]).await);
}

/// The YAML documents of the book that say this.
fn documented(saying: &str) -> String {
    let book = include_str!("../../../docs/install.md");
    let blocks = book.split("```yaml\n").skip(1).filter_map(|block| block.split("```").next());
    blocks.filter(|block| block.contains(saying)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_50_its_own_upgrade_is_judged_and_a_downgrade_is_refused() {
    const OWN: &str = "countersign/countersign";
    let stage = Stage::new().await;
    let released = |seed, by: &str| {
        let image = stage.unsigned(seed, OWN, &format!("v{seed}"));
        stage.sign(OWN, &image.digest(), &Identity::github_workflow(OWN, by));
        image.digest()
    };
    let old = released(1, "release.yml@refs/tags/v0.1.0");
    let new = released(2, "release.yml@refs/tags/v0.2.0");
    let fork = stage.unsigned(3, OWN, "v3").digest();
    stage.sign(OWN, &fork, &Identity::github_workflow("eve/countersign", "release.yml@refs/tags/v0.2.0"));
    let forged = [
        fork,
        released(4, "release.yml@refs/heads/main"),
        released(5, "ci.yml@refs/tags/v0.2.0"),
        stage.unsigned(6, OWN, "v6").digest(),
    ];
    let here = |text: String| text.replace("ghcr.io/", &format!("{HOST}/"));
    stage.policy("acme.yaml", &here(documented("name: countersign-is-signed")));
    let gateway = stage.gateway().await;
    let admitted = async |digest: &oci::Digest| {
        let pulled = gateway.get(&format!("/v2/{HOST}/{OWN}/manifests/{digest}")).await.status == 200;
        assert_eq!(allowed(&gateway, &[&format!("{HOST}/{OWN}@{digest}")]).await, pulled, "both doors agree");
        pulled
    };
    assert!(admitted(&old).await && admitted(&new).await);
    for digest in &forged {
        assert!(!admitted(digest).await);
    }
    stage.policy("revoked.yaml", &documented("name: countersign-before-0.2"));
    gateway.reload().await;
    assert!(!admitted(&old).await, "what is revoked does not come back");
    assert!(admitted(&new).await);
}

/// The message of a denial, whatever is in it.
fn message(response: &Value) -> &str {
    response["status"]["message"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_strangers_leave_with_an_image_makes_no_message_too_long() {
    let stage = Stage::new().await;
    let digest = stage.unsigned(1, "acme/app", "v1").digest();
    let strangers = (0..40).map(|number| {
        let eve = format!("{}{number}@example.com", "e".repeat(40));
        let identity = Identity::email("https://accounts.example", &eve);
        stage.authority.sign(&digest, &format!("{HOST}/acme/app"), &identity)
    });
    stage.attach("acme/app", &digest, &strangers.collect::<Vec<_>>());
    let gateway = stage.gateway().await;
    let image = reference(&digest);
    let response = gateway.validate(&[&image, &image, &image]).await;
    assert!(message(&response).len() <= 1024, "{}", message(&response));
    assert!(
        message(&response)
            .starts_with("validation failed: failed policy: acme-is-signed: spec.containers[0].image")
    );
    let decision = message(&response).rsplit_once("\ndecision ").unwrap().1;
    let told = gateway.decisions(&format!("about={decision}")).await;
    assert_eq!(told["decisions"][0]["images"][0]["moreSignatures"], json!(24), "{told}");
}
