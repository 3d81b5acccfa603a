//! Operating the memory: what is remembered is shown and forgotten, by whoever may, and a purge allows nothing.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use http::Method;
use oci::Digest;
use serde_json::{Value, json};
use testkit::authority::SignatureManifest;
use testkit::registry::Seen;

use crate::cli::{countersign, exits};
use crate::stage::{Gateway, HOST, Stage};

/// Runs `countersign cache`, against the gateway of this configuration.
pub(crate) async fn cache(configuration: &Path, arguments: &[&str]) -> Output {
    let configuration = configuration.display().to_string();
    let arguments = [&["cache"], arguments, &["--config", &configuration]].concat();
    run(arguments).await
}

async fn run(arguments: Vec<&str>) -> Output {
    let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
    let run = move || countersign(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.unwrap()
}

pub(crate) fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn configuration(stage: &Stage) -> PathBuf {
    stage.directory.path().join("countersign.yaml")
}

/// How often the registry was asked for the signatures of this image.
fn discoveries(stage: &Stage, digest: &Digest) -> usize {
    let tag = SignatureManifest::tag_for(digest);
    stage.origin.count(|seen: &Seen| seen.path.ends_with(&tag))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_remembered_of_an_image_is_shown_and_then_forgotten() {
    let stage = Stage::new().await;
    let pushed = stage.signed(1, "acme/app", "v1");
    let digest = pushed.digest();
    let image = format!("{HOST}/acme/app@{digest}");
    let gateway = stage.gateway_with("registry.tagFreshness: 1h").await;
    let configuration = configuration(&stage);

    let unknown = cache(&configuration, &["inspect", &image]).await;
    exits(&unknown, 1, &["nothing is remembered"]);
    assert_eq!(gateway.get(&format!("/v2/{HOST}/acme/app/manifests/v1")).await.status, 200);

    let said = cache(&configuration, &["inspect", &format!("{HOST}/acme/app:v1")]).await;
    let says =
        ["1 signature found", "release.yaml@refs/heads/main", "verdict: allow (satisfied)", "[memory, disk]"];
    exits(&said, 0, &says);
    for named in [&image, &format!("{HOST}/acme/app"), &digest.to_string()] {
        let told = document(&cache(&configuration, &["inspect", named, "--output", "json"]).await);
        let told = &told["images"][0];
        assert_eq!(told["image"], json!(image), "{named}");
        assert_eq!(told["lists"][0]["materials"].as_array().map(Vec::len), Some(1), "{told}");
        assert_eq!(told["verdicts"][0]["verdict"], "allow", "{told}");
        assert_eq!((&told["verdicts"][0]["inForce"], &told["tenant"]), (&json!(true), &json!("default")));
        assert!(told["manifest"]["blobs"].as_u64() > told["manifest"]["held"].as_u64(), "{told}");
    }

    exits(
        &cache(&configuration, &["inspect"]).await,
        0,
        &["verdicts: 1 in memory", "material-lists: 1 in memory"],
    );
    let purged = cache(&configuration, &["purge", "--image", &image]).await;
    exits(&purged, 0, &["1 list of signatures", "1 verdict", "1 tag"]);
    let told = document(&cache(&configuration, &["inspect", &image, "--output", "json"]).await);
    let told = &told["images"][0];
    assert_eq!((&told["lists"], &told["verdicts"]), (&json!([]), &json!([])), "bytes stay: {told}");
    exits(&cache(&configuration, &["purge", "--image", &image]).await, 1, &["nothing was remembered"]);

    assert_eq!(discoveries(&stage, &digest), 1);
    assert_eq!(gateway.denial(&image).await, "");
    assert_eq!(discoveries(&stage, &digest), 2, "what was forgotten is found again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_allows_nothing_and_takes_what_is_signed_away_too() {
    let stage = Stage::new().await;
    let digest = stage.unsigned(1, "acme/app", "v1").digest();
    let signed = stage.signed(2, "acme/app", "v2").digest();
    let [image, other] = [digest, signed].map(|digest| format!("{HOST}/acme/app@{digest}"));
    let gateway = stage.gateway().await;
    let configuration = configuration(&stage);
    for target in [
        &["--image", &image][..],
        &["--image", &format!("{HOST}/acme/app")],
        &["--digest", &digest.to_string()],
        &["--tenant", "default"],
        &["--all"],
        &["--all", "--bytes"],
        &["--image", &image, "--bytes"],
    ] {
        assert_ne!(gateway.denial(&image).await, "", "{target:?}");
        assert_eq!(gateway.denial(&other).await, "", "{target:?}");
        exits(&cache(&configuration, &[&["purge"], target].concat()).await, 0, &["forgotten"]);
    }
    assert_ne!(gateway.denial(&image).await, "");

    // Whoever purges takes back what was allowed by a signature that is no more.
    stage.origin.remove_tag("acme/app", &SignatureManifest::tag_for(&signed));
    assert_eq!(gateway.denial(&other).await, "", "it is remembered");
    exits(&cache(&configuration, &["purge", "--digest", &signed.to_string()]).await, 0, &["forgotten"]);
    assert_ne!(gateway.denial(&other).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_go_where_they_are_asked_for_alone_and_are_fetched_again() {
    let stage = Stage::new().await;
    let pushed = stage.signed(1, "acme/app", "v1");
    let digest = pushed.digest();
    let image = format!("{HOST}/acme/app@{digest}");
    let gateway = stage.gateway().await;
    let configuration = configuration(&stage);
    let layer = Digest::of(pushed.blobs().next().unwrap());
    let pull = async || {
        let manifest = gateway.get(&format!("/v2/{HOST}/acme/app/manifests/{digest}")).await.status;
        (manifest.as_u16(), gateway.get(&format!("/v2/{HOST}/acme/app/blobs/{layer}")).await.status.as_u16())
    };
    let fetches = || stage.origin.count(|seen: &Seen| seen.path.ends_with(&layer.to_string()));
    assert_eq!((pull().await, fetches()), ((200, 200), 1));
    // A link that was purged is made again by the next who pulls the manifest.
    for target in [&["--image", &image][..], &["--tenant", "default"]] {
        exits(&cache(&configuration, &[&["purge"], target].concat()).await, 0, &["forgotten"]);
        assert_eq!((pull().await, fetches()), ((200, 200), 1), "{target:?}");
    }
    let purged = cache(&configuration, &["purge", "--image", &image, "--bytes"]).await;
    exits(&purged, 0, &["blobs"]);
    assert_eq!((pull().await, fetches()), ((200, 200), 2));
    exits(&cache(&configuration, &["purge", "--tenant", "default", "--bytes"]).await, 2, &["by digest"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_operates_from_the_address_without_the_token() {
    let stage = Stage::new().await;
    let image = format!("{HOST}/acme/app@{}", stage.signed(1, "acme/app", "v1").digest());
    let gateway = stage.gateway().await;
    assert_eq!(gateway.denial(&image).await, "");
    let socket = stage.directory.path().join("storage/admin.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().mode() & 0o777, 0o600);
    let path = format!("/cache?image={image}");
    assert_eq!(gateway.admin(&path).await.status, 403);
    assert_eq!(gateway.operate(Method::POST, "/purge", None, r#"{"all": true}"#).await.status, 403);
    for open in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(gateway.admin(open).await.status, 200, "{open}");
    }
    gateway.stop().await;
    assert!(!socket.exists(), "it goes with the gateway");

    let token = stage.directory.path().join("token");
    std::fs::write(&token, "correct horse battery staple\n").unwrap();
    let more = format!(
        "registry: {{listen: '127.0.0.1:0'}}\nadmission: {{listen: '127.0.0.1:0'}}\n\
         policies: {{directory: {}/policies}}\n",
        stage.directory.path().display()
    );
    let configuration = stage.configuration(&more);
    let text = std::fs::read_to_string(&configuration).unwrap();
    let with_token = format!("admin: {{listen: '127.0.0.1:0', tokenFile: {}}}", token.display());
    std::fs::write(&configuration, text.replace("admin: {listen: '127.0.0.1:0'}", &with_token)).unwrap();
    let gateway = Gateway::start(&configuration).await;
    assert_eq!(gateway.denial(&image).await, "");
    for (shown, status) in
        [(None, 401), (Some("wrong horse battery staple"), 401), (Some("correct horse battery staple"), 200)]
    {
        assert_eq!(gateway.operate(Method::GET, &path, shown, "").await.status, status, "{shown:?}");
    }
    let address = gateway.admin_address().to_string();
    let file = token.display().to_string();
    let by_address = ["--address", &address, "--token-file", &file];
    let asked = run([&["cache", "inspect", &image][..], &by_address].concat()).await;
    exits(&asked, 0, &["verdict: allow"]);
    let other = stage.directory.path().join("other");
    std::fs::write(&other, "another token altogether").unwrap();
    let asked = ["cache", "inspect", &image, "--address", &address, "--token-file", other.to_str().unwrap()];
    exits(&run(asked.to_vec()).await, 2, &["401", "admin.tokenFile"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_says_why() {
    let stage = Stage::new().await;
    let configuration = stage.configuration("");
    let nobody = cache(&configuration, &["inspect", "nginx"]).await;
    exits(&nobody, 2, &["admin.sock", "no gateway of this configuration runs here"]);
    let _gateway = stage.gateway().await;
    exits(&cache(&configuration, &["inspect", "Not An Image"]).await, 2, &["400", "no image reference"]);
    exits(&cache(&configuration, &["purge", "--tenant", "acme"]).await, 2, &["no tenant \"acme\""]);
    exits(&cache(&configuration, &["purge", "--digest", "sha256:1"]).await, 2, &["no digest"]);
    exits(&cache(&configuration, &["purge"]).await, 2, &["--image"]);
    exits(
        &cache(&configuration, &["purge", "--all", "--tenant", "default"]).await,
        2,
        &["cannot be used with"],
    );
    exits(&run(vec!["cache", "inspect", "a", "--address", "127.0.0.1:1"]).await, 2, &["--token-file"]);
}
