//! Who is told by what, and what is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Two, admit, of, pull, refused};
use crate::stage::{HOST, Reply, Stage, release};

/// Who is told, by which path and headers.
type Case<'a> = (&'a str, String, Vec<(&'a str, &'a str)>);

fn basic(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

/// A gateway's tenants that are told by every sign there is but certificates, each with a policy that names them.
async fn told_apart(two: &Two) -> crate::stage::Gateway {
    let directory = two.stage.directory.path();
    std::fs::write(directory.join("token"), "token-of-the-tokened").unwrap();
    std::fs::write(directory.join("user"), "logged-in").unwrap();
    std::fs::write(directory.join("password"), "pass:word:of:it").unwrap();
    let directory = directory.display();
    let tenant = |name: &str, caller: &str| {
        format!(
            "{{name: {name}, message: this is {name}, callers: [{{{caller}}}], registry: {{noMatch: deny}}}}"
        )
    };
    two.gateway_with(&[
        tenant("named", "hostnames: [named.example]"),
        tenant("prefixed", "pathPrefixes: [team/prefixed]"),
        tenant("tokened", &format!("credentials: [{{tokenFile: {directory}/token}}]")),
        tenant(
            "logged-in",
            &format!("credentials: [{{usernameFile: {directory}/user, passwordFile: {directory}/password}}]"),
        ),
        tenant("both", "hostnames: [both.example], pathPrefixes: [both]"),
        tenant("far-away", "addresses: [192.0.2.0/24]"),
    ])
    .await
}

/// Who the gateway took a request to be from: every tenant's denials say so.
fn whose(reply: &Reply) -> String {
    if reply.status != 403 {
        return format!("{} {}", reply.status.as_u16(), reply.header("countersign-reason"));
    }
    let text = reply.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    text.rsplit_once("this is ")
        .map_or_else(|| reply.header("countersign-reason").to_owned(), |(_, name)| name.to_owned())
}

#[tokio::test]
async fn a_caller_is_the_tenant_that_its_signs_are_of_and_no_trick_makes_it_another() {
    let two = Two::new().await;
    let digest = two.stage.unsigned(1, "other/app", "v1").digest();
    let gateway = told_apart(&two).await;
    let path = of("other/app", &format!("manifests/{digest}"));
    let below = |prefix: &str| path.replace("/v2/", &format!("/v2/{prefix}/"));
    let (token, login) = ("Bearer token-of-the-tokened", basic("logged-in:pass:word:of:it"));
    let named = ("host", "named.example");
    let ns = format!("/v2/other/app/manifests/{digest}?ns={HOST}");
    let ns_below = format!("/v2/team/prefixed/other/app/manifests/{digest}?ns={HOST}");
    let cases: Vec<Case<'_>> = vec![
        ("named", path.clone(), vec![named]),
        ("named", ns.clone(), vec![named]),
        ("named", path.clone(), vec![("host", "NAMED.example.:5000")]),
        ("prefixed", below("team/prefixed"), vec![]),
        ("prefixed", ns_below, vec![]),
        ("tokened", path.clone(), vec![("authorization", token)]),
        ("logged-in", path.clone(), vec![("authorization", &login)]),
        ("both", below("both"), vec![("host", "both.example")]),
        // What other machines say of a caller is nothing.
        (
            "named",
            path.clone(),
            vec![named, ("x-forwarded-host", "both.example"), ("x-forwarded-for", "192.0.2.1")],
        ),
        ("named", path.clone(), vec![named, ("forwarded", "for=192.0.2.1;host=both.example")]),
        ("named", path.clone(), vec![named, ("x-forwarded-client-cert", "Subject=\"CN=b\"")]),
        // An unknown login beside a known sign is none.
        ("named", path.clone(), vec![named, ("authorization", "Bearer nobody-has-this")]),
        // Signs of two tenants are of neither.
        ("contradicting-tenants", below("team/prefixed"), vec![named]),
        ("contradicting-tenants", path.clone(), vec![named, ("authorization", token)]),
        ("contradicting-tenants", below("both"), vec![named]),
        // Half of what an entry names is nothing.
        ("unproven-tenant", below("both"), vec![]),
        ("unproven-tenant", path.clone(), vec![("host", "both.example")]),
        // Nobody at all, who may log in.
        ("401 unknown-tenant", path.clone(), vec![]),
        ("401 unknown-tenant", path.clone(), vec![("host", "named.example.evil.example")]),
        ("401 unknown-tenant", path.clone(), vec![("host", "n\u{430}med.example")]),
        ("401 unknown-tenant", path.clone(), vec![("authorization", "Bearer token-of-the-tokene")]),
        ("401 unknown-tenant", path.clone(), vec![("authorization", "Basic token-of-the-tokened")]),
        ("401 unknown-tenant", below("team"), vec![]),
        ("401 unknown-tenant", below("team/prefixed2"), vec![]),
        ("401 unknown-tenant", below("Team/prefixed"), vec![]),
        ("401 unknown-tenant", below("team%2Fprefixed"), vec![]),
        ("401 unknown-tenant", below("x/../team/prefixed"), vec![]),
    ];
    for (is, path, headers) in cases {
        let mut reply = gateway.request("GET".parse().unwrap(), &path, &headers).await;
        assert_eq!(whose(&reply), is, "{path} {headers:?}: {reply:?}");
        // HEAD says the same without a body.
        let head = gateway.request("HEAD".parse().unwrap(), &path, &headers).await;
        reply.body = head.body.clone();
        assert_eq!(
            (head.status, head.header("countersign-reason")),
            (reply.status, reply.header("countersign-reason"))
        );
    }
    let reply = gateway.get("/v2/").await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("www-authenticate")),
        (401, "Basic realm=\"countersign\"")
    );
    assert_eq!(reply.code(), "UNAUTHORIZED");
    assert_eq!(gateway.request("GET".parse().unwrap(), "/v2/", &[named]).await.status, 200);
}

