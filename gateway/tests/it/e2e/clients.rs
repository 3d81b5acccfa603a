//! Real clients before the gateway: each pulls what is signed, in the origin's bytes, and is told why not.

use std::path::Path;
use std::process::Output;

use oci::{Digest, MediaType};
use serde_json::{Value, json};
use testkit::push;

use super::parts::run;
use super::{World, sign};
use crate::stage::HOST;

/// What a program wrote, where it did what it was told.
#[track_caller]
fn written(output: &Output) -> &[u8] {
    assert!(output.status.success(), "{output:?}");
    &output.stdout
}

/// That a program did not get what it asked for, and says why.
#[track_caller]
fn refused(output: &Output) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{output:?}");
    assert!(text.contains("acme-is-signed"), "{text}");
}

impl World {
    /// An image as clients that are sent to the gateway name it.
    fn at(&self, tag: &str) -> String {
        format!("{}/{HOST}/acme/app:{tag}", self.gateway.registry)
    }

    /// Every part of the signed image is in an OCI layout, byte for byte.
    fn kept(&self, layout: &Path) {
        for bytes in self.signed.blobs().chain([&self.signed.manifest]) {
            let digest = Digest::of(bytes);
            assert_eq!(std::fs::read(layout.join("blobs/sha256").join(digest.hex())).unwrap(), *bytes);
        }
    }

