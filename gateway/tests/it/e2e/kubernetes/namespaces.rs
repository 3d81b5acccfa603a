//! Tenants that are told by the labels which a real API server says that namespaces have.

use std::sync::Mutex;

use serde_json::Value;

use super::world::{World, until};
use crate::stage::HOST;
use crate::tenants::{admit, of};

const TENANTS: &str = "tenants:\n\
    - {name: a, namespaceSelector: {matchLabels: {team: a}}, message: this is a}\n\
    - {name: b, namespaceSelector: {matchExpressions: [{key: tier, operator: In, values: [gold, silver]}]}, message: this is b}\n\
    - {name: listed, namespaces: [listed], message: this is listed}\n";

/// Whose a namespace is: every tenant's denials say so. Otherwise, why nobody's.
pub(super) async fn whose(world: &World, namespace: &str) -> String {
    let answer: Value = admit(world.gateway(), namespace, &format!("{HOST}/other/app:v1")).await;
    assert_eq!(answer["allowed"], false, "{answer}");
    let message = answer["status"]["message"].as_str().unwrap();
    match message.rsplit_once("this is ") {
        Some((_, name)) => name.to_owned(),
        None => format!("{} {message}", answer["status"]["code"]),
    }
}

/// Waits until a namespace is of this tenant.
pub(super) async fn until_whose(world: &World, namespace: &str, is: &str) {
    until_said(world, namespace, is, |whose| whose == is).await;
}

/// Waits until a namespace is nobody's, for this reason.
pub(super) async fn until_nobodys(world: &World, namespace: &str, why: &str) {
    until_said(world, namespace, why, |whose| whose.contains(why)).await;
}

