//! Tenants that are objects of a real API server.

use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use testkit::registry::{Fault, Seen};

use super::namespaces::{until_nobodys, until_whose, whose};
use super::world::{World, until};
use crate::stage::HOST;
use crate::tenants::{of, pull, user_of};

const OBJECTS: &str = ", tenantObjects: true";

fn tenant(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: policy.countersign.dev/v1alpha1\nkind: Tenant\nmetadata: {{name: {name}}}\n\
         spec: {{message: this is {name}, {spec}}}\n"
    )
}

fn secret(name: &str, entries: &[(&str, &str)]) -> String {
    let entries: Vec<_> = entries.iter().map(|(name, value)| format!("{name}: '{value}'")).collect();
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: cosign-system}}\n\
         stringData: {{{}}}\n",
        entries.join(", ")
    )
}

/// Waits until an object is told to be this, and why.
async fn until_is(world: &World, name: &str, reason: &str, why: &str) {
    let said = Mutex::new(Value::Null);
    let told = async || {
        let object = world.plane.does(&["get", "tenants.policy.countersign.dev", name, "-o", "json"]);
        let object: Value = serde_json::from_str(&object).unwrap();
        let condition = object["status"]["conditions"][0].clone();
        *said.lock().unwrap() = condition.clone();
        let message = condition["message"].as_str().unwrap_or_default().to_owned();
        condition["reason"] == reason
            && condition["observedGeneration"] == object["metadata"]["generation"]
            && message.contains(why)
    };
    until(&format!("{name} is not {reason}"), told, || said.lock().unwrap().to_string()).await;
}

/// What the pull door answers to this login.
async fn pulls(world: &World, login: &str) -> String {
    let authorization = format!("Basic {}", STANDARD.encode(login));
    let headers = [("authorization", &*authorization)];
    let path = of("other/app", "manifests/v1");
    let reply = world.gateway().request("GET".parse().unwrap(), &path, &headers).await;
    format!("{} {}", reply.status.as_u16(), String::from_utf8_lossy(reply.bytes()))
}

