//! What a gateway that has done something of everything says of itself, as Prometheus reads it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::stage::{HOST, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_finds_nothing_to_complain_of_in_the_metrics() {
    let stage = Stage::new().await;
    let signed = stage.signed(1, "acme/app", "v1").digest();
    let unsigned = stage.unsigned(2, "acme/app", "v2").digest();
    let gateway = stage.gateway().await;
    for _ in 0..2 {
        assert_eq!(gateway.get(&format!("/v2/{HOST}/acme/app/manifests/v1")).await.status, 200);
        assert_eq!(gateway.get(&format!("/v2/{HOST}/acme/app/manifests/{unsigned}")).await.status, 403);
        assert_eq!(gateway.get(&format!("/v2/{HOST}/acme/none/manifests/v1")).await.status, 404);
        assert_eq!(gateway.denial(&format!("{HOST}/acme/app@{signed}")).await, "");
        assert_ne!(gateway.denial(&format!("{HOST}/acme/app@{unsigned}")).await, "");
    }
    let metrics = gateway.admin("/metrics").await;
    let metrics = std::str::from_utf8(metrics.bytes()).unwrap();
    for name in ["countersign_pulls_total", "countersign_reviews_total", "countersign_pull_seconds_bucket"] {
        assert!(metrics.contains(name), "{name} is not in {metrics}");
    }
    let said = promtool(metrics);
    assert!(said.is_empty(), "{said}\n{metrics}");
    // It would have complained.
    assert!(promtool("# TYPE it_total gauge\nit_total 1\n").contains("it_total"));
}

/// What `promtool check metrics` has to say.
fn promtool(metrics: &str) -> String {
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("promtool: {error}; `scripts/install-tools e2e` installs it"));
    child.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if said.is_empty() {
        assert!(output.status.success(), "{output:?}");
    }
    said
}
