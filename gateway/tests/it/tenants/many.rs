//! Many tenants at once: quotas, floods, purges, and rules that fail.

use http::Method;
use oci::Digest;
use serde_json::json;

use super::{Two, admit, files, of, pull};
use crate::cli::{countersign, exits};
use crate::stage::{Gateway, HOST, POLICY, release};

#[tokio::test]
async fn whoever_is_denied_is_told_whom_to_ask() {
    let two = Two::new().await;
    let digest = two.stage.unsigned(1, "acme/app", "v1").digest();
    let gateway = two.gateway_with(&[two.tenant("a", ", contact: '#team-a', message: see the wiki")]).await;
    let reply = pull(&gateway, "a", &of("acme/app", &format!("manifests/{digest}"))).await;
    let message = reply.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.ends_with("; see the wiki; contact #team-a"), "{message}");
    let answer = admit(&gateway, "ns-a", &format!("{HOST}/acme/app@{digest}")).await;
    let message = answer["status"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("validation failed: ") && message.ends_with("\nsee the wiki; contact #team-a"),
        "{message}"
    );
}

#[tokio::test]
async fn a_tenant_that_asks_too_much_is_told_to_wait_and_no_other_is() {
    let two = Two::new().await;
    let gateway = two.gateway_with(&[two.tenant("a", ", quotas: {requests: 2}"), two.tenant("b", "")]).await;
    let mut limited = 0;
    for _ in 0..50 {
        let reply = pull(&gateway, "a", "/v2/").await;
        if reply.status == 429 {
            assert_eq!((reply.header("retry-after"), &*reply.code()), ("1", "TOOMANYREQUESTS"));
            limited += 1;
        }
        assert_eq!(pull(&gateway, "b", "/v2/").await.status, 200);
    }
    assert!(limited > 0);
    let image = format!("{HOST}/acme/app@{}", Digest::of(b"nothing"));
    let mut denied = 0;
    for _ in 0..50 {
        let answer = admit(&gateway, "ns-a", &image).await;
        denied += usize::from(answer["status"]["code"] == 429);
    }
    assert!(denied > 0);
}

#[tokio::test]
async fn a_policy_that_never_ends_or_fails_is_the_trouble_of_the_tenant_that_has_it() {
    let two = Two::new().await;
    let digest = two.stage.signed(1, "acme/app", "v1").digest();
    let path = of("acme/app", &format!("manifests/{digest}"));
    // Some sums over some sums: what a program may do has a limit, and this is beyond any.
    let endless = "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: endless}\nspec:\n  \
                   images: [{glob: '**'}]\n  authorities: [{name: any, static: {action: pass}}]\n  policy:\n    type: rego\n    \
                   data: |\n      package sigstore\n      isCompliant { n := numbers.range(1, 3000)[_]; m := numbers.range(1, 3000)[_]; \
                   o := numbers.range(1, 3000)[_]; n * m * o < 0 }\n";
    std::fs::write(two.stage.directory.path().join("b/endless.yaml"), endless).unwrap();
    let gateway = two.gateway().await;
    let (of_b, of_a) = tokio::join!(pull(&gateway, "b", &path), pull(&gateway, "a", &path));
    assert!(matches!(of_b.status.as_u16(), 403 | 503), "{of_b:?}");
    assert_eq!(of_a.status, 200, "{of_a:?}");
}