async fn until_pulls(world: &World, login: &str, is: &str) {
    let said = Mutex::new(String::new());
    let so = async || {
        let answer = pulls(world, login).await;
        *said.lock().unwrap() = answer.clone();
        answer.contains(is)
    };
    until(&format!("{login} is not answered {is}"), so, || said.lock().unwrap().clone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_tenants_as_they_come_change_and_go_and_none_is_that_overlaps_another() {
    let mut world = World::for_tenants().await;
    world.unsigned(1, "other/app", "v1");
    for namespace in ["one", "two", "three", "kept"] {
        world.plane.does(&["create", "namespace", namespace]);
    }
    let configured = "tenants: [{name: configured, namespaces: [kept], message: this is configured}]";
    world.start_for(configured, OBJECTS, ", noMatch: deny").await;
    world.until_ready().await;
    assert_eq!(whose(&world, "kept").await, "configured");
    assert!(whose(&world, "one").await.contains("is of no tenant"));

    // It comes, changes and goes without a restart.
    world.plane.apply(&tenant("a", "namespaces: [one]"));
    until_whose(&world, "one", "a").await;
    until_is(&world, "a", "InForce", "").await;
    world.plane.apply(&tenant("a", "namespaces: [one], contact: '#a'"));
    until_whose(&world, "one", "a; contact #a").await;
    world.plane.apply(&tenant("a", "namespaces: [two]"));
    until_whose(&world, "two", "a").await;
    assert!(whose(&world, "one").await.contains("is of no tenant"));
    world.plane.apply(&tenant("a", "namespaceSelector: {matchLabels: {team: a}}"));
    until_nobodys(&world, "two", "is of no tenant").await;
    world.plane.does(&["label", "namespace", "one", "team=a"]);
    until_whose(&world, "one", "a").await;
    world.plane.does(&["label", "namespace", "one", "team-"]);
    world.plane.apply(&tenant("a", "namespaces: [one]"));
    until_whose(&world, "one", "a").await;

    // Neither of two is what only one could be, and the configuration stands.
    world.plane.apply(&tenant("b", "namespaces: [one, three]"));
    until_nobodys(&world, "one", "is of no tenant").await;
    assert!(whose(&world, "three").await.contains("is of no tenant"));
    for name in ["a", "b"] {
        until_is(&world, name, "Overlaps", "Tenant/a.namespaces").await;
    }
    world.plane.apply(&tenant("b", "namespaces: [three, kept]"));
    until_whose(&world, "one", "a").await;
    until_is(&world, "b", "Overlaps", "tenants[0].namespaces").await;
    assert_eq!(whose(&world, "kept").await, "configured");
    assert!(whose(&world, "three").await.contains("is of no tenant"));
    world.plane.apply(&tenant("b", "namespaces: [three]"));
    until_whose(&world, "three", "b").await;
    world.plane.does(&["delete", "tenants.policy.countersign.dev", "b"]);
    until_nobodys(&world, "three", "is of no tenant").await;
    assert_eq!(whose(&world, "one").await, "a");

    // What is written wrong is said, and so is what is for the configuration alone.
    for (spec, why) in [
        ("namespaces: ['not one']", "is no name of a namespace"),
        ("nameSpaces: [one]", "unknown field"),
        ("message: no more", "neither namespaces nor callers"),
        ("namespaces: [three], policies: {directory: /etc}", "spec.policies.directory"),
        ("namespaces: [three], quotas: {disk: 1GiB}", "spec.quotas.disk"),
        ("namespaces: [three], upstreams: [{host: nowhere.example}]", "is none of upstreams[]"),
        ("callers: [{certificates: [{dns: node.example}]}]", "registry.clientCa"),
    ] {
        world.plane.apply(&tenant("c", &spec.replace("message: no more", "quotas: {}")));
        until_is(&world, "c", "Refused", why).await;
    }
    assert!(whose(&world, "three").await.contains("is of no tenant"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tenant_that_is_an_object_logs_in_with_is_in_a_secret_that_may_change() {
    let mut world = World::for_tenants().await;
    world.unsigned(1, "other/app", "v1");
    world.start_for("", OBJECTS, ", noMatch: deny").await;
    world.until_ready().await;
    assert!(pulls(&world, "node:first-password").await.starts_with("403"), "nobody could log in");

    world.plane.apply(&tenant("a", "callers: [{credentials: [{secretRef: {name: node}}]}]"));
    until_is(&world, "a", "Unusable", "there is no Secret \"node\"").await;
    world.plane.apply(&secret("node", &[("username", "node"), ("password", "short")]));
    until_is(&world, "a", "Unusable", "fewer than 8 characters").await;
    world.plane.apply(&secret("node", &[("username", "node"), ("password", "first-password")]));
    until_is(&world, "a", "InForce", "").await;
    until_pulls(&world, "node:first-password", "this is a").await;
    world.plane.apply(&secret("node", &[("username", "node"), ("password", "second-password")]));
    until_pulls(&world, "node:second-password", "this is a").await;
    assert!(pulls(&world, "node:first-password").await.starts_with("401"));

    // Another with the same login: neither.
    world.plane.apply(&secret("same", &[("username", "node"), ("password", "second-password")]));
    world.plane.apply(&tenant("b", "callers: [{credentials: [{secretRef: {name: same}}]}]"));
    until_is(&world, "b", "Overlaps", "callers[0].credentials").await;
    until_is(&world, "a", "Overlaps", "callers[0].credentials").await;
    until_pulls(&world, "node:second-password", "is of no tenant").await;
    world.plane.does(&["delete", "tenants.policy.countersign.dev", "b"]);
    until_pulls(&world, "node:second-password", "this is a").await;
    world.plane.does(&["--namespace", "cosign-system", "delete", "secret", "node"]);
    until_is(&world, "a", "Unusable", "there is no Secret").await;
    until_pulls(&world, "node:second-password", "is of no tenant").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tenant_that_is_an_object_shows_to_a_registry_is_in_a_secret_that_may_change() {
    let mut world = World::for_tenants().await;
    world.unsigned(1, "acme/private", "v1");
    let challenge = vec![("www-authenticate", "Basic realm=\"origin\"".to_owned())];
    let is_stranger =
        |seen: &Seen| seen.path.starts_with("/v2/acme/private/") && user_of(seen).as_deref() != Some("a");
    world.stage().origin.fault(is_stranger, Fault::StatusWith(401, challenge));
    world.plane.apply(&secret("registry", &[("username", "a"), ("password", "another")]));
    let spec = format!(
        "callers: [{{hostnames: [a.mirror.example]}}], registry: {{noMatch: allow}}, \
         upstreams: [{{host: {HOST}, credentials: {{secretRef: {{name: registry}}}}}}]"
    );
    world.plane.apply(&tenant("a", &spec));
    world.start_for("", OBJECTS, "").await;
    world.until_ready().await;
    until_is(&world, "a", "InForce", "").await;
    let path = of("acme/private", "manifests/v1");
    let status = async || pull(world.gateway(), "a", &path).await.status.as_u16();
    let refused = status().await;
    assert!((400..500).contains(&refused), "{refused}");
    world.plane.apply(&secret("registry", &[("username", "a"), ("password", "password-of-a")]));
    let said = Mutex::new(0);
    let is_given = async || {
        let status = status().await;
        *said.lock().unwrap() = status;
        status == 200
    };
    until("the new password is not shown", is_given, || said.lock().unwrap().to_string()).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_objects_cannot_be_known_whoever_may_be_one_of_them_is_not_told() {
    let mut world = World::for_tenants().await;
    world.unsigned(1, "other/app", "v1");
    for namespace in ["one", "kept"] {
        world.plane.does(&["create", "namespace", namespace]);
    }
    world.plane.apply(&tenant("a", "namespaces: [one]"));
    world.plane.stop_api_server();
    let configured = "tenants: [{name: default, message: this is default}, {name: b, namespaces: [kept], message: this is b}]";
    world.start_for(configured, &format!("{OBJECTS}, staleFor: 1s"), "").await;
    world.until_readyz("not ready").await;
    until_nobodys(
        &world,
        "one",
        "503 namespace \"one\" could be of any tenant of this gateway: Tenant objects are not synced",
    )
    .await;
    assert_eq!(whose(&world, "kept").await, "b");
    world.plane.start_api_server().await;
    world.until_ready().await;
    until_whose(&world, "one", "a").await;
    assert_eq!(whose(&world, "default").await, "default");
    // Whoever may be of one that is not in force is not taken for another either.
    world.plane.apply(&tenant("c", "namespaces: [kept]"));
    until_nobodys(&world, "default", "Tenant/c is not in force").await;
    assert_eq!(whose(&world, "kept").await, "b");
    world.plane.does(&["delete", "tenants.policy.countersign.dev", "c"]);
    until_whose(&world, "default", "default").await;
    world.plane.stop_api_server();
    until_nobodys(&world, "one", "Tenant objects are too old").await;
    assert!(whose(&world, "default").await.contains("Tenant objects are too old"));
    world.plane.start_api_server().await;
    until_whose(&world, "one", "a").await;
    world.stop().await;
}
