//! What policies say beside who must have signed, through both doors: objects, namespaces, exemptions, revocations, other
//! places for signatures, programs.

use std::time::Duration;

use oci::Attachment;
use serde_json::{Value, json};
use testkit::authority::{ManagedKey, Recipe, Record, Statement, attestation_manifest, signature_manifest};
use testkit::image::Image;

use super::stage::{Gateway, HOST, POLICY, Stage, pod, release, review};

const REPOSITORY: &str = "acme/app";

fn reference(image: &Image) -> String {
    format!("{HOST}/{REPOSITORY}@{}", image.digest())
}

fn path(image: &Image) -> String {
    format!("/v2/{HOST}/{REPOSITORY}/manifests/{}", image.digest())
}

/// The policy with more fields of `spec`, as a line of YAML.
fn policy_with(more: &str) -> String {
    format!("{POLICY}  {more}\n")
}

/// The answer to the creation of an object in a namespace: empty where it is allowed.
async fn denial(gateway: &Gateway, namespace: &str, object: &Value) -> String {
    let mut review = review(object);
    review["request"]["namespace"] = namespace.into();
    let reply = gateway.post("/admission/validate", review.to_string()).await;
    reply.json()["response"]["status"]["message"].as_str().unwrap_or_default().to_owned()
}

/// Asks again until the answer is as expected: files are looked at twice a second.
async fn until<F: Future<Output = bool>>(expected: impl Fn() -> F) {
    let patience = async {
        while !expected().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), patience).await.expect("it never came");
}

