//! The command line: answers for people, and exit codes for machines.

use std::path::Path;
use std::process::{Command, Output};

use super::stage::{HOST, Stage};

pub(crate) fn countersign(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_countersign")).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
pub(crate) fn exits(output: &Output, code: i32, says: &[&str]) {
    let text = text(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for part in says {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

async fn verify(stage: &Stage, image: &str, more: &[&str]) -> Output {
    let configuration = stage.configuration("");
    let policy = stage.directory.path().join("policies/acme.yaml");
    let mut arguments = vec!["verify".to_owned(), image.to_owned()];
    for (flag, path) in [("--config", &configuration), ("--policy", &policy)] {
        arguments.extend([flag.to_owned(), path.display().to_string()]);
    }
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    tokio::task::spawn_blocking(move || {
        countersign(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_says_who_signed_or_why_not() {
    let stage = Stage::new().await;
    stage.signed(1, "acme/app", "v1");
    stage.unsigned(2, "acme/app", "v2");
    let image = stage.unsigned(3, "acme/app", "v3");
    let nightly = testkit::authority::Identity::github_workflow("acme/app", "nightly.yaml@refs/heads/main");
    stage.sign("acme/app", &image.digest(), &nightly);

    let allowed = verify(&stage, &format!("{HOST}/acme/app:v1"), &[]).await;
    exits(&allowed, 0, &["allowed", "release.yaml@refs/heads/main"]);
    let unsigned = verify(&stage, &format!("{HOST}/acme/app:v2"), &[]).await;
    exits(&unsigned, 1, &["denied", "acme-is-signed", "authority-0"]);
    let other = verify(&stage, &format!("{HOST}/acme/app:v3"), &[]).await;
    exits(&other, 1, &["denied", "nightly.yaml", "release.yaml"]);
    let uncovered = verify(
        &stage,
        "ghcr.io/a/b@sha256:0000000000000000000000000000000000000000000000000000000000000000",
        &[],
    )
    .await;
    exits(&uncovered, 1, &["no policy speaks"]);
    let missing = verify(&stage, &format!("{HOST}/acme/app:v9"), &[]).await;
    exits(&missing, 2, &["could not tell"]);
    exits(&verify(&stage, "Not An Image", &[]).await, 2, &["no image reference"]);

    let json = verify(&stage, &format!("{HOST}/acme/app:v3"), &["--output", "json"]).await;
    let document: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((json.status.code(), &document["reason"]), (Some(1), &serde_json::json!("wrong-identity")));
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_explains_each_policy_and_signature_of_a_yes_and_of_a_no() {
    let stage = Stage::new().await;
    stage.signed(1, "acme/app", "v1");
    let image = stage.unsigned(3, "acme/app", "v3");
    let nightly = testkit::authority::Identity::github_workflow("acme/app", "nightly.yaml@refs/heads/main");
    stage.sign("acme/app", &image.digest(), &nightly);

    let allowed = verify(&stage, &format!("{HOST}/acme/app:v1"), &["--explain"]).await;
    let says = [
        "policy acme-is-signed: satisfied",
        "authority authority-0: satisfied",
        ": counts",
        "certificate passed",
    ];
    exits(&allowed, 0, &[&says[..], &["recorded 20", "so it is allowed: satisfied"]].concat());
    let denied = verify(&stage, &format!("{HOST}/acme/app:v3"), &["--explain"]).await;
    let says =
        ["not satisfied (wrong-identity)", "nightly.yaml", "by nobody who is accepted", "so it is denied"];
    exits(&denied, 1, &says);

    let json = verify(&stage, &format!("{HOST}/acme/app:v3"), &["--explain", "--output", "json"]).await;
    let document: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let policy = &document["explanation"]["policies"][0];
    assert_eq!(
        (&policy["outcome"], &policy["reason"]),
        (&"failed".into(), &"wrong-identity".into()),
        "{document}"
    );
    let piece = &policy["authorities"][0]["evidence"][0];
    assert_eq!(
        (&piece["counts"], &piece["checks"][0]["outcome"]),
        (&"wrong-identity".into(), &"passed".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_judges_for_an_object_as_admission_would() {
    let stage = Stage::new().await;
    stage.signed(1, "acme/app", "v1");
    let image = format!("{HOST}/acme/app:v1");
    let write = |name: &str, text: &str| {
        let path = stage.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let tenant = write(
        "tenant.yaml",
        "{apiVersion: policy.countersign.dev/v1alpha1, kind: ImagePolicy, metadata: {name: none, namespace: shop}, \
         spec: {images: [{glob: '**'}], authorities: [{static: {action: fail, message: closed}}]}}",
    );
    let pod = write("pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {}\n");
    let asked = async |more: &[&str]| verify(&stage, &image, &[&["--policy", &tenant], more].concat()).await;
    exits(&asked(&["--explain"]).await, 0, &["policy shop/none: left to admission"]);
    exits(&asked(&["--object", &pod]).await, 0, &["allowed"]);
    exits(&asked(&["--object", &pod, "--namespace", "shop"]).await, 1, &["shop/none", "closed"]);
    exits(&asked(&["--object", &tenant, "--namespace", "other"]).await, 2, &["namespace"]);
}

#[test]
fn webhooks_ask_about_the_kinds_that_are_configured() {
    let rules = |arguments: &[&str]| {
        let printed = countersign(arguments);
        exits(&printed, 0, &[]);
        text(&printed)
    };
    let own = rules(&["webhooks"]);
    assert!(own.contains("name: policy.sigstore.dev") && !own.contains("rollouts"), "{own}");
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("countersign.yaml");
    let kinds = "admission: {webhook: policy.acme.example, kinds: [\
        {group: argoproj.io, kind: Rollout, podSpecs: [spec.template.spec]}, \
        {group: kubevirt.io, kind: VirtualMachine, resource: vms, paths: ['spec.image']}]}";
    std::fs::write(&path, kinds).unwrap();
    let asked = rules(&["webhooks", "--config", path.to_str().unwrap()]);
    for (said, times) in
        [("argoproj.io", 2), ("- rollouts", 2), ("- vms", 2), ("name: policy.acme.example", 4)]
    {
        assert_eq!(asked.matches(said).count(), times, "{said}: {asked}");
    }
}

#[test]
fn a_policy_is_checked_in_the_webhooks_words() {
    let directory = tempfile::TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let good = write("good.yaml", super::stage::POLICY);
    exits(&countersign(&["policy", "check", &good]), 0, &["ok: acme-is-signed"]);
    let empty =
        write("empty.yaml", &super::stage::POLICY.replace("[{glob: registry.example/acme/**}]", "[]"));
    exits(&countersign(&["policy", "check", &empty]), 1, &["missing field(s): spec.images"]);
    let json = countersign(&["policy", "check", "--output", "json", &empty]);
    let document: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((json.status.code(), &document["ok"]), (Some(1), &false.into()));
    assert_eq!(document["errors"][0]["message"], "missing field(s): spec.images");
    let odd = write("odd.yaml", &super::stage::POLICY.replace("acme/**", "acme/app:*"));
    exits(&countersign(&["policy", "check", &odd]), 0, &["warning: ", "matches no image"]);
    exits(&countersign(&["policy", "check", "--strict", &odd]), 1, &["warning: "]);
    exits(&countersign(&["policy", "check", "--strict", &good]), 0, &["ok: "]);
    let missing = directory.path().join("missing.yaml").display().to_string();
    exits(&countersign(&["policy", "check", &missing]), 2, &["missing.yaml"]);
}

#[test]
fn a_bad_configuration_is_refused_with_the_keys_path() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("countersign.yaml");
    let refuses = |text: &str, says: &str| {
        std::fs::write(&path, text).unwrap();
        exits(&countersign(&["serve", "--config", &path.display().to_string()]), 2, &[says]);
    };
    refuses("registry: {listne: '127.0.0.1:0'}", "registry.listne");
    refuses("registry: {listen: here}", "registry.listen");
    let directory = directory.path().display();
    refuses(
        &format!("storage: {{path: {directory}/s}}\ntrust: {{root: {{file: {directory}/none.json}}}}"),
        "none.json",
    );
    assert!(!Path::new(&format!("{directory}/s/ca.pem")).exists(), "a refused configuration changes nothing");
}

#[test]
fn help_and_bad_usage_are_told_apart() {
    exits(&countersign(&["--help"]), 0, &["serve", "verify", "Exit codes"]);
    exits(&countersign(&["serve", "--nonsense"]), 2, &["--nonsense"]);
}

#[test]
fn the_conformance_suites_vectors_come_out_as_expected() {
    let Some(data) = super::stage::shared("sigstore-conformance") else { return };
    let table = std::fs::read_to_string(data.join("index.tsv")).unwrap();
    let mut lines = table.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let (mut right, mut rows) = (0, 0);
    for line in lines {
        let field = |name: &str| line[header.iter().position(|column| *column == name).unwrap()];
        let path = |name: &str| data.join(field(name)).display().to_string();
        let mut arguments = vec!["verify-bundle".to_owned(), "--bundle".into(), path("bundle")];
        arguments.extend(["--trusted-root".to_owned(), path("trusted_root")]);
        if field("key") == "-" {
            arguments.extend(["--certificate-identity".to_owned(), field("identity").to_owned()]);
            arguments.extend(["--certificate-oidc-issuer".to_owned(), field("issuer").to_owned()]);
        } else {
            arguments.extend(["--key".to_owned(), path("key")]);
        }
        let artifact = if field("artifact").starts_with("sha256:") {
            field("artifact").to_owned()
        } else {
            path("artifact")
        };
        arguments.push(artifact);
        let output = countersign(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let passed = output.status.code() == Some(0);
        rows += 1;
        // A key that is none is bad usage, which is no yes either.
        let as_expected = passed == (field("expect") == "pass");
        right += usize::from(as_expected);
        println!("{:60} {:5} {}", field("vector"), field("expect"), text(&output).trim().replace('\n', " "));
        assert!(as_expected, "{}: {}", field("vector"), text(&output));
    }
    println!("{right} of {rows} vectors as expected");
    assert_eq!((right, rows), (70, 70));
}
