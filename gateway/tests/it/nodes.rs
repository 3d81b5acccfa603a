//! Nodes: configuration that leaves them no other way, what is found in such as does, and the canary.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use super::cli::{countersign, exits};
use super::stage::{HOST, Stage, pod, review};

const GATEWAY: &str = "https://gateway.example:5000";

fn run(arguments: &[&str]) -> Output {
    countersign(arguments)
}

#[test]
fn what_is_written_for_each_runtime_has_no_holes() {
    for runtime in ["containerd", "crio", "podman", "docker", "k3s", "talos"] {
        let directory = tempfile::TempDir::new().unwrap();
        let below = directory.path().display().to_string();
        let ca = directory.path().join("authority.pem");
        std::fs::write(&ca, "-----BEGIN CERTIFICATE-----\n").unwrap();
        let ca = ca.display().to_string();
        let node = format!("{below}/node");
        let write =
            ["mirror-config", runtime, "--registry", GATEWAY, "--ca", &ca, "--strict", "--output", &node];
        let written = run(&write);
        exits(&written, 0, &["egress: ", "registry-1.docker.io", "public.ecr.aws"]);
        exits(&run(&write), 0, &[]);
        let read = run(&["mirror-lint", &node, "--registry", GATEWAY]);
        exits(&read, 0, &[" read, 0 holes"]);
        // Somebody else's gateway is none.
        exits(&run(&["mirror-lint", &node, "--registry", "https://other.example"]), 1, &["not-ours"]);
    }
}

#[test]
fn a_hole_that_remains_is_said_and_refused_where_strictness_is_asked_for() {
    let directory = tempfile::TempDir::new().unwrap();
    let node = directory.path().display().to_string();
    let mirrors = ["mirror-config", "docker", "--registry-mirrors", "--registry", GATEWAY];
    exits(&run(&mirrors), 0, &["hole: ", "cannot be closed", "\"registry-mirrors\""]);
    let strict = run(&[&mirrors[..], &["--strict", "--output", &node]].concat());
    exits(&strict, 1, &["hole: ", "nothing was written"]);
    assert!(!directory.path().join("etc").exists());
    let plain = ["mirror-config", "containerd", "--registry", "http://gateway.example", "--strict"];
    exits(&run(&plain), 1, &["plain HTTP"]);
    exits(
        &run(&["mirror-config", "containerd", "--registry", "gateway.example"]),
        2,
        &["http:// nor https://"],
    );
    exits(
        &run(&["mirror-config", "containerd", "--registry", GATEWAY, "--upstream", "a b"]),
        2,
        &["--upstream"],
    );
}

#[test]
fn registries_come_from_the_gateways_own_configuration_and_nothing_is_overwritten() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let config =
        "upstreams: [{host: registry.example, aliases: [mirror.example]}]\nstorage: {path: /nowhere}\n";
    std::fs::write(path("countersign.yaml"), config).unwrap();
    let (config, node) = (path("countersign.yaml"), path("node"));
    let write = ["mirror-config", "crio", "--registry", GATEWAY, "--config", &config, "--output", &node];
    exits(&run(&write), 0, &["99-countersign.conf"]);
    let conf = Path::new(&node).join("etc/containers/registries.conf.d/99-countersign.conf");
    let text = std::fs::read_to_string(&conf).unwrap();
    assert!(
        text.contains("mirror.example") && text.contains("registry.example") && !text.contains("ghcr.io"),
        "{text}"
    );
    std::fs::write(&conf, "# mine\n").unwrap();
    exits(&run(&write), 2, &["says something else"]);
    assert_eq!(std::fs::read_to_string(&conf).unwrap(), "# mine\n");
}

