//! Tokens that a real API server makes for a Pod, shown at the pull door by whoever pulls for it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::control_plane::ControlPlane;
use crate::stage::Gateway;
use crate::tenants::{Two, of};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_shows_a_token_that_is_bound_to_a_pod_is_the_tenant_of_its_namespace() {
    let plane = ControlPlane::start().await;
    for namespace in ["ns-a", "ns-b", "ns-c"] {
        plane.does(&["create", "namespace", namespace]);
        plane.does(&["--namespace", namespace, "create", "serviceaccount", "app"]);
        plane.apply(&format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: app, namespace: {namespace}}}\n\
             spec: {{serviceAccountName: app, containers: [{{name: app, image: 'app:v1'}}]}}\n"
        ));
    }
    let token = |namespace: &str, more: &[&str]| {
        let common = ["--namespace", namespace, "create", "token", "app"];
        plane.does(&[common.as_slice(), more].concat()).trim().to_owned()
    };
    let bound = ["--bound-object-kind", "Pod", "--bound-object-name", "app"];
    let ours = ["--audience", "mirror.example"];
    let bound_to_us = [bound.as_slice(), &ours].concat();

    let two = Two::new().await;
    let digest = two.stage.signed(1, "acme/app", "v1").digest();
    let keys = two.stage.directory.path().join("keys.json");
    let jwks = plane.does(&["get", "--raw", "/openid/v1/jwks"]);
    std::fs::write(&keys, &jwks).unwrap();
    let accounts = format!(
        ", serviceAccounts: {{issuer: 'https://kubernetes.default.svc', audience: mirror.example, keys: {}}}",
        keys.display()
    );
    let configuration = two.keys(&[two.tenant("a", ""), two.tenant("b", "")], &accounts);
    let gateway = Gateway::start(&two.stage.configuration(&configuration)).await;
    let path = of("acme/app", &format!("manifests/{digest}"));
    let ask = async |authorization: &str, host: &str| {
        let headers = [("authorization", authorization), ("host", host)];
        let reply = gateway.request("GET".parse().unwrap(), &path, &headers).await;
        (reply.status.as_u16(), reply.header("countersign-reason").to_owned())
    };
    let is = |status: u16, reason: &str| (status, reason.to_owned());
    let (of_a, of_b) = (token("ns-a", &bound_to_us), token("ns-b", &bound_to_us));
    let bearer = |token: &str| format!("Bearer {token}");
    // As a kubelet shows what its plugin gave it.
    let password = |token: &str| format!("Basic {}", STANDARD.encode(format!("token:{token}")));
    for shown in [bearer(&of_a), password(&of_a)] {
        assert_eq!(ask(&shown, "localhost").await, is(200, "satisfied"));
        assert_eq!(ask(&shown, "b.mirror.example").await, is(403, "contradicting-tenants"));
    }
    assert_eq!(ask(&bearer(&of_b), "localhost").await, is(403, "wrong-identity"));
    // Of a namespace of no tenant.
    let of_c = token("ns-c", &bound_to_us);
    assert_eq!(ask(&bearer(&of_c), "localhost").await, is(401, "unknown-tenant"));
    // For another audience; for no Pod; not as it was signed. Whatever else is shown, it is refused.
    let broken = format!("{}AAAA", &of_a[..of_a.len() - 4]);
    for token in [token("ns-a", &bound), token("ns-a", &ours), broken] {
        for host in ["localhost", "a.mirror.example"] {
            assert_eq!(ask(&bearer(&token), host).await, is(401, "refused-token"), "{token}");
            assert_eq!(ask(&password(&token), host).await, is(401, "refused-token"), "{token}");
        }
    }
    // Nobody but the gateway is shown any of it.
    let seen = two.stage.origin.requests();
    let shown = |seen: &testkit::registry::Seen| seen.authorization().unwrap_or_default().to_owned();
    assert!(seen.iter().all(|seen| !shown(seen).contains(&of_a) && !shown(seen).contains(&of_b)), "{seen:?}");

    // Keys that are replaced are read again, with the logins.
    let mut set: Value = serde_json::from_str(&jwks).unwrap();
    set["keys"][0]["kid"] = "another".into();
    std::fs::write(&keys, set.to_string()).unwrap();
    gateway.reload().await;
    assert_eq!(ask(&bearer(&of_a), "localhost").await, is(401, "refused-token"));
    // A file that is none leaves those before it.
    std::fs::write(&keys, "{").unwrap();
    assert!(!gateway.tries_to_reload().await);
    assert_eq!(ask(&bearer(&of_a), "localhost").await, is(401, "refused-token"));
    std::fs::write(&keys, &jwks).unwrap();
    gateway.reload().await;
    assert_eq!(ask(&bearer(&of_a), "localhost").await, is(200, "satisfied"));
}
