//! Signatures that others made with the public Sigstore, under the policy of Chainguard's guide, word for word.

use std::path::Path;

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
    gateway_with(origin, directory, "").await
}

async fn gateway_with(origin: &Registry, directory: &Path, more: &str) -> Gateway {
    let text = format!(
        "storage: {{path: {0}}}\nadmin: {{listen: '127.0.0.1:0'}}\nregistry: {{listen: '127.0.0.1:0'}}\n\
         admission: {{listen: '127.0.0.1:0'}}\nupstreams: [{{host: cgr.dev, endpoint: '{1}'}}]\n{more}\n",
        directory.display(),
        origin.url(),
    );
    let path = directory.join("countersign.yaml");
    std::fs::write(&path, text).unwrap();
    Gateway::start(&path).await
}

/// Loads every layout of a folder as `cgr.dev/chainguard/NAME` and gives `NAME@digest` and the signer's repository.
pub(super) fn load(origin: &Registry, folder: &Path) -> Vec<String> {
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

/// A policy for everything in `cgr.dev`: signed, or attested where a predicate type is given, by this identity.
fn policy(issuer: &str, subject: &str, predicate_type: Option<&str>) -> String {
    let attestations = predicate_type.map_or_else(String::new, |predicate_type| {
        format!("\n      attestations: [{{name: wanted, predicateType: '{predicate_type}'}}]")
    });
    format!(
        "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {{name: expected}}\nspec:\n  \
         images: [{{glob: 'cgr.dev/**'}}]\n  authorities:\n    - keyless:\n        identities:\n          \
         - {{issuer: '{issuer}', subject: '{subject}'}}{attestations}\n"
    )
}

/// What a policy says of the one image in a layout, whose digest its tags or its image manifest tell.
async fn denial(layout: &Path, policy: &str) -> String {
    let origin = Registry::start().await;
    let directory = tempfile::TempDir::new().unwrap();
    let tags = layout::load(&origin, "item", &layout.join("layout")).unwrap();
    let digest = tags
        .keys()
        .find_map(|tag| tag.split('.').next()?.replacen('-', ":", 1).parse::<Digest>().ok())
        .or_else(|| tags.values().next().copied())
        .unwrap();
    std::fs::create_dir(directory.path().join("policies")).unwrap();
    std::fs::write(directory.path().join("policies/policy.yaml"), policy).unwrap();
    let more = format!("policies: {{directory: {}/policies}}", directory.path().display());
    let gateway = gateway_with(&origin, directory.path(), &more).await;
    let denial = gateway.denial(&format!("cgr.dev/item@{digest}")).await;
    gateway.stop().await;
    denial
}

const GITHUB: &str = "https://token.actions.githubusercontent.com";

#[tokio::test(flavor = "multi_thread")]
async fn provenance_by_the_slsa_generator_counts_as_provenance_and_not_as_a_signature() {
    let Some(data) = shared("real-images/slsa-verifier") else { return };
    for version in ["v1.4.0", "v1.9.0", "v2.1.0"] {
        let builder = format!(
            "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/generator_container_slsa3.yml@refs/tags/{version}"
        );
        let layout = data.join(version);
        let provenance = policy(GITHUB, &builder, Some("https://slsa.dev/provenance/v0.2"));
        assert_eq!(denial(&layout, &provenance).await, "", "{version}");
        let other_type = policy(GITHUB, &builder, Some("https://spdx.dev/Document"));
        assert!(denial(&layout, &other_type).await.contains("no matching attestations"), "{version}");
        let stranger =
            policy(GITHUB, "https://github.com/acme/app", Some("https://slsa.dev/provenance/v0.2"));
        assert!(denial(&layout, &stranger).await.contains("generator_container_slsa3.yml"), "{version}");
        let signature = denial(&layout, &policy(GITHUB, &builder, None)).await;
        assert!(signature.contains("no signatures found"), "{version}: {signature}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn images_signed_by_people_and_by_nobody_are_told_apart() {
    let Some(data) = shared("real-images/openvex-discovery") else { return };
    let person = policy("https://accounts.google.com", "puerco@chainguard.dev", None);
    assert_eq!(denial(&data.join("wolfi-base"), &person).await, "");
    let workflow = policy(
        GITHUB,
        "https://github.com/chainguard-images/images/.github/workflows/release.yaml@refs/heads/main",
        None,
    );
    assert!(denial(&data.join("wolfi-base"), &workflow).await.contains("puerco@chainguard.dev"));
    let unsigned = denial(&data.join("unsigned-scanner-test-wolfi"), &person).await;
    assert!(unsigned.contains("no signatures found"), "{unsigned}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_under_the_fallback_tag_count_as_what_their_statements_say() {
    let Some(data) = shared("real-images/bundles-v0.3") else { return };
    let kubewarden =
        "https://github.com/kubewarden/kubewarden-controller/.github/workflows/release.yml@refs/tags/v1.34.0";
    let signed = denial(&data.join("kubewarden-controller-v1.34.0"), &policy(GITHUB, kubewarden, None)).await;
    assert_eq!(signed, "");
    let layout = data.join("cosign-oci-attestation");
    let (issuer, subject) = ("https://github.com/login/oauth", "cody@soyland.com");
    let attested = policy(issuer, subject, Some("https://cosign.sigstore.dev/attestation/v1"));
    assert_eq!(denial(&layout, &attested).await, "");
    let as_signature = denial(&layout, &policy(issuer, subject, None)).await;
    assert!(as_signature.contains("no signatures found"), "{as_signature}");
}