#[tokio::test]
async fn what_a_tenant_remembers_is_purged_and_shown_by_its_name() {
    let two = Two::new().await;
    let token = two.stage.directory.path().join("admin-token");
    std::fs::write(&token, "a token that nobody guesses").unwrap();
    let keys = two.keys(&[two.tenant("a", ""), two.tenant("b", "")], "");
    let path = two.stage.configuration(&keys);
    let text = std::fs::read_to_string(&path).unwrap();
    let admin = format!("admin: {{listen: '127.0.0.1:0', tokenFile: {}}}", token.display());
    std::fs::write(&path, text.replace("admin: {listen: '127.0.0.1:0'}", &admin)).unwrap();
    let gateway = Gateway::start(&path).await;
    let image = two.stage.unsigned(1, "acme/app", "v1");
    let digest = image.digest();
    let layers = [&release(), &super::nightly()]
        .map(|identity| two.stage.authority.sign(&digest, &format!("{HOST}/acme/app"), identity));
    two.stage.attach("acme/app", &digest, &layers);
    for tenant in ["a", "b"] {
        assert_eq!(pull(&gateway, tenant, &of("acme/app", &format!("manifests/{digest}"))).await.status, 200);
    }
    let token = Some("a token that nobody guesses");
    let operate =
        async |method: Method, path: &str, body: &str| gateway.operate(method, path, token, body).await;
    let remembered = async |tenant: &str| {
        let reply = operate(Method::GET, &format!("/cache?digest={digest}&tenant={tenant}"), "").await;
        if reply.status == 400 {
            return None;
        }
        let verdicts = reply.json()["images"][0]["verdicts"].as_array().map(Vec::len);
        Some(verdicts.unwrap_or_default())
    };
    assert_eq!(operate(Method::GET, &format!("/cache?digest={digest}"), "").await.status, 400, "whose?");
    assert_eq!(
        (remembered("a").await, remembered("b").await, remembered("c").await),
        (Some(1), Some(1), None)
    );
    assert_eq!(operate(Method::POST, "/purge", r#"{"tenant": "c"}"#).await.status, 400);
    let purged = operate(Method::POST, "/purge", r#"{"tenant": "a"}"#).await;
    assert_eq!((purged.status.as_u16(), &purged.json()["verdicts"]), (200, &json!(1)), "{purged:?}");
    assert_eq!((remembered("a").await, remembered("b").await), (Some(0), Some(1)));
    let purged = operate(Method::POST, "/purge", &json!({"digest": digest, "tenant": "b"}).to_string()).await;
    assert_eq!(purged.status, 200);
    assert_eq!(remembered("b").await, Some(0));
    let unsigned = two.stage.unsigned(2, "acme/app", "v2").digest();
    assert_eq!(admit(&gateway, "ns-a", &format!("{HOST}/acme/app@{unsigned}")).await["allowed"], false);
    let decisions = operate(Method::GET, "/decisions", "").await;
    let decisions = String::from_utf8(decisions.bytes().to_vec()).unwrap();
    assert!(decisions.contains(r#""tenant":"a""#), "{decisions}");
    let usage = operate(Method::GET, "/tenants", "").await.json();
    let pulls: Vec<_> =
        usage.as_array().unwrap().iter().map(|of| (of["tenant"].clone(), of["pulls"].clone())).collect();
    assert_eq!(pulls, [(json!("a"), json!(1)), (json!("b"), json!(1))]);
    assert_eq!(operate(Method::POST, "/purge", r#"{"all": true, "bytes": true}"#).await.status, 200);
    let metrics = gateway.admin("/metrics").await;
    let metrics = String::from_utf8(metrics.bytes().to_vec()).unwrap();
    assert!(metrics.contains("countersign_tenant_pulls_total{tenant=\"a\",status=\"200\"}"), "{metrics}");
}

#[tokio::test]
async fn rules_of_a_tenant_that_change_are_in_force_for_it_and_for_no_other() {
    let two = Two::new().await;
    let digest = two.stage.signed(1, "acme/app", "v1").digest();
    let gateway = two.gateway().await;
    let path = of("acme/app", &format!("manifests/{digest}"));
    let statuses = async || {
        (pull(&gateway, "a", &path).await.status.as_u16(), pull(&gateway, "b", &path).await.status.as_u16())
    };
    assert_eq!(statuses().await, (200, 403));
    let own = |tenant: &str| two.stage.directory.path().join(tenant).join("own.yaml");
    std::fs::write(own("b"), POLICY.replace("acme-is-signed", "own-b")).unwrap();
    gateway.reload().await;
    assert_eq!(statuses().await, (200, 200));
    let revocation =
        "apiVersion: policy.countersign.dev/v1alpha1\nkind: Revocation\nmetadata: {name: leak}\n";
    let revocation = format!("{revocation}spec: {{reason: leaked, digests: [{{digest: '{digest}'}}]}}\n");
    std::fs::write(two.stage.directory.path().join("a/leak.yaml"), revocation).unwrap();
    gateway.reload().await;
    assert_eq!(statuses().await, (403, 200));
    // What is for all is for all, without anybody having to say so twice.
    two.stage.policy("all.yaml", &POLICY.replace("acme-is-signed", "all").replace("release", "neither"));
    gateway.reload().await;
    assert_eq!(statuses().await, (403, 403));
}

#[tokio::test]
async fn five_thousand_tenants_are_loaded_and_each_is_served() {
    let two = Two::new().await;
    let digest = two.stage.signed(1, "acme/app", "v1").digest();
    let tenants: Vec<_> = (0..5_000)
        .map(|at| {
            format!(
                "{{name: team-{at}, namespaces: [ns-{at}], callers: [{{hostnames: [team-{at}.mirror.example]}}, \
                 {{pathPrefixes: [team-{at}]}}, {{addresses: ['2001:db8:{at:x}::/48']}}]}}"
            )
        })
        .collect();
    let before = resident();
    let gateway = two.gateway_with(&tenants).await;
    let loaded = resident();
    let path = of("acme/app", &format!("manifests/{digest}"));
    // More than there are cores at once, so that some are put away and come back.
    for at in (0..5_000).step_by(25).chain([0, 25, 50]) {
        let reply = pull(&gateway, &format!("team-{at}"), &path).await;
        assert_eq!(reply.status, 200, "team-{at}: {reply:?}");
    }
    assert_eq!(pull(&gateway, "team-5000", &path).await.status, 403);
    let image = format!("{HOST}/acme/app@{digest}");
    assert_eq!(admit(&gateway, "ns-4999", &image).await["allowed"], false, "no policy matches it");
    let served = resident();
    report(before, loaded, served);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_that_a_tenant_has_to_itself_is_looked_through_and_told_of_by_its_name() {
    let two = Two::new().await;
    let image = two.stage.unsigned(1, "acme/app", "v1");
    let digest = image.digest();
    two.stage.attach(
        "acme/app",
        &digest,
        &[two.stage.authority.sign(&digest, &format!("{HOST}/acme/app"), &super::nightly())],
    );
    let tenants = [two.tenant("a", ""), two.tenant("b", ", quotas: {disk: 1GiB}")];
    let gateway = two.gateway_with(&tenants).await;
    let layer = Digest::of(image.blobs().next().unwrap());
    for what in [format!("manifests/{digest}"), format!("blobs/{layer}")] {
        assert_eq!(pull(&gateway, "b", &of("acme/app", &what)).await.status, 200);
    }
    let config = two.stage.directory.path().join("countersign.yaml").display().to_string();
    let run = async |arguments: &[&str]| {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let config = config.clone();
        let running = move || {
            let arguments = arguments.iter().map(String::as_str).chain(["--config", &config]);
            countersign(&arguments.collect::<Vec<_>>())
        };
        tokio::task::spawn_blocking(running).await.unwrap()
    };
    exits(&run(&["storage", "usage", "--tenant", "b"]).await, 0, &["limit 1.0 GiB", "acme/app"]);
    exits(&run(&["storage", "usage", "--tenant", "a"]).await, 0, &["no limit"]);
    exits(&run(&["storage", "usage"]).await, 2, &["say whose with tenant"]);
    exits(&run(&["storage", "usage", "--tenant", "c"]).await, 2, &["no tenant \"c\""]);
    exits(&run(&["storage", "verify", "--tenant", "b"]).await, 0, &["0 changed"]);
    exits(&run(&["storage", "verify", "--tenant", "a"]).await, 2, &["no store of its own"]);
    exits(&run(&["storage", "verify", "--tenant", "c"]).await, 2, &["no tenant \"c\""]);
    let own = files(&two.stage.directory.path().join("storage/tenants/b"));
    let kept = own.iter().find(|path| path.to_string_lossy().contains(&layer.hex())).unwrap();
    let mut bytes = std::fs::read(kept).unwrap();
    bytes[0] ^= 1;
    std::fs::write(kept, bytes).unwrap();
    exits(&run(&["storage", "verify", "--tenant", "b"]).await, 1, &[&layer.to_string(), "1 changed"]);
    exits(&run(&["storage", "verify"]).await, 0, &["0 changed"]);
}

/// How many bytes of memory this process has.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[expect(clippy::print_stderr, reason = "figures that are reported and not asserted")]
fn report(before: u64, loaded: u64, served: u64) {
    let mib = |bytes: u64| bytes / (1024 * 1024);
    eprintln!(
        "5000 tenants: {} MiB more when loaded, {} MiB more with 128 of them served",
        mib(loaded.saturating_sub(before)),
        mib(served.saturating_sub(loaded))
    );
}
