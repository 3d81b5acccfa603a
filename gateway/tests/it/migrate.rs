//! `countersign migrate`: what is said of policy-controller's objects, and what becomes of them.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::cli::{countersign, exits};
use super::stage::shared;

const POLICY: &str = "
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: acme-is-signed
  uid: 6b6a1d5e-0000-4000-8000-000000000000
  finalizers: [clusterimagepolicies.policy.sigstore.dev]
spec:
  images: [{glob: ghcr.io/acme/**}]
  authorities:
    - name: release
      keyless:
        url: https://fulcio.sigstore.dev
        identities: [{issuer: https://token.actions.githubusercontent.com, subject: https://github.com/acme/app/.github/workflows/release.yaml@refs/heads/main}]
      ctlog: {url: https://rekor.sigstore.dev}
status: {conditions: [{type: Ready, status: 'True'}]}
";

const CLUSTER: &str = "
apiVersion: v1
kind: List
items:
- apiVersion: admissionregistration.k8s.io/v1
  kind: ValidatingWebhookConfiguration
  metadata: {name: policy.sigstore.dev}
  webhooks:
  - name: policy.sigstore.dev
    failurePolicy: Fail
    timeoutSeconds: 6
    namespaceSelector:
      matchExpressions:
      - {key: policy.sigstore.dev/exclude, operator: DoesNotExist}
- apiVersion: v1
  kind: Namespace
  metadata: {name: shop}
- apiVersion: v1
  kind: Namespace
  metadata: {name: lab, labels: {policy.sigstore.dev/exclude: 'true'}}
- apiVersion: v1
  kind: Namespace
  metadata: {name: kube-system}
";

/// One authority of a policy, whose path in messages is `spec.authorities[0]`.
fn policy(authority: &str) -> String {
    format!(
        "{{apiVersion: policy.sigstore.dev/v1beta1, kind: ClusterImagePolicy, metadata: {{name: it}}, \
         spec: {{images: [{{glob: 'ghcr.io/acme/**'}}], authorities: [{authority}]}}}}"
    )
}

/// What is said of a stream of objects, read from a file.
fn migrate(text: &str, more: &[&str]) -> Output {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("exported.yaml");
    std::fs::write(&file, text).unwrap();
    countersign(&[&["migrate", file.to_str().unwrap()], more].concat())
}

fn answered(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn what_means_the_same_holds_and_is_changed_over_without_a_gap() {
    let output = migrate(POLICY, &[]);
    exits(
        &output,
        0,
        &["ClusterImagePolicy acme-is-signed: holds", "No namespaces were read", "kubernetes: true"],
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} is not in {text}"));
    let order = [
        "> policies.json",
        "helm install countersign",
        "rollout status",
        "helm.sh/resource-policy=keep",
        "installCRDs=false",
        "--replicas=0",
        "finalizers\":null",
        "helm uninstall policy-controller -n cosign-system",
        "apply --server-side --force-conflicts -f helm/countersign/crds",
        "helm upgrade countersign",
    ];
    assert!(order.map(place).is_sorted(), "{text}");
}

#[test]
fn commands_speak_of_the_release_and_the_namespace_that_there_are() {
    let output = migrate(POLICY, &["--release", "pc", "--namespace", "security"]);
    exits(&output, 0, &["helm uninstall pc -n security", "--filter '^pc$'", "-n security scale deployment"]);
}

#[test]
fn what_is_decided_otherwise_is_said_field_by_field() {
    let keyless = "keyless: {identities: [{issuer: https://issuer.example, subject: it}]";
    for (authority, says) in [
        (
            format!("{{{keyless}, trustRootRef: own}}}}"),
            "a log entry is asked for, as always with certificates",
        ),
        (format!("{{{keyless}}}, ctlog: {{}}}}"), "ctlog: a log entry is asked for"),
        (
            format!("{{{keyless}}}, ctlog: {{url: https://log.example}}}}"),
            "https://log.example is never asked",
        ),
        (
            format!(
                "{{{keyless}}}, ctlog: {{url: https://rekor.sigstore.dev}}, rfc3161timestamp: {{trustRootRef: own}}}}"
            ),
            "a timestamp must be there",
        ),
        (
            format!(
                "{{{keyless}}}, attestations: [{{name: a, predicateType: vuln, policy: {{type: cel, data: 'true'}}}}]}}"
            ),
            "as it was signed",
        ),
    ] {
        let output = migrate(&policy(&authority), &[]);
        exits(&output, 1, &["ClusterImagePolicy it: differs: spec.authorities[0]", says]);
    }
}

#[test]
fn what_is_refused_and_what_denies_is_said_in_the_webhooks_words() {
    exits(&migrate(&policy(""), &[]), 1, &["it: refused: ", "missing field(s): spec.authorities"]);
    exits(&migrate(&policy("{key: {kms: 'hashivault://it'}}"), &[]), 1, &["it: denies: "]);
    exits(&migrate(&policy("{key: {secretRef: {name: keys}}}"), &[]), 1, &["it: denies: ", "keys"]);
}

#[test]
fn a_secret_that_a_policy_names_is_read_and_no_other() {
    let secret = "
---
{apiVersion: v1, kind: Secret, metadata: {name: keys, namespace: cosign-system}, data: {it: KEY}}
---
{apiVersion: v1, kind: Secret, metadata: {name: webhook-certs, namespace: cosign-system}, data: {a: not base64, b: ''}}
";
    let key = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAECHATnmCz4MWW5m2eeqFohspYopmz\n\
               q6NdNKf7ru2Ywv3lFywPDtLyaBYZlZZ7ScQoDS2zOphXyKPjBsXNEMEAMA==\n-----END PUBLIC KEY-----\n";
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key);
    let text = policy("{key: {secretRef: {name: keys}}}") + &secret.replace("KEY", &encoded);
    exits(&migrate(&text, &[]), 0, &["ClusterImagePolicy it: holds"]);
}

#[test]
fn namespaces_and_the_webhook_become_values() {
    let directory = TempDir::new().unwrap();
    let values = directory.path().join("values.yaml");
    let output = migrate(
        &format!("{POLICY}---{CLUSTER}"),
        &["--output", "json", "--values", values.to_str().unwrap()],
    );
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let answer = answered(&output);
    assert_eq!(answer["namespaces"], json!(["shop"]));
    let out = json!({"object": "Namespace kube-system", "notes": [{"is": "differs",
        "says": "takes part now, and is never sent to the webhook here, so that the cluster can start: webhook.exemptNamespaces"}]});
    assert!(answer["objects"].as_array().unwrap().contains(&out), "{answer}");
    let selector =
        json!({"matchExpressions": [{"key": "policy.sigstore.dev/exclude", "operator": "DoesNotExist"}]});
    assert_eq!(
        answer["values"],
        json!({
            "config": {"policies": {"kubernetes": true}},
            "certificates": {"source": "gateway"},
            "webhook": {"name": "policy.sigstore.dev", "namespaceSelector": selector, "timeoutSeconds": 6},
        })
    );
    let written: Value = serde_saphyr::from_str(&std::fs::read_to_string(values).unwrap()).unwrap();
    assert_eq!(written, answer["values"]);
}

#[test]
fn flags_of_the_program_become_values() {
    let deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: policy-controller-webhook}, spec: {replicas: 3, \
        template: {spec: {containers: [{name: policy-controller-webhook, args: ['--webhook-name=images.acme.example', \
        '-tuf-mirror', 'https://tuf.acme.example', '--tuf-root=/var/root.json']}]}}}}";
    let answer = answered(&migrate(deployment, &["--output", "json"]));
    assert_eq!(answer["values"]["replicas"], json!(3));
    assert_eq!(answer["values"]["webhook"]["name"], json!("images.acme.example"));
    let tuf = json!({"mirror": "https://tuf.acme.example", "root": "/etc/countersign/files/root.json"});
    assert_eq!(answer["values"]["config"]["trust"]["root"]["tuf"], tuf);
}

#[test]
fn what_is_in_force_without_its_object_is_not_lost_silently() {
    let map = "\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: config-image-policies}, data: {gone: '{}', _example: x}}";
    let output = migrate(&format!("{POLICY}{map}"), &[]);
    exits(
        &output,
        1,
        &[
            "differs: gone is in force",
            "acme-is-signed is not in it",
            "ClusterImagePolicy acme-is-signed: holds",
        ],
    );
}

#[test]
fn what_policy_controllers_own_tests_configure_is_understood() {
    let Some(directory) = shared("policy-controller/pkg/config/testdata") else { return };
    for (file, code, no_match) in [
        ("deny-all-default.yaml", 0, Value::Null),
        ("deny-all-explicit.yaml", 0, Value::Null),
        ("warn-all.yaml", 0, json!("warn")),
        ("allow-empty-authorities.yaml", 1, Value::Null),
        ("enable-oci11.yaml", 1, Value::Null),
    ] {
        // Their tests read what is under `_example`, which nobody reads in a cluster.
        let text = std::fs::read_to_string(directory.join(file)).unwrap();
        let text = text.replace("  _example: |\n", "").replace("\n    ", "\n  ");
        // In a ConfigMap every value is a text.
        let text = text.replace(": false", ": 'false'");
        let output = migrate(&text, &["--output", "json"]);
        assert_eq!(output.status.code(), Some(code), "{file}: {output:?}");
        assert_eq!(answered(&output)["values"]["config"]["policies"]["noMatch"], no_match, "{file}");
    }
}

#[test]
fn every_policy_that_policy_controller_accepts_is_accounted_for() {
    let Some(directory) = shared("policy-controller/test/testdata/policy-controller/valid") else { return };
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|it| it == "yaml")).collect::<Vec<_>>();
    assert!(files.len() > 10, "{files:?}");
    for file in &files {
        let output = countersign(&["migrate", file.to_str().unwrap(), "--output", "json"]);
        assert!(matches!(output.status.code(), Some(0 | 1)), "{}: {output:?}", file.display());
        let answer = answered(&output);
        let refused =
            answer["objects"].as_array().unwrap().iter().flat_map(|it| it["notes"].as_array().unwrap());
        let refused = refused.filter(|note| note["is"] == "refused").collect::<Vec<_>>();
        assert!(refused.is_empty(), "{}: {refused:?}", file.display());
    }
}

#[test]
fn standard_input_is_read_and_what_is_no_object_is_bad_usage() {
    let from_input = |text: &str| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(["migrate", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    exits(&from_input(POLICY), 0, &["ClusterImagePolicy acme-is-signed: holds"]);
    exits(&from_input("a: b"), 2, &["no object of Kubernetes"]);
    exits(
        &from_input("{apiVersion: v1, kind: Node, metadata: {name: it}}"),
        2,
        &["nothing of policy-controller"],
    );
    exits(&migrate("{", &[]), 2, &["exported.yaml"]);
    let nowhere = Path::new("/nowhere/exported.yaml").to_str().unwrap();
    exits(&countersign(&["migrate", nowhere]), 2, &["/nowhere/exported.yaml"]);
}