#[tokio::test]
async fn the_next_page_of_a_list_is_behind_the_prefix_that_it_was_asked_by() {
    let two = Two::new().await;
    for (seed, tag) in ["one", "two", "three"].into_iter().enumerate() {
        two.stage.unsigned(seed as u64, "other/app", tag);
    }
    let gateway = told_apart(&two).await;
    let path = format!("/v2/team/prefixed/{HOST}/other/app/tags/list");
    let reply = gateway.get(&format!("{path}?n=1")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.header("link").starts_with(&format!("<{path}?")), "{}", reply.header("link"));
}

#[tokio::test]
async fn an_object_is_of_the_tenant_whose_namespace_it_is_in_and_otherwise_nobodys() {
    let two = Two::new().await;
    let image = two.stage.signed(1, "acme/app", "v1");
    let image = format!("{HOST}/acme/app@{}", image.digest());
    let gateway = two.gateway().await;
    assert_eq!(admit(&gateway, "ns-a", &image).await["allowed"], true);
    let denied = admit(&gateway, "ns-b", &image).await;
    assert_eq!(denied["allowed"], false);
    assert!(denied["status"]["message"].as_str().unwrap().contains("failed policy: own-b"), "{denied}");
    for namespace in ["ns-c", "NS-a", "ns-a ", "ns-a\u{200b}", "", "a", "default"] {
        let answer = admit(&gateway, namespace, &image).await;
        assert_eq!(
            (&answer["allowed"], &answer["status"]["code"]),
            (&json!(false), &json!(403)),
            "{namespace:?}"
        );
    }
    // What is no review is answered as before.
    assert_eq!(gateway.post("/admission/validate", "{}").await.status, 400);
    assert_eq!(gateway.post("/admission/elsewhere", "{}").await.status, 404);
}

#[tokio::test]
async fn a_tenant_named_default_has_whoever_shows_no_sign() {
    let two = Two::new().await;
    let digest = two.stage.signed(1, "acme/app", "v1").digest();
    let directory = two.stage.directory.path().display().to_string();
    let default = format!("{{name: default, policies: {{directory: {directory}/a}}}}");
    let gateway = two.gateway_with(&[two.tenant("b", ""), default]).await;
    let path = of("acme/app", &format!("manifests/{digest}"));
    assert_eq!(gateway.get(&path).await.status, 200);
    assert_eq!(pull(&gateway, "b", &path).await.status, 403);
    let image = format!("{HOST}/acme/app@{digest}");
    assert_eq!(admit(&gateway, "anything", &image).await["allowed"], true);
    assert_eq!(admit(&gateway, "ns-b", &image).await["allowed"], false);
}

