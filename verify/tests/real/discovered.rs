//! Everything that real images have attached, found as the plan says and checked.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use oci::{Digest, Manifest, Verified};
use policies::{Claim, Signature};
use verify::TrustRoot;
use verify::discovery::{Ask, Found, Plan};

use crate::shared::{folder, json, signed};

/// A layout in place of a registry, without the referrers API.
struct Layout {
    folder: PathBuf,
    tags: BTreeMap<String, Digest>,
}

impl Layout {
    fn open(folder: PathBuf) -> Self {
        let index = json(&folder.join("index.json"));
        let tags = index["manifests"].as_array().unwrap().iter().map(|manifest| {
            let tag = manifest["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap();
            (tag.to_owned(), manifest["digest"].as_str().unwrap().parse().unwrap())
        });
        Self { tags: tags.collect(), folder }
    }

    fn blob(&self, digest: &Digest) -> Verified {
        let path = self.folder.join("blobs").join(digest.algorithm().as_str()).join(digest.hex());
        Verified::check(*digest, std::fs::read(path).unwrap().into()).unwrap()
    }

    fn manifest(&self, digest: &Digest) -> Manifest {
        Manifest::parse(&self.blob(digest), None).unwrap()
    }

    /// The image that the tags speak of, or else the one that is there.
    fn image(&self) -> Digest {
        let spoken = self.tags.keys().find_map(|tag| {
            let stem = tag.strip_suffix(".sig").or_else(|| tag.strip_suffix(".att")).unwrap_or(tag);
            stem.replacen('-', ":", 1).parse().ok()
        });
        spoken.unwrap_or_else(|| *self.tags.values().next().unwrap())
    }

    /// What the plan finds, and after how many round trips.
    fn search(&self) -> (Found, usize) {
        let (mut plan, asks) = Plan::start(self.image());
        let (mut asks, mut trips) = (VecDeque::from(asks), 0);
        while !asks.is_empty() {
            trips += 1;
            for ask in std::mem::take(&mut asks) {
                asks.extend(match ask {
                    Ask::Tag(tag) => match self.tags.get(tag.as_str()) {
                        Some(digest) => plan.found_under_tag(&tag, &self.manifest(digest)),
                        None => Vec::new(),
                    },
                    Ask::Manifest(digest) => plan.found_manifest(&self.manifest(&digest)),
                    Ask::Payload(candidate) => {
                        let payload = self.blob(&candidate.payload);
                        plan.found_payload(candidate, payload);
                        Vec::new()
                    }
                    Ask::Referrers | Ask::NextPage => Vec::new(),
                });
            }
        }
        (plan.finish(), trips)
    }
}

/// How many signatures, and which predicate types of attestations, an image has.
fn attached(folder: &Path, trust_root: &TrustRoot) -> (usize, Vec<String>, usize) {
    let layout = Layout::open(folder.join("layout"));
    let (found, trips) = layout.search();
    assert_eq!(found.beyond, None);
    let (mut signatures, mut types) = (0, Vec::new());
    for material in &found.materials {
        let Signature { subjects, claim, .. } = signed(material, trust_root);
        assert_eq!(subjects, [layout.image()]);
        match claim {
            Claim::Image => signatures += 1,
            Claim::Attestation(attestation) => types.push(attestation.predicate_type),
        }
    }
    types.sort_unstable();
    (signatures, types, trips)
}

#[test]
fn all_that_real_images_have_attached_is_found_and_verifies() {
    let Some(folder) = folder("real-images") else {
        return;
    };
    let root = TrustRoot::public_good().unwrap();
    let provenance = "https://slsa.dev/provenance/v0.2";
    let cosign = "https://cosign.sigstore.dev/attestation/v1";
    for (path, signatures, types, trips) in [
        ("slsa-verifier/v1.4.0", 0, &[provenance][..], 2),
        ("slsa-verifier/v1.9.0", 0, &[provenance], 2),
        ("slsa-verifier/v2.1.0", 0, &[provenance], 2),
        ("openvex-discovery/wolfi-base", 1, &["https://openvex.dev/ns", "https://spdx.dev/Document"], 2),
        ("openvex-discovery/unsigned-scanner-test-wolfi", 0, &[], 1),
        ("bundles-v0.3/kubewarden-controller-v1.34.0", 1, &[], 3),
        ("bundles-v0.3/cosign-oci-attestation", 0, &[cosign], 3),
    ] {
        let types = types.iter().map(|&kind| kind.to_owned()).collect();
        assert_eq!(attached(&folder.join(path), &root), (signatures, types, trips), "{path}");
    }
    let index = json(&folder.join("index.json"));
    for item in index["items"].as_array().unwrap() {
        let path = item["path"].as_str().unwrap();
        if path.starts_with("chainguard-images/") {
            let signatures = item["signatures"].as_array().unwrap().len();
            assert_eq!(attached(&folder.join(path), &root), (signatures, Vec::new(), 2), "{path}");
        }
    }
}
