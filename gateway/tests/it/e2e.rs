//! A real registry and real clients: Debian's `docker-registry` behind Countersign, `skopeo` and containerd before it.

mod attacks;
mod away;
mod blobs;
mod chaos;
mod clients;
mod conformance;
mod cosign;
mod cue;
mod fleet;
mod herd;
mod interleavings;
mod kubernetes;
mod metrics;
mod nodes;
mod noisy;
mod object_stores;
mod parts;
mod pass_through;
mod paths;
mod purge;
mod redis;
mod replicas;
mod small_disk;
mod tenant_nodes;
mod tenants;

use std::path::Path;

use oci::Digest;
use testkit::authority::{Authority, SignatureManifest, signature_manifest};
use testkit::image::{Image, index_of};
use testkit::push;

use self::parts::{Containerd, Origin, Served, run};
use super::stage::{HOST, POLICY, release};

/// The origin with two images, one signed, and a gateway in front of it.
struct World {
    origin: Origin,
    gateway: Served,
    authority: Authority,
    signed: Image,
    unsigned: Image,
    directory: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let directory = tempfile::TempDir::new().unwrap();
        let origin = Origin::start(directory.path()).await;
        let (signed, unsigned) = (Image::random(1), Image::random(2));
        push_image(&origin.url, "acme/app", "signed", &signed).await;
        push_image(&origin.url, "acme/app", "unsigned", &unsigned).await;
        let authority = Authority::new("e2e");
        sign(&origin.url, &authority, "acme/app", &signed.digest()).await;
        let index = index_of(&[Image::random(3), Image::random(4)]);
        for image in &index.images {
            push_image(&origin.url, "acme/multi", &image.digest().hex(), image).await;
        }
        push::manifest(
            &origin.url,
            "acme/multi",
            "signed",
            oci::MediaType::OCI_INDEX,
            index.manifest.clone(),
        )
        .await;
        sign(&origin.url, &authority, "acme/multi", &index.digest()).await;
        let gateway = Served::start(directory.path(), &origin.url, &authority.trusted_root(), POLICY).await;
        Self { origin, gateway, authority, signed, unsigned, directory }
    }

    fn file(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }
}

async fn push_image(url: &str, repository: &str, tag: &str, image: &Image) {
    for blob in image.blobs() {
        push::blob(url, repository, blob.clone()).await;
    }
    push::manifest(url, repository, tag, oci::MediaType::OCI_MANIFEST, image.manifest.clone()).await;
}

async fn sign(url: &str, authority: &Authority, repository: &str, digest: &Digest) {
    let layer = authority.sign(digest, &format!("{HOST}/{repository}"), &release());
    let signatures = signature_manifest(&[layer]);
    push::blob(url, repository, signatures.config.clone()).await;
    for payload in &signatures.payloads {
        push::blob(url, repository, payload.clone()).await;
    }
    let tag = SignatureManifest::tag_for(digest);
    push::manifest(url, repository, &tag, signatures.media_type.as_str(), signatures.manifest.clone()).await;
}

/// Every file that `skopeo copy … dir:` wrote is byte for byte what the origin was given.
fn same_bytes(directory: &Path, image: &Image) {
    assert_eq!(std::fs::read(directory.join("manifest.json")).unwrap(), image.manifest);
    for blob in image.blobs() {
        assert_eq!(std::fs::read(directory.join(Digest::of(blob).hex())).unwrap(), *blob);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_pulls_what_is_signed_and_is_told_why_not() {
    let world = World::new().await;
    let (gateway, directory) = (world.gateway.registry, world.directory.path());
    let source = |tag: &str| format!("docker://{gateway}/{HOST}/acme/app:{tag}");
    let target = |name: &str| format!("dir:{}/{name}", directory.display());
    let pull = |from: String, to: String| {
        run("skopeo", &["--insecure-policy", "copy", "--src-tls-verify=false", &from, &to])
    };
    let pulled = pull(source("signed"), target("signed"));
    assert!(pulled.status.success(), "{pulled:?}");
    same_bytes(&directory.join("signed"), &world.signed);
    let refused = pull(source("unsigned"), target("unsigned"));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success(), "{text}");
    assert!(text.contains("acme-is-signed") && text.contains("denied"), "{text}");

    // As a node does it: the registry's own name, blocked, with the gateway as its mirror.
    let registries = directory.join("registries.conf");
    let text = format!(
        "[[registry]]\nprefix = \"{HOST}\"\nlocation = \"{HOST}\"\nblocked = true\n\
         [[registry.mirror]]\nlocation = \"{gateway}/{HOST}\"\ninsecure = true\n"
    );
    std::fs::write(&registries, text).unwrap();
    let by_name = |tag: &str, to: &str| {
        let from = format!("docker://{HOST}/acme/app:{tag}");
        let registries = registries.display().to_string();
        run("skopeo", &["--insecure-policy", "--registries-conf", &registries, "copy", &from, &target(to)])
    };
    let pulled = by_name("signed", "by-name");
    assert!(pulled.status.success(), "{pulled:?}");
    same_bytes(&directory.join("by-name"), &world.signed);
    assert!(!by_name("unsigned", "refused").status.success());
    world.origin.nobody_went_round();
}

#[tokio::test(flavor = "multi_thread")]
async fn containerd_pulls_what_is_signed_and_nothing_else() {
    let world = World::new().await;
    let containerd = Containerd::start(world.directory.path(), &world.gateway.registry.to_string()).await;
    let pulled = containerd.pull(&format!("{HOST}/acme/app:signed"));
    assert!(pulled.status.success(), "{pulled:?}");
    for bytes in world.signed.blobs().chain([&world.signed.manifest]) {
        assert_eq!(containerd.content(&Digest::of(bytes)), *bytes);
    }
    let multi = containerd.pull(&format!("{HOST}/acme/multi:signed"));
    assert!(multi.status.success(), "{multi:?}");
    let refused = containerd.pull(&format!("{HOST}/acme/app:unsigned"));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("403"), "{text}");
    let by_digest = containerd.pull(&format!("{HOST}/acme/app@{}", world.unsigned.digest()));
    assert!(!by_digest.status.success());
    world.origin.nobody_went_round();
}