    /// Attaches a signed bill of materials to the signed image, as clients do where the registry keeps no list.
    async fn attach_sbom(&self) -> Digest {
        let url = &self.origin.url;
        let bill = &b"{\"spdxVersion\":\"SPDX-2.3\"}"[..];
        let [config, layer] =
            [push::blob(url, "acme/app", &b"{}"[..]).await, push::blob(url, "acme/app", bill).await];
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "artifactType": "application/spdx+json",
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2},
            "layers": [{
                "mediaType": "application/spdx+json", "digest": layer, "size": bill.len(),
                "annotations": {"org.opencontainers.image.title": "bill.json"},
            }],
            "subject": {
                "mediaType": MediaType::OCI_MANIFEST, "digest": self.signed.digest(),
                "size": self.signed.manifest.len(),
            },
        });
        let bytes = manifest.to_string();
        let sbom = push::manifest(url, "acme/app", "sbom", MediaType::OCI_MANIFEST, bytes.clone()).await;
        sign(url, &self.authority, "acme/app", &sbom).await;
        let list = json!({
            "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX,
            "manifests": [{
                "mediaType": MediaType::OCI_MANIFEST, "digest": sbom, "size": bytes.len(),
                "artifactType": "application/spdx+json",
            }],
        });
        let tag = self.signed.digest().to_string().replace(':', "-");
        push::manifest(url, "acme/app", &tag, MediaType::OCI_INDEX, list.to_string()).await;
        sbom
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn crane_reads_lists_and_validates_what_is_signed() {
    let world = World::new().await;
    let crane = |arguments: &[&str]| run("crane", arguments);
    let (signed, unsigned) = (world.at("signed"), world.at("unsigned"));
    assert_eq!(written(&crane(&["manifest", &signed])), world.signed.manifest);
    assert_eq!(
        written(&crane(&["digest", &signed])).trim_ascii(),
        world.signed.digest().to_string().as_bytes()
    );
    // Its layers are not compressed, which `validate` knows nothing of: it looks at the rest.
    written(&crane(&["validate", "--fast", "--remote", &signed]));
    written(&crane(&["pull", "--format", "oci", &signed, &world.file("layout")]));
    world.kept(&world.directory.path().join("layout"));
    let tags = crane(&["ls", &format!("{}/{HOST}/acme/app", world.gateway.registry)]);
    let tags = String::from_utf8_lossy(written(&tags)).into_owned();
    assert!(tags.lines().any(|tag| tag == "signed") && tags.lines().any(|tag| tag == "unsigned"), "{tags}");
    let multi = format!("{}/{HOST}/acme/multi:signed", world.gateway.registry);
    written(&crane(&["manifest", "--platform", "linux/arm64", &multi]));
    refused(&crane(&["manifest", &unsigned]));
    refused(&crane(&["pull", &unsigned, &world.file("unsigned.tar")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn oras_discovers_and_pulls_what_belongs_to_an_image() {
    let world = World::new().await;
    let sbom = world.attach_sbom().await;
    let oras = |arguments: &[&str]| run("oras", &[arguments, &["--plain-http"]].concat());
    let (signed, unsigned) = (world.at("signed"), world.at("unsigned"));
    for more in [&[][..], &["--artifact-type", "application/spdx+json"]] {
        let found = oras(&[&["discover", "--format", "json"], more, &[&signed]].concat());
        let found: Value = serde_json::from_slice(written(&found)).unwrap();
        let listed = found["referrers"].as_array().or_else(|| found["manifests"].as_array());
        let digests: Vec<_> = listed.into_iter().flatten().map(|entry| &entry["digest"]).collect();
        assert_eq!(digests, [&json!(sbom)], "{found}");
    }
    written(&oras(&["pull", &world.at("sbom"), "--output", &world.file("oras")]));
    let bill = std::fs::read_to_string(world.directory.path().join("oras/bill.json")).unwrap();
    assert!(bill.contains("SPDX-2.3"), "{bill}");
    assert_eq!(written(&oras(&["manifest", "fetch", &signed])), world.signed.manifest);
    written(&oras(&["repo", "tags", &format!("{}/{HOST}/acme/app", world.gateway.registry)]));
    refused(&oras(&["manifest", "fetch", &unsigned]));
}

#[tokio::test(flavor = "multi_thread")]
async fn regctl_copies_what_is_signed_and_lists_what_belongs_to_it() {
    let world = World::new().await;
    let sbom = world.attach_sbom().await;
    let host = format!("reg={},tls=disabled", world.gateway.registry);
    let regctl = |arguments: &[&str]| run("regctl", &[&["--host", &host], arguments].concat());
    let layout = format!("ocidir://{}", world.file("layout"));
    written(&regctl(&["image", "copy", &world.at("signed"), &format!("{layout}:signed")]));
    world.kept(&world.directory.path().join("layout"));
    let listed = regctl(&["artifact", "list", "--format", "{{json .}}", &world.at("signed")]);
    assert!(String::from_utf8_lossy(written(&listed)).contains(&sbom.to_string()), "{listed:?}");
    written(&regctl(&["tag", "ls", &format!("{}/{HOST}/acme/app", world.gateway.registry)]));
    let outcome = regctl(&["image", "copy", &world.at("unsigned"), &format!("{layout}:unsigned")]);
    assert!(!outcome.status.success(), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_pulls_what_is_signed_and_nothing_else() {
    let world = World::new().await;
    let registries = world.directory.path().join("registries.conf");
    let text = format!(
        "[[registry]]\nprefix = \"{HOST}\"\nlocation = \"{HOST}\"\nblocked = true\n\
         [[registry.mirror]]\nlocation = \"{}/{HOST}\"\ninsecure = true\n",
        world.gateway.registry
    );
    std::fs::write(&registries, text).unwrap();
    let (root, run_root) = (world.file("podman/root"), world.file("podman/run"));
    let podman = |arguments: &[&str]| {
        let place = ["--root", &root, "--runroot", &run_root, "--storage-driver", "vfs"];
        std::process::Command::new("podman")
            .args(place)
            .args(arguments)
            .env("CONTAINERS_REGISTRIES_CONF", &registries)
            .output()
            .unwrap_or_else(|error| panic!("podman: {error}; `scripts/install-tools e2e` installs it"))
    };
    let pulled = podman(&["pull", &format!("{HOST}/acme/app:signed")]);
    let id = String::from_utf8_lossy(written(&pulled)).trim().to_owned();
    assert_eq!(id, Digest::of(&world.signed.config).hex());
    written(&podman(&["pull", "--tls-verify=false", &world.at("signed")]));
    let outcome = podman(&["pull", &format!("{HOST}/acme/app:unsigned")]);
    assert!(!outcome.status.success(), "{outcome:?}");
    refused(&podman(&["pull", "--tls-verify=false", &world.at("unsigned")]));
    world.origin.nobody_went_round();
}