fn deployment(image: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "labels": labels},
        "spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_for_some_objects_is_judged_at_admission_and_left_alone_by_pulls() {
    let stage = Stage::new().await;
    stage.policy(
        "acme.yaml",
        &policy_with(
            "match: [{group: apps, version: v1, resource: deployments, selector: {matchLabels: {tier: web}}}]",
        ),
    );
    let image = stage.unsigned(1, REPOSITORY, "v1");
    let gateway = stage.gateway().await;
    let (web, api) = (json!({"tier": "web"}), json!({"tier": "api"}));
    let image_text = reference(&image);
    assert!(denial(&gateway, "a", &deployment(&image_text, &web)).await.contains("no signatures found"));
    for object in [deployment(&image_text, &api), pod(&[&image_text])] {
        assert!(denial(&gateway, "a", &object).await.contains("no matching policies"));
    }
    let pulled = gateway.get(&path(&image)).await;
    assert_eq!((pulled.status.as_u16(), pulled.header("countersign-reason")), (200, "left-to-admission"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespaced_policy_binds_its_namespace_beside_the_clusters() {
    let stage = Stage::new().await;
    let own = "apiVersion: policy.countersign.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: own, namespace: team}\n\
               spec: {images: [{glob: '**'}], authorities: [{static: {action: fail, message: frozen}}]}\n";
    stage.policy("own.yaml", own);
    let image = stage.signed(1, REPOSITORY, "v1");
    let gateway = stage.gateway().await;
    let pod = pod(&[&reference(&image)]);
    let denied = denial(&gateway, "team", &pod).await;
    assert!(denied.contains("failed policy: team/own") && denied.contains("frozen"), "{denied}");
    assert_eq!(denial(&gateway, "other", &pod).await, "");
    assert_eq!(gateway.get(&path(&image)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exemption_lets_an_image_pass_and_is_told_at_both_doors() {
    let stage = Stage::new().await;
    let image = stage.unsigned(1, REPOSITORY, "v1");
    let exemption = |expires: &str| {
        format!("exemptions: [{{digest: '{}', reason: it is old, expires: '{expires}'}}]", image.digest())
    };
    stage.policy("acme.yaml", &policy_with(&exemption("2999-12-31")));
    let gateway = stage.gateway().await;
    let response = gateway.validate(&[&reference(&image)]).await;
    assert_eq!(response["allowed"], true, "{response}");
    let warning = response["warnings"][0].as_str().unwrap();
    assert!(warning.starts_with("exempted from policy acme-is-signed until 3000-01-01"), "{warning}");
    let pulled = gateway.get(&path(&image)).await;
    assert_eq!(pulled.header("countersign-reason"), "exempted");
    assert!(pulled.header("warning").contains("exempted from policy: acme-is-signed"));

    stage.policy("acme.yaml", &policy_with(&exemption("2020-01-01")));
    until(async || gateway.get(&path(&image)).await.status == 403).await;
    assert!(gateway.denial(&reference(&image)).await.contains("no signatures found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_is_in_force_at_both_doors_and_asks_no_registry() {
    let stage = Stage::new().await;
    let image = stage.signed(1, REPOSITORY, "v1");
    let revocation = |what: &str| {
        format!(
            "apiVersion: policy.countersign.dev/v1alpha1\nkind: Revocation\nmetadata: {{name: leak}}\n\
             spec: {{reason: the workflow was taken over, {what}}}\n"
        )
    };
    let gateway = stage.gateway().await;
    let subject = "https://github.com/acme/app/.github/workflows/release.yaml@refs/heads/main";
    let identity = format!("issuer: 'https://token.actions.githubusercontent.com', subject: '{subject}'");
    for (what, says) in [
        (format!("identities: [{{{identity}}}]"), "no matching signatures: revoked by leak"),
        (format!("digests: [{{digest: '{}'}}]", image.digest()), "revoked: spec.containers[0].image"),
        (
            "logEntries: [{first: 0, last: 18446744073709551615}]".to_owned(),
            "no matching signatures: revoked by leak",
        ),
    ] {
        assert_eq!(gateway.denial(&reference(&image)).await, "", "{what}");
        assert_eq!(gateway.get(&path(&image)).await.status, 200);
        let asked = stage.origin.count(|_| true);
        stage.policy("leak.yaml", &revocation(&what));
        until(async || gateway.get(&path(&image)).await.status == 403).await;
        let denied = gateway.denial(&reference(&image)).await;
        assert!(denied.contains(says) && denied.contains("the workflow was taken over"), "{denied}");
        assert_eq!(gateway.get(&path(&image)).await.header("countersign-reason"), "revoked");
        assert_eq!(stage.origin.count(|_| true), asked, "{what}");
        std::fs::remove_file(stage.directory.path().join("policies/leak.yaml")).unwrap();
        until(async || gateway.get(&path(&image)).await.status == 200).await;
    }
    // Of an image that was never asked for before, nothing has to be found out either.
    let unseen = stage.unsigned(2, REPOSITORY, "v2");
    let both = format!("digests: [{{digest: '{}'}}, {{digest: '{}'}}]", image.digest(), unseen.digest());
    stage.policy("leak.yaml", &revocation(&both));
    until(async || gateway.get(&path(&image)).await.status == 403).await;
    let asked = stage.origin.count(|_| true);
    assert!(gateway.denial(&reference(&unseen)).await.contains("revoked by leak"));
    assert_eq!(stage.origin.count(|_| true), asked);
    // Before the window, and by somebody else.
    for what in [
        format!("identities: [{{{identity}, notAfter: '2001-01-01'}}]"),
        "identities: [{issuer: 'https://ci.example', subjectRegExp: '.*'}]".to_owned(),
        format!("digests: [{{digest: 'sha256:{}'}}]", "0".repeat(64)),
    ] {
        stage.policy("leak.yaml", &revocation(&what));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(gateway.denial(&reference(&image)).await, "", "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_may_be_in_another_repository_and_under_a_prefix() {
    let stage = Stage::new().await;
    let image = stage.unsigned(1, REPOSITORY, "v1");
    let layer = stage.authority.sign(&image.digest(), &format!("{HOST}/{REPOSITORY}"), &release());
    let signatures = signature_manifest(&[layer]);
    let tag = Attachment::Signatures.tag(&image.digest(), "release-").unwrap();
    stage.origin.put_blob("signatures/all", signatures.config.clone());
    for payload in &signatures.payloads {
        stage.origin.put_blob("signatures/all", payload.clone());
    }
    stage.origin.put_manifest(
        "signatures/all",
        Some(tag.as_str()),
        signatures.media_type.as_str(),
        signatures.manifest.clone(),
    );
    for (source, allowed) in [
        ("", false),
        (&*format!("source: [{{oci: {HOST}/signatures/all, tagPrefix: release-}}]"), true),
        (&*format!("source: [{{oci: {HOST}/signatures/all}}]"), false),
        ("source: [{tagPrefix: release-}]", false),
    ] {
        stage.policy("acme.yaml", &format!("{POLICY}      {source}\n"));
        let gateway = stage.gateway().await;
        assert_eq!(gateway.denial(&reference(&image)).await.is_empty(), allowed, "{source}");
        let status = if allowed { 200 } else { 403 };
        assert_eq!(gateway.get(&path(&image)).await.status, status, "{source}");
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_shown_the_attestation_and_the_configuration_of_the_image() {
    let stage = Stage::new().await;
    let image = stage.signed(1, REPOSITORY, "v1");
    let predicate = json!({"scanner": {"result": [{"severity": "low"}]}});
    let statement =
        Statement::new(&image.digest(), "https://cosign.sigstore.dev/attestation/vuln/v1", predicate);
    let attested =
        stage.authority.mint(&Recipe::statement(statement).by(&release()).recorded(Record::DsseV001)).layer();
    let manifest = attestation_manifest(&[attested]);
    stage.origin.put_blob(REPOSITORY, manifest.config.clone());
    for payload in &manifest.payloads {
        stage.origin.put_blob(REPOSITORY, payload.clone());
    }
    let tag = Attachment::Attestations.tag(&image.digest(), "").unwrap();
    stage.origin.put_manifest(
        REPOSITORY,
        Some(tag.as_str()),
        manifest.media_type.as_str(),
        manifest.manifest.clone(),
    );
    let attestation = |program: &str| {
        format!(
            "{POLICY}      attestations: [{{name: scan, predicateType: vuln, policy: {{type: cel, data: \"{program}\"}}}}]\n"
        )
    };
    let over_all = |program: &str| {
        policy_with(&format!("policy: {{type: cel, data: \"{program}\", fetchConfigFile: true}}"))
    };
    for (policy, allowed) in [
        (attestation("predicate.scanner.result.all(finding, finding.severity != 'high')"), true),
        (attestation("predicate.scanner.result.size() == 0"), false),
        (over_all("config.all(platform, config[platform].architecture == 'amd64')"), true),
        (over_all("config.exists(platform, platform == 'plan9/mips')"), false),
    ] {
        stage.policy("acme.yaml", &policy);
        let gateway = stage.gateway().await;
        let denied = gateway.denial(&reference(&image)).await;
        assert_eq!(denied.is_empty(), allowed, "{policy}: {denied}");
        assert!(allowed || denied.contains("failed evaluating cel policy for "), "{denied}");
        let status = if allowed { 200 } else { 403 };
        assert_eq!(gateway.get(&path(&image)).await.status, status, "{policy}");
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_wrong_at_the_first_start_denies_what_it_speaks_of_and_nothing_else() {
    let stage = Stage::new().await;
    let image = stage.signed(1, REPOSITORY, "v1");
    stage.policy("wrong.yaml", &POLICY.replace("acme-is-signed", "wrong").replace("keyless", "keylessness"));
    stage.policy("other.yaml", &POLICY.replace("acme-is-signed", "other").replace("acme/**", "other/**"));
    let gateway = stage.gateway().await;
    let denied = gateway.denial(&reference(&image)).await;
    assert!(
        denied.contains("failed policy: wrong") && denied.contains("the policy cannot be used"),
        "{denied}"
    );
    assert_eq!(gateway.get(&path(&image)).await.status, 403);
    stage.sign(
        "other/app",
        &{
            let other = Image::random(2);
            other.push_to(&stage.origin, "other/app", Some("v1"));
            other.digest()
        },
        &release(),
    );
    let other = format!("{HOST}/other/app@{}", Image::random(2).digest());
    assert_eq!(gateway.denial(&other).await, "");
    stage.policy("wrong.yaml", &POLICY.replace("acme-is-signed", "right"));
    until(async || gateway.get(&path(&image)).await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_whose_key_is_in_no_secret_denies_until_it_is() {
    let stage = Stage::new().await;
    let image = stage.unsigned(1, REPOSITORY, "v1");
    let key = ManagedKey::seeded("team");
    let mint =
        stage.authority.mint(&Recipe::image(&image.digest(), &format!("{HOST}/{REPOSITORY}")).by_key(&key));
    stage.attach(REPOSITORY, &image.digest(), &[mint.layer()]);
    let by_secret = "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: acme-is-signed}\n\
                     spec: {images: [{glob: 'registry.example/acme/**'}], authorities: [{key: {secretRef: {name: team}}}]}\n";
    stage.policy("acme.yaml", by_secret);
    let gateway = stage.gateway().await;
    let denied = gateway.denial(&reference(&image)).await;
    assert!(denied.contains("secret \"team\" is not known here"), "{denied}");
    let pem = serde_json::to_string(&key.public_pem()).unwrap();
    stage.policy(
        "secret.yaml",
        &format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: team, namespace: cosign-system}}\nstringData: {{cosign.pub: {pem}}}\n"),
    );
    until(async || gateway.get(&path(&image)).await.status == 200).await;
    assert_eq!(gateway.denial(&reference(&image)).await, "");
}