#[test]
fn keys_are_written_for_the_owner_alone_and_not_printed() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::TempDir::new().unwrap();
    let pem = |name: &str, label: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, format!("-----BEGIN {label}-----\nc2VjcmV0\n")).unwrap();
        path.display().to_string()
    };
    let (certificate, key) = (pem("crt", "CERTIFICATE"), pem("key", "PRIVATE KEY"));
    let node = directory.path().join("node").display().to_string();
    let write = [
        "mirror-config",
        "containerd",
        "--registry",
        GATEWAY,
        "--client-cert",
        &certificate,
        "--client-key",
        &key,
    ];
    let printed = run(&write);
    exits(&printed, 0, &["client = [[", "client.key is to hold the key"]);
    assert!(!String::from_utf8_lossy(&printed.stdout).contains("PRIVATE KEY"));
    exits(&run(&[&write[..], &["--output", &node]].concat()), 0, &[]);
    let mode =
        std::fs::metadata(Path::new(&node).join("etc/countersign/client.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn lint_says_where_and_what_instead_to_people_and_to_machines() {
    let directory = tempfile::TempDir::new().unwrap();
    let hosts = directory.path().join("certs.d/_default/hosts.toml");
    std::fs::create_dir_all(hosts.parent().unwrap()).unwrap();
    std::fs::write(&hosts, format!("server = \"https://docker.io\"\n[host.\"{GATEWAY}\"]\n")).unwrap();
    let path = directory.path().display().to_string();
    let text = run(&["mirror-lint", &path, "--registry", GATEWAY]);
    exits(&text, 1, &["hosts.toml:1: origin-as-server: ", "instead: ", "1 file read, 1 hole"]);
    let json = run(&["mirror-lint", &path, "--registry", GATEWAY, "--output", "json"]);
    let document: Value = serde_json::from_slice(&json.stdout).unwrap();
    let hole = &document["holes"][0];
    assert_eq!(
        (&hole["hole"], &hole["line"], json.status.code()),
        (&json!("origin-as-server"), &json!(1), Some(1))
    );
    let missing = directory.path().join("missing").display().to_string();
    exits(&run(&["mirror-lint", &missing]), 2, &["could not read", "missing"]);
    exits(&run(&["mirror-lint", &path, &missing]), 1, &["could not read", "origin-as-server"]);
}

fn counted(metrics: &str, door: &str) -> u64 {
    let name = format!("countersign_canary_denials_total{{door=\"{door}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
    line.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_is_denied_at_both_doors_and_no_registry_is_asked_for_it() {
    let stage = Stage::new().await;
    // Signed by whom the policy expects, and in a registry: it is denied for what it is called alone.
    let canary = stage.signed(1, "countersign/canary", "denied").digest();
    let named = stage.signed(2, "acme/sentinel", "v1").digest();
    stage.policy(
        "all.yaml",
        "{apiVersion: policy.sigstore.dev/v1beta1, kind: ClusterImagePolicy, metadata: {name: all}, \
        spec: {images: [{glob: '**'}], authorities: [{static: {action: pass}}]}}",
    );
    let gateway = stage.gateway_with(&format!("registry.canaries: ['{HOST}/acme/sentinel']")).await;
    let metrics = String::from_utf8(gateway.admin("/metrics").await.bytes().to_vec()).unwrap();
    let (pulls, reviews) = (counted(&metrics, "pull"), counted(&metrics, "admission"));

    let paths = [
        "/v2/countersign/canary/manifests/denied".to_owned(),
        format!("/v2/countersign/canary/manifests/denied?ns={HOST}"),
        "/v2/countersign/canary/manifests/denied?ns=unknown.example".to_owned(),
        format!("/v2/{HOST}/countersign/canary/manifests/{canary}"),
        format!("/v2/{HOST}/countersign/canary/blobs/{canary}"),
        format!("/v2/acme/sentinel/manifests/v1?ns={HOST}"),
        format!("/v2/{HOST}/acme/sentinel/manifests/{named}"),
    ];
    for path in &paths {
        let reply = gateway.get(path).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (403, "DENIED"), "{path}");
        assert_eq!(reply.header("countersign-reason"), "canary");
        assert_eq!(gateway.head(path).await.status, 403);
    }
    let images = [
        format!("{HOST}/countersign/canary@{canary}"),
        format!("{HOST}/acme/sentinel@{named}"),
        format!("gateway.example:5000/{HOST}/acme/sentinel@{named}"),
        format!("gateway.example:5000/countersign/canary@{canary}"),
        format!("{HOST}/countersign/canary:denied"),
    ];
    for image in &images {
        assert!(gateway.denial(image).await.contains("is the canary"), "{image}");
    }
    // Its tag is not replaced, which would take asking for it.
    let tagged = format!("{HOST}/countersign/canary:denied");
    let mutated = gateway.post("/admission/mutate", review(&pod(&[&tagged])).to_string()).await.json();
    assert_eq!(
        (&mutated["response"]["allowed"], &mutated["response"]["patch"]),
        (&json!(true), &Value::Null)
    );

    assert_eq!(stage.origin.requests().len(), 0, "{:?}", stage.origin.requests());
    let metrics = String::from_utf8(gateway.admin("/metrics").await.bytes().to_vec()).unwrap();
    // Other tests of this process count too.
    assert!(counted(&metrics, "pull") >= pulls + 2 * paths.len() as u64);
    assert!(counted(&metrics, "admission") >= reviews + images.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_denies_a_canary_without_asking() {
    let stage = Stage::new().await;
    let config = stage.configuration("registry: {canaries: ['docker.io/hello-world']}").display().to_string();
    let asked = tokio::task::spawn_blocking(move || {
        ["registry-1.docker.io/library/hello-world:latest", "registry.example/countersign/canary"]
            .map(|image| run(&["verify", image, "--config", &config, "--output", "json"]))
    });
    for output in asked.await.unwrap() {
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), &document["reason"]), (Some(1), &json!("canary")), "{output:?}");
    }
    assert_eq!(stage.origin.requests().len(), 0);
}

#[test]
fn a_canary_is_a_repository_without_a_tag() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("countersign.yaml");
    std::fs::write(&path, "registry: {canaries: ['docker.io/hello-world:latest']}").unwrap();
    exits(
        &run(&["serve", "--config", &path.display().to_string()]),
        2,
        &["registry.canaries", "neither tag nor digest"],
    );
}