#[tokio::test]
async fn what_could_mean_two_tenants_is_an_error_with_both_keys_in_it() {
    let stage = Stage::new().await;
    let directory = stage.directory.path();
    let keys = |first: &str, second: &str| {
        format!(
            "storage: {{path: {0}/storage}}\nregistry: {{tls: {{certificate: c, key: k}}, clientCa: ca}}\n\
             upstreams: [{{host: ghcr.io, hostnames: [ghcr.example]}}, {{host: registry}}]\n\
             tenants: [{{name: a, {first}}}, {{name: b, {second}}}]\n",
            directory.display()
        )
    };
    for (first, second, says) in [
        (
            "namespaces: [x]",
            "namespaces: [x]",
            "tenants[1].namespaces: is of two tenants: it is tenants[0].namespaces too",
        ),
        (
            "callers: [{hostnames: [m.example]}]",
            "callers: [{hostnames: [M.example.]}]",
            "tenants[1].callers[0].hostnames: m.example: is of two tenants: it is tenants[0].callers[0].hostnames",
        ),
        (
            "callers: [{pathPrefixes: [team]}]",
            "callers: [{pathPrefixes: [team/b]}]",
            "tenants[1].callers[0].pathPrefixes: team/b: is of two tenants: it overlaps with tenants[0]",
        ),
        (
            "callers: [{certificates: [{uri: 'spiffe://x/y'}]}]",
            "callers: [{certificates: [{uri: 'spiffe://x/y'}]}]",
            "is of two tenants: it is tenants[0].callers[0].certificates: spiffe://x/y too",
        ),
        (
            "callers: [{credentials: [{tokenFile: t}]}]",
            "callers: [{credentials: [{tokenFile: t}]}]",
            "is of two tenants: it is tenants[0].callers[0].credentials too",
        ),
        (
            "callers: [{addresses: [10.0.0.0/8]}]",
            "callers: [{addresses: [10.1.0.0/16]}]",
            "tenants[1].callers[0].addresses: 10.1.0.0/16: is of two tenants: it overlaps with tenants[0].callers[0].addresses: 10.0.0.0/8",
        ),
        ("callers: [{addresses: [10.0.0.1/8]}]", "namespaces: [x]", "tenants[0].callers[0].addresses[0]"),
        (
            "callers: [{hostnames: [ghcr.example]}]",
            "namespaces: [x]",
            "ghcr.example is in upstreams[0].hostnames too",
        ),
        ("callers: [{pathPrefixes: [ghcr.io]}]", "namespaces: [x]", "could be the name of a registry"),
        (
            "callers: [{pathPrefixes: [registry/a]}]",
            "namespaces: [x]",
            "registry:443 is a name of a registry",
        ),
        ("callers: [{}]", "namespaces: [x]", "tenants[0].callers[0]: names nothing"),
        ("message: m", "namespaces: [x]", "tenants[0]: has neither namespaces nor callers"),
        ("namespaces: [X]", "namespaces: [x]", "tenants[0].namespaces[0]"),
        (
            "namespaces: [x], upstreams: [{host: quay.io}]",
            "namespaces: [y]",
            "quay.io is none of upstreams[]",
        ),
        (
            "namespaces: [x], quotas: {weight: 0}",
            "namespaces: [y]",
            "tenants[0].quotas.weight: must be 1 or more",
        ),
        ("namespaces: [x], contact: \"a\\nb\"", "namespaces: [y]", "tenants[0].contact: must be one line"),
        ("namespaces: [x], unknown: 1", "namespaces: [y]", "tenants[0].unknown"),
    ] {
        let error = refused(directory, &keys(first, second));
        assert!(error.contains(says), "{first} / {second}: {error}");
    }
    for name in ["A", "a_b", "a@b", "a;b", "ä", "", "shared", "a/b"] {
        let error = refused(directory, &format!("tenants: [{{name: '{name}', namespaces: [x]}}]\n"));
        assert!(error.contains("tenants[0].name"), "{name}: {error}");
    }
    let without_tls = "tenants: [{name: a, callers: [{certificates: [{dns: a.example}]}]}]\n";
    assert!(refused(directory, without_tls).contains("registry.clientCa"));
}

#[tokio::test]
async fn two_files_with_the_same_login_are_an_error_too() {
    let two = Two::new().await;
    let directory = two.stage.directory.path();
    for file in ["one", "other"] {
        std::fs::write(directory.join(file), "the-very-same-token").unwrap();
    }
    let tenant = |name: &str, file: &str| {
        format!(
            "{{name: {name}, callers: [{{credentials: [{{tokenFile: {}/{file}}}]}}]}}",
            directory.display()
        )
    };
    let keys = two.keys(&[tenant("a", "one"), tenant("b", "other")], "");
    let config = gateway::config::load(Some(&two.stage.configuration(&keys)), std::iter::empty()).unwrap();
    let error = format!("{:#}", gateway::app::App::start(config).await.err().unwrap());
    assert!(
        error.contains("tenants[1].callers[0].credentials: another tenant logs in with the same"),
        "{error}"
    );
    assert!(!error.contains("very-same"), "{error}");
}

