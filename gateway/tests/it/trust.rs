//! Trust roots that come from a repository of The Update Framework: a real one, on loopback.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use testkit::authority::Authority;
use testkit::mirror::Mirror;
use testkit::tuf::TufRepository;

use crate::stage::{Gateway, HOST, POLICY, Stage};

/// A stage whose trust root is in a repository.
struct Trusted {
    stage: Stage,
    repository: TufRepository,
    mirror: Mirror,
}

impl Trusted {
    async fn new() -> Self {
        let stage = Stage::new().await;
        let repository = TufRepository::new("repository", &stage.authority.trusted_root());
        std::fs::write(stage.directory.path().join("root.json"), repository.root(1)).unwrap();
        let mirror = Mirror::start(&repository.files).await;
        Self { stage, repository, mirror }
    }

    /// A gateway that asks the mirror every second.
    async fn gateway(&self) -> Gateway {
        let root = self.stage.directory.path().join("root.json");
        let trust = format!(
            "trust: {{refresh: 1s, root: {{tuf: {{mirror: '{}', root: {}}}}}}}",
            self.mirror.url(),
            root.display()
        );
        self.stage.gateway_under(&trust).await
    }

    fn publish(&mut self, edit: impl FnOnce(&mut TufRepository)) {
        edit(&mut self.repository);
        self.mirror.serve(&self.repository.files);
    }

    /// An image that the stage's authority signed, as a pod names it.
    fn image(&self, seed: u64) -> String {
        let image = self.stage.signed(seed, "acme/app", "v1");
        format!("{HOST}/acme/app@{}", image.digest())
    }
}

/// Waits until something is so, for as long as a test may take.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

async fn ready(gateway: &Gateway) {
    until("ready", async || gateway.admin("/readyz").await.status == 200).await;
}

#[tokio::test]
async fn a_trust_root_that_is_published_is_in_force_and_asks_no_registry() {
    let mut trusted = Trusted::new().await;
    let image = trusted.image(1);
    let gateway = trusted.gateway().await;
    ready(&gateway).await;
    assert_eq!(gateway.denial(&image).await, "");
    trusted.stage.origin.clear_requests();
    let other = Authority::new("another");
    trusted.publish(|repository| {
        repository.rotate("root", &["new-root"]);
        repository.rotate("targets", &["ed25519:new-targets"]);
        repository.update(&other.trusted_root());
    });
    until("denied", async || !gateway.denial(&image).await.is_empty()).await;
    let denial = gateway.denial(&image).await;
    assert!(!denial.contains("could not"), "{denial}");
    let first = trusted.stage.authority.trusted_root();
    trusted.publish(|repository| repository.update(&first));
    until("allowed", async || gateway.denial(&image).await.is_empty()).await;
    assert_eq!(trusted.stage.origin.count(|_| true), 0);
    gateway.stop().await;
}

#[tokio::test]
async fn without_its_trust_root_a_gateway_starts_and_tells_nothing_until_it_comes() {
    let trusted = Trusted::new().await;
    let image = trusted.image(2);
    trusted.mirror.away(true);
    let gateway = trusted.gateway().await;
    let readyz = gateway.admin("/readyz").await;
    assert_eq!(readyz.status, 503);
    assert!(String::from_utf8_lossy(readyz.bytes()).contains("trust root not loaded: default"));
    let response = gateway.validate(&[&image]).await;
    assert_eq!((&response["allowed"], &response["status"]["code"]), (&false.into(), &503.into()));
    until("asked", async || trusted.mirror.requests() > 0).await;
    trusted.mirror.away(false);
    ready(&gateway).await;
    assert_eq!(gateway.denial(&image).await, "");
    gateway.stop().await;
}

#[tokio::test]
async fn a_restart_without_the_mirror_has_the_last_trust_root() {
    let trusted = Trusted::new().await;
    let image = trusted.image(3);
    let gateway = trusted.gateway().await;
    ready(&gateway).await;
    gateway.stop().await;
    trusted.mirror.away(true);
    let gateway = trusted.gateway().await;
    assert_eq!(gateway.admin("/readyz").await.status, 200);
    assert_eq!(gateway.denial(&image).await, "");
    gateway.stop().await;
}

/// The last good root stays in force, and the failure is counted.
async fn stays(trusted: &mut Trusted, reason: &str, edit: impl FnOnce(&mut TufRepository)) {
    let image = trusted.image(4);
    let gateway = trusted.gateway().await;
    ready(&gateway).await;
    trusted.publish(edit);
    let counted = format!("countersign_trust_refresh_failures_total{{reason=\"{reason}\"}}");
    until(reason, async || {
        String::from_utf8_lossy(gateway.admin("/metrics").await.bytes()).contains(&counted)
    })
    .await;
    assert_eq!(gateway.denial(&image).await, "");
    gateway.stop().await;
    let gateway = trusted.gateway().await;
    assert_eq!(gateway.denial(&image).await, "");
    gateway.stop().await;
}

#[tokio::test]
async fn an_older_repository_changes_nothing() {
    let mut trusted = Trusted::new().await;
    let first = trusted.repository.clone();
    let root = trusted.stage.authority.trusted_root();
    trusted.publish(|repository| repository.update(&root));
    stays(&mut trusted, "rollback", |repository| *repository = first).await;
}

#[tokio::test]
async fn an_expired_repository_changes_nothing() {
    let mut trusted = Trusted::new().await;
    let other = Authority::new("another").trusted_root();
    stays(&mut trusted, "expired", |repository| {
        repository.expires.insert("timestamp".into(), "2026-01-01T00:00:00Z".into());
        repository.update(&other);
    })
    .await;
}

#[tokio::test]
async fn what_the_repositorys_keys_did_not_sign_changes_nothing() {
    let mut trusted = Trusted::new().await;
    let other = Authority::new("another").trusted_root();
    stays(&mut trusted, "unsigned", |repository| {
        repository.signing.insert("targets".into(), vec!["stranger".into()]);
        repository.update(&other);
    })
    .await;
}

/// Puts a `TrustRoot` object in force, and the stage's policy on it.
fn rest_on(stage: &Stage, spec: &str) {
    let object =
        "apiVersion: policy.sigstore.dev/v1alpha1\nkind: TrustRoot\nmetadata: {name: theirs}\nspec: ";
    stage.policy("root.yaml", &format!("{object}{spec}\n"));
    let keyless = "    - ctlog: {trustRootRef: theirs}\n      keyless:\n        trustRootRef: theirs\n";
    stage.policy("acme.yaml", &POLICY.replace("    - keyless:\n", keyless));
}

#[tokio::test]
async fn a_policy_may_rest_on_a_trust_root_object() {
    let trusted = Trusted::new().await;
    let image = trusted.image(6);
    let root = STANDARD.encode(trusted.repository.root(1));
    rest_on(&trusted.stage, &format!("{{remote: {{mirror: '{}', root: {root}}}}}", trusted.mirror.url()));
    let gateway = trusted.stage.gateway().await;
    ready(&gateway).await;
    assert_eq!(gateway.denial(&image).await, "");
    gateway.stop().await;
    let archive = STANDARD.encode([0x1f, 0x8b, 8, 0]);
    rest_on(&trusted.stage, &format!("{{repository: {{mirrorFS: {archive}, root: {root}}}}}"));
    let gateway = trusted.stage.gateway().await;
    let response = gateway.validate(&[&image]).await;
    assert_eq!((&response["allowed"], &response["status"]["code"]), (&false.into(), &503.into()));
    gateway.stop().await;
}