#[test]
fn a_canarys_round_tells_open_from_denied_from_what_shows_nothing() {
    let round = |script: &str| {
        let canary =
            ["mirror-config", "canary", "--upstream", "ghcr.io", "--timeout", "5s", "--", "sh", "-c", script];
        run(&canary)
    };
    exits(
        &round("echo failed: 403 Forbidden >&2; exit 1"),
        0,
        &["denied: ghcr.io/countersign/canary:denied"],
    );
    exits(
        &round("echo 'denied: this is the canary, which is always denied: whoever'; exit 1"),
        2,
        &["could not tell"],
    );
    exits(&round("true"), 1, &["OPEN: ghcr.io/countersign/canary:denied"]);
    exits(&round("echo no such socket >&2; exit 1"), 2, &["could not tell", "no such socket"]);
    let canary = ["mirror-config", "canary", "--registry", GATEWAY, "--image", "hello-world"];
    let more = ["--upstream", "docker.io", "--timeout", "100ms", "--", "sh", "-c", "exec sleep 60"];
    let says = [
        "gateway.example:5000/countersign/canary:denied",
        "docker.io/countersign/canary:denied",
        "docker.io/library/hello-world:latest",
        "did not end in time",
    ];
    exits(&run(&[&canary[..], &more].concat()), 2, &says);
    let directory = tempfile::TempDir::new().unwrap();
    let config = directory.path().join("countersign.yaml");
    let text = "upstreams: [{host: ghcr.io}]\nregistry: {canaries: ['quay.io/libpod/alpine']}\nstorage: {path: /nowhere}\n";
    std::fs::write(&config, text).unwrap();
    let configured =
        run(&["mirror-config", "canary", "--config", &config.display().to_string(), "--", "true"]);
    exits(&configured, 1, &["OPEN: ghcr.io/countersign/canary:denied", "OPEN: quay.io/libpod/alpine:latest"]);
    exits(
        &run(&["mirror-config", "canary", "--upstream", "ghcr.io", "--", "/no/such/client"]),
        2,
        &["/no/such/client"],
    );
}
