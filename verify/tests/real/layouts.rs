//! Signature manifests as registries hold them, from the manifest to the facts.

use std::path::{Path, PathBuf};

use oci::{Digest, Manifest, Verified};
use serde_json::Value;
use verify::{Candidates, TrustRoot};

use crate::shared::{folder, json, signed};

fn blob(layout: &Path, digest: &Digest) -> Verified {
    let path = layout.join("blobs").join(digest.algorithm().as_str()).join(digest.hex());
    Verified::check(*digest, std::fs::read(path).unwrap().into()).unwrap()
}

/// The signature manifests of a layout, each with the digest that its tag is for.
fn signature_manifests(layout: &Path) -> Vec<(String, Manifest)> {
    let index = json(&layout.join("index.json"));
    let manifests = index["manifests"].as_array().unwrap().iter();
    let signatures = manifests.filter_map(|manifest| {
        let tag = manifest["annotations"]["org.opencontainers.image.ref.name"].as_str()?;
        let digest = tag.strip_suffix(".sig")?.replacen('-', ":", 1);
        let content = blob(layout, &manifest["digest"].as_str()?.parse().unwrap());
        Some((digest, Manifest::parse(&content, None).unwrap()))
    });
    signatures.collect()
}

/// Every image that has signatures, with what is known of each.
fn signed_images(folder: &Path) -> Vec<(PathBuf, Value)> {
    let index = json(&folder.join("index.json"));
    let items = index["items"].as_array().unwrap().iter();
    items
        .filter(|item| item["path"].as_str().unwrap().starts_with("chainguard-images/"))
        .map(|item| (folder.join(item["path"].as_str().unwrap()).join("layout"), item.clone()))
        .collect()
}

#[test]
fn the_signatures_of_real_images_are_found_and_verify() {
    let Some(folder) = folder("real-images") else {
        return;
    };
    let trust_root = TrustRoot::public_good().unwrap();
    let images = signed_images(&folder);
    assert!(images.len() >= 8, "{}", images.len());
    for (layout, known) in images {
        let manifests = signature_manifests(&layout);
        assert_eq!(manifests.len(), 1, "{}", layout.display());
        for (digest, manifest) in manifests {
            let found = Candidates::of(&manifest).list;
            assert_eq!(found.len(), known["signatures"].as_array().unwrap().len());
            for (candidate, known) in found.into_iter().zip(known["signatures"].as_array().unwrap()) {
                let payload = blob(&layout, &candidate.payload);
                assert_eq!(payload.bytes().len() as u64, candidate.size);
                let signature = signed(&candidate.material(payload).unwrap(), &trust_root);
                assert_eq!(signature.subjects[0].to_string(), digest);
                assert_eq!(known["san"], signature.signer.identity().unwrap().subjects[0]);
                assert_eq!(known["issuer"], signature.signer.identity().unwrap().issuer);
            }
        }
    }
}
