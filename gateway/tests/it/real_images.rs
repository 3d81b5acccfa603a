//! Signatures that others made with the public Sigstore, under the policy of Chainguard's guide, word for word.

use std::path::Path;

use gateway::config;
use oci::Digest;
use testkit::layout;
use testkit::registry::Registry;

use super::stage::{Gateway, shared};

/// The digest that a layout's signature tag speaks of.
fn signed_digest(tags: impl IntoIterator<Item = String>) -> Digest {
    tags.into_iter()
        .find_map(|tag| tag.strip_suffix(".sig")?.replacen('-', ":", 1).parse().ok())
        .expect("a signature tag")
}

async fn gateway(origin: &Registry, directory: &Path) -> Gateway {
    let text = format!(
        "storage: {{path: {0}}}\nadmin: {{listen: '127.0.0.1:0'}}\nregistry: {{listen: '127.0.0.1:0'}}\n\
         admission: {{listen: '127.0.0.1:0'}}\nupstreams: [{{host: cgr.dev, endpoint: '{1}'}}]\n",
        directory.display(),
        origin.url(),
    );
    let path = directory.join("countersign.yaml");
    std::fs::write(&path, text).unwrap();
    assert!(config::load(Some(&path), std::iter::empty()).unwrap().policies.directory.is_none());
    Gateway::start(&path).await
}

/// Loads every layout of a folder as `cgr.dev/chainguard/NAME` and gives `NAME@digest` and the signer's repository.
fn load(origin: &Registry, folder: &Path) -> Vec<String> {
    let mut images = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let tags = layout::load(origin, &format!("chainguard/{name}"), &path.join("layout")).unwrap();
        let digest = signed_digest(tags.into_keys());
        images.push(format!("cgr.dev/chainguard/{name}@{digest}"));
    }
    assert!(!images.is_empty());
    images
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guides_policy_allows_its_identity_and_names_every_other() {
    let Some(images) = shared("real-images/chainguard-images") else {
        return;
    };
    let origin = Registry::start().await;
    let directory = tempfile::TempDir::new().unwrap();
    let allowed = load(&origin, &images.join("exact-identity"));
    let per_image = load(&origin, &images.join("per-image-workflow"));
    let gateway = gateway(&origin, directory.path()).await;
    for image in &allowed {
        assert_eq!(gateway.denial(image).await, "", "{image}");
    }
    assert_eq!(allowed.len(), 4);
    let all: Vec<&str> = allowed.iter().map(String::as_str).collect();
    assert_eq!(gateway.validate(&all).await["allowed"], true);
    for image in &per_image {
        let name = image.rsplit_once('@').unwrap().0.rsplit_once('/').unwrap().1;
        let denial = gateway.denial(image).await;
        let signer = format!(
            "https://github.com/chainguard-images/{name}/.github/workflows/release.yaml@refs/heads/main"
        );
        assert!(denial.contains(&signer), "{image}: {denial}");
        assert!(denial.contains("failed policy: chainguard-images-are-signed"), "{denial}");
    }
    assert_eq!(per_image.len(), 3);
    gateway.stop().await;

    // The same name, nginx, by the old organisation, in a registry of its own.
    let origin = Registry::start().await;
    let directory = tempfile::TempDir::new().unwrap();
    let distroless = load(&origin, &images.join("distroless-org"));
    let gateway = self::gateway(&origin, directory.path()).await;
    for image in &distroless {
        let denial = gateway.denial(image).await;
        assert!(
            denial.contains("https://github.com/distroless/nginx/.github/workflows/release.yaml"),
            "{denial}"
        );
    }
    assert_eq!(distroless.len(), 1);
}