#[tokio::test]
async fn the_login_of_a_tenant_is_replaced_with_its_file() {
    let two = Two::new().await;
    let digest = two.stage.unsigned(1, "other/app", "v1").digest();
    let gateway = told_apart(&two).await;
    let path = of("other/app", &format!("manifests/{digest}"));
    let ask = async |token: &str| {
        let shown = format!("Bearer {token}");
        whose(&gateway.request("GET".parse().unwrap(), &path, &[("authorization", &shown)]).await)
    };
    assert_eq!(ask("token-of-the-tokened").await, "tokened");
    std::fs::write(two.stage.directory.path().join("token"), "another-token-of-it").unwrap();
    gateway.reload().await;
    assert_eq!(ask("another-token-of-it").await, "tokened");
    assert_eq!(ask("token-of-the-tokened").await, "401 unknown-tenant");
}

#[tokio::test]
async fn policies_for_all_bind_every_tenant_and_its_own_only_add() {
    let two = Two::new().await;
    let all = crate::stage::POLICY.replace("acme-is-signed", "for-all").replace("release.yaml", "both.yaml");
    two.stage.policy("all.yaml", &all);
    let digest = two.stage.signed(1, "acme/app", "v1").digest();
    let both = testkit::authority::Identity::github_workflow("acme/app", "both.yaml@refs/heads/main");
    let gateway = two.gateway().await;
    let path = of("acme/app", &format!("manifests/{digest}"));
    let message = pull(&gateway, "a", &path).await.json().to_string();
    assert!(message.contains("for-all"), "{message}");
    let layers = [&both, &release()]
        .map(|identity| two.stage.authority.sign(&digest, &format!("{HOST}/acme/app"), identity));
    two.stage.attach("acme/app", &digest, &layers);
    let other = two.stage.unsigned(2, "acme/app", "v2").digest();
    two.stage.attach(
        "acme/app",
        &other,
        &[two.stage.authority.sign(&other, &format!("{HOST}/acme/app"), &both)],
    );
    let path = of("acme/app", &format!("manifests/{other}"));
    let message = pull(&gateway, "a", &path).await.json().to_string();
    assert!(message.contains("own-a") && !message.contains("for-all"), "{message}");
}

#[tokio::test]
async fn what_is_not_a_tenants_to_say_is_refused_at_start_and_denies_where_it_comes_later() {
    let two = Two::new().await;
    let own = two.stage.directory.path().join("a");
    for (kind, text) in [
        ("Secret", "apiVersion: v1\nkind: Secret\nmetadata: {name: key, namespace: cosign-system}\n"),
        ("ConfigMap", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: key, namespace: cosign-system}\n"),
        (
            "TrustRoot",
            "apiVersion: policy.sigstore.dev/v1alpha1\nkind: TrustRoot\nmetadata: {name: corp}\nspec: {}\n",
        ),
    ] {
        std::fs::write(own.join("more.yaml"), text).unwrap();
        let keys = two.keys(&[two.tenant("a", "")], "");
        let config =
            gateway::config::load(Some(&two.stage.configuration(&keys)), std::iter::empty()).unwrap();
        let error = format!("{:#}", gateway::app::App::start(config).await.err().unwrap());
        assert!(
            error.contains("tenant a: ") && error.contains(&format!("a {kind} in the policies")),
            "{error}"
        );
    }
    std::fs::remove_file(own.join("more.yaml")).unwrap();
    let digest = two.stage.signed(1, "acme/app", "v1").digest();
    let gateway = two.gateway().await;
    let path = of("acme/app", &format!("manifests/{digest}"));
    assert_eq!(pull(&gateway, "a", &path).await.status, 200);
    std::fs::write(own.join("more.yaml"), "kind: Nonsense\n").unwrap();
    // What was right stays in force, also where it is read anew for another tenant.
    assert_eq!(pull(&gateway, "b", &path).await.status, 403);
    assert_eq!(pull(&gateway, "a", &path).await.status, 200);
}