async fn until_said(world: &World, namespace: &str, what: &str, so: impl Fn(&str) -> bool) {
    let said = Mutex::new(String::new());
    let so = async || {
        let whose = whose(world, namespace).await;
        said.lock().unwrap().clone_from(&whose);
        so(&whose)
    };
    until(&format!("{namespace} is not {what}"), so, || said.lock().unwrap().clone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_of_the_tenant_that_selects_its_labels_and_of_nobody_where_two_do() {
    let mut world = World::for_tenants().await;
    world.unsigned(1, "other/app", "v1");
    world.plane.does(&["create", "namespace", "one"]);
    world.plane.does(&["create", "namespace", "listed"]);
    let label = |world: &World, namespace: &str, labels: &[&str]| {
        world.plane.does(&[&["label", "--overwrite", "namespace", namespace], labels].concat());
    };
    label(&world, "one", &["team=a"]);
    world.start_for(TENANTS, "", "").await;
    world.until_ready().await;

    assert_eq!(whose(&world, "one").await, "a");
    assert_eq!(whose(&world, "listed").await, "listed");
    let other = whose(&world, "default").await;
    assert_eq!(other, "403 namespace \"default\" is of no tenant of this gateway");
    // Nobody says that there is such a namespace, so nobody can tell whose it is.
    assert!(whose(&world, "nowhere").await.starts_with("503 namespace \"nowhere\" could be of any tenant"));

    // As the labels are, so is the tenant.
    label(&world, "one", &["team-", "tier=silver"]);
    until_whose(&world, "one", "b").await;
    label(&world, "one", &["team=a"]);
    until_nobodys(&world, "one", "403 namespace \"one\" is of several tenants of this gateway: a, b").await;
    label(&world, "one", &["team-", "tier=bronze"]);
    until_nobodys(&world, "one", "is of no tenant").await;
    // Also of one that is listed by its name.
    label(&world, "listed", &["tier=gold"]);
    until_nobodys(
        &world,
        "listed",
        "403 namespace \"listed\" is of several tenants of this gateway: b, listed",
    )
    .await;
    label(&world, "listed", &["tier-"]);
    until_whose(&world, "listed", "listed").await;
    // One that was made a moment ago is waited for.
    world.plane.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: new, labels: {team: a}}\n");
    assert_eq!(whose(&world, "new").await, "a");
    let metrics = String::from_utf8(world.gateway().admin("/metrics").await.bytes().to_vec()).unwrap();
    for reason in ["unknown", "several-tenants", "untold-tenant"] {
        let counted = format!("countersign_strangers_total{{door=\"admission\",reason=\"{reason}\"}}");
        assert!(metrics.contains(&counted), "{counted}: {metrics}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_a_namespace_is_that_is_selected_cannot_be_told_while_the_api_server_is_away_for_long() {
    let mut world = World::for_tenants().await;
    world.unsigned(1, "other/app", "v1");
    world.plane.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: one, labels: {team: a}}\n");
    world.plane.stop_api_server();
    world.start_for(TENANTS, "", "").await;
    world.until_readyz("not ready").await;
    until_nobodys(
        &world,
        "one",
        "503 namespace \"one\" could be of any tenant of this gateway: namespaces are not synced",
    )
    .await;
    world.plane.start_api_server().await;
    world.until_ready().await;
    assert_eq!(whose(&world, "one").await, "a");

    // What it said goes on for a while.
    world.plane.stop_api_server();
    world.until_readyz("ready: policies are stale").await;
    assert_eq!(whose(&world, "one").await, "a");
    world.stop_gateway().await;
    world.plane.start_api_server().await;
    world.start_for(TENANTS, ", staleFor: 1s", "").await;
    world.until_ready().await;
    world.plane.stop_api_server();
    until_nobodys(
        &world,
        "one",
        "503 namespace \"one\" could be of any tenant of this gateway: namespaces are too old",
    )
    .await;
    assert_eq!(world.until_readyz("not ready").await, 503);
    world.plane.start_api_server().await;
    world.until_ready().await;
    until_whose(&world, "one", "a").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_a_pod_is_of_the_tenant_that_selects_the_labels_of_its_namespace() {
    let mut world = World::for_tenants().await;
    world.unsigned(1, "other/app", "v1");
    let plane = &world.plane;
    plane.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: one, labels: {team: a}}\n");
    plane.does(&["--namespace", "one", "create", "serviceaccount", "app"]);
    plane.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: app, namespace: one}\n\
         spec: {serviceAccountName: app, containers: [{name: app, image: 'app:v1'}]}\n",
    );
    let bound = ["--bound-object-kind", "Pod", "--bound-object-name", "app", "--audience", "mirror.example"];
    let token = plane.does(&[&["--namespace", "one", "create", "token", "app"], bound.as_slice()].concat());
    let keys = world.stage().directory.path().join("keys.json");
    std::fs::write(&keys, plane.does(&["get", "--raw", "/openid/v1/jwks"])).unwrap();
    let accounts = format!(
        ", noMatch: deny, serviceAccounts: {{issuer: 'https://kubernetes.default.svc', audience: mirror.example, keys: {}}}",
        keys.display()
    );
    world.start_for(TENANTS, "", &accounts).await;
    world.until_ready().await;
    let ask = async || {
        let authorization = format!("Bearer {}", token.trim());
        let path = of("other/app", "manifests/v1");
        let headers = [("authorization", &*authorization)];
        let reply = world.gateway().request("GET".parse().unwrap(), &path, &headers).await;
        format!("{} {}", reply.status.as_u16(), String::from_utf8_lossy(reply.bytes()))
    };
    let until_told = async |is: &str| {
        let said = Mutex::new(String::new());
        let so = async || {
            let answer = ask().await;
            *said.lock().unwrap() = answer.clone();
            answer.contains(is)
        };
        until(is, so, || said.lock().unwrap().clone()).await;
    };
    assert!(ask().await.contains("this is a"), "{}", ask().await);
    world.plane.does(&["label", "namespace", "one", "tier=gold"]);
    until_told("is of several tenants").await;
    world.plane.does(&["label", "namespace", "one", "team-"]);
    until_told("this is b").await;
    world.plane.does(&["label", "namespace", "one", "tier-"]);
    until_told("is of no tenant").await;
    world.stop().await;
}
