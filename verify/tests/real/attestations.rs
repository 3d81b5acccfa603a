//! Attestations of cosign's tag scheme, from the manifest to the facts.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::{Digest, Manifest, Verified};
use policies::{Attestation, Claim, FlawKind, Signature};
use serde_json::{Value, json};
use verify::{CandidateKind, Candidates, Material, TrustRoot};

use crate::legacy::Sample;
use crate::shared::{Annotations, BUNDLE, CERTIFICATE, folder, json, of_kind, refused, signed};

/// What lies under a tag of a layout that ends like this, with the image's digest.
fn tagged(layout: &Path, end: &str) -> (Digest, Vec<Material>) {
    let index = json(&layout.join("index.json"));
    let blob = |digest: &Digest| {
        let path = layout.join("blobs").join(digest.algorithm().as_str()).join(digest.hex());
        Verified::check(*digest, std::fs::read(path).unwrap().into()).unwrap()
    };
    let mut found = index["manifests"].as_array().unwrap().iter().filter_map(|manifest| {
        let tag = manifest["annotations"]["org.opencontainers.image.ref.name"].as_str()?;
        let image = tag.strip_suffix(end)?.replacen('-', ":", 1).parse().ok()?;
        Some((image, blob(&manifest["digest"].as_str()?.parse().unwrap())))
    });
    let (image, manifest) = found.next().unwrap();
    let candidates = Candidates::of(&Manifest::parse(&manifest, None).unwrap()).list;
    let materials = candidates.into_iter().map(|candidate| {
        let payload = blob(&candidate.payload);
        candidate.material(payload).unwrap()
    });
    (image, materials.collect())
}

fn attested(signature: &Signature, material: &Material, image: Digest) -> String {
    assert_eq!(signature.subjects, [image]);
    let statement = Digest::of(&material.statement().unwrap());
    let Claim::Attestation(Attestation { predicate_type, statement: named }) = &signature.claim else {
        panic!("{signature:?}")
    };
    assert_eq!(*named, statement);
    predicate_type.clone()
}

#[test]
fn the_provenance_of_every_generation_of_cosign_verifies() {
    let Some(folder) = folder("real-images/slsa-verifier") else {
        return;
    };
    let root = TrustRoot::public_good().unwrap();
    for (version, time) in [("v1.4.0", 1_673_455_977), ("v1.9.0", 1_692_768_128), ("v2.1.0", 1_740_520_687)] {
        let (image, materials) = tagged(&folder.join(version).join("layout"), ".att");
        let [material] = &materials[..] else { panic!("{version}") };
        let signature = signed(material, &root);
        assert_eq!(attested(&signature, material, image), "https://slsa.dev/provenance/v0.2");
        assert_eq!(signature.integrated_time, Some(time));
        assert_eq!(material.claimed_time(), Some(time));
        let signer = signature.signer.identity().unwrap();
        assert_eq!(signer.issuer, "https://token.actions.githubusercontent.com");
        let workflow = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/generator_container_slsa3.yml";
        assert_eq!(signer.subjects, [format!("{workflow}@refs/tags/{version}")]);
        refused(material, &TrustRoot::staging().unwrap(), FlawKind::LogEntry);
    }
}

#[test]
fn several_attestations_and_a_signature_of_one_image_verify() {
    let Some(folder) = folder("real-images/openvex-discovery/wolfi-base") else {
        return;
    };
    let root = TrustRoot::public_good().unwrap();
    let (image, attestations) = tagged(&folder.join("layout"), ".att");
    let types: Vec<_> =
        attestations.iter().map(|material| attested(&signed(material, &root), material, image)).collect();
    assert_eq!(types, ["https://openvex.dev/ns", "https://spdx.dev/Document"]);
    let (signed_image, signatures) = tagged(&folder.join("layout"), ".sig");
    assert_eq!(signed_image, image);
    let [signature] = &signatures[..] else { panic!() };
    let signature = signed(signature, &root);
    assert_eq!((signature.claim, &signature.subjects[..]), (Claim::Image, &[image][..]));
    assert_eq!(signature.signer.identity().unwrap().subjects, ["puerco@chainguard.dev"]);
}

/// An attestation of each generation, to be damaged.
pub(crate) fn samples() -> Option<[Sample; 2]> {
    Some([Parts::read("v1.4.0")?.sample(), Parts::read("v2.1.0")?.sample()])
}

/// One attestation, in its parts.
#[derive(Clone)]
struct Parts {
    envelope: Value,
    annotations: Annotations,
}

impl Parts {
    fn read(version: &str) -> Option<Self> {
        let layout = folder("real-images/slsa-verifier")?.join(version).join("layout");
        let index = json(&layout.join("index.json"));
        let manifests = index["manifests"].as_array().unwrap().iter();
        let blob = |digest: &Value| {
            json(&layout.join("blobs/sha256").join(digest.as_str().unwrap().strip_prefix("sha256:").unwrap()))
        };
        let tag = |manifest: &Value| manifest["annotations"]["org.opencontainers.image.ref.name"].clone();
        let manifest = manifests.clone().find(|manifest| tag(manifest).as_str().unwrap().ends_with(".att"));
        let manifest = blob(&manifest.unwrap()["digest"]);
        let layer = &manifest["layers"][0];
        Some(Self {
            envelope: blob(&layer["digest"]),
            annotations: crate::shared::annotations(&layer["annotations"]),
        })
    }

    /// As cosign writes it, which is as Go does: the hash of just these bytes is in the log.
    fn json(&self) -> String {
        let part = |name: &str| self.envelope[name].as_str().unwrap();
        let sig = self.envelope["signatures"][0]["sig"].as_str().unwrap();
        format!(
            r#"{{"payloadType":"{}","payload":"{}","signatures":[{{"keyid":"","sig":"{sig}"}}]}}"#,
            part("payloadType"),
            part("payload")
        )
    }

    fn sample(self) -> Sample {
        Sample { payload: self.json().into_bytes(), annotations: self.annotations }
    }

    fn material(&self) -> Material {
        of_kind(CandidateKind::Envelope, self.json(), self.annotations.clone())
    }

    fn with_entry(&self, pointer: &str, edit: impl FnOnce(&Value) -> Value) -> Material {
        let mut parts = self.clone();
        let mut entry: Value = serde_json::from_str(&parts.annotations[BUNDLE]).unwrap();
        let value = entry.pointer_mut(pointer).unwrap();
        *value = edit(value);
        parts.annotations.insert(BUNDLE.into(), entry.to_string());
        parts.material()
    }
}

#[test]
fn an_old_attestation_whose_parts_do_not_belong_together_is_refused() {
    let (Some(parts), Some(other)) = (Parts::read("v1.4.0"), Parts::read("v1.9.0")) else {
        return;
    };
    let root = TrustRoot::public_good().unwrap();
    signed(&parts.material(), &root);

    let mut edited = parts.clone();
    edited.envelope["payload"] = other.envelope["payload"].clone();
    refused(&edited.material(), &root, FlawKind::LogEntry);
    let mut edited = parts.clone();
    edited.envelope["signatures"] = other.envelope["signatures"].clone();
    refused(&edited.material(), &root, FlawKind::LogEntry);
    // The same envelope in other bytes is not what the log has.
    let spelled =
        of_kind(CandidateKind::Envelope, parts.envelope.to_string() + "\n", parts.annotations.clone());
    refused(&spelled, &root, FlawKind::LogEntry);
    for annotation in [CERTIFICATE, BUNDLE] {
        let mut edited = parts.clone();
        edited.annotations.insert(annotation.into(), other.annotations[annotation].clone());
        refused(&edited.material(), &root, FlawKind::LogEntry);
    }
    let mut edited = parts.clone();
    edited.annotations.remove(BUNDLE).unwrap();
    refused(&edited.material(), &root, FlawKind::LogEntry);
    let mut edited = parts.clone();
    edited.annotations.remove(CERTIFICATE).unwrap();
    refused(&edited.material(), &root, FlawKind::Unsupported);
}

#[test]
fn an_old_log_entry_that_was_edited_is_refused() {
    let (Some(parts), Some(other)) = (Parts::read("v1.4.0"), Parts::read("v1.9.0")) else {
        return;
    };
    let root = TrustRoot::public_good().unwrap();
    let one_more = |value: &Value| json!(value.as_i64().unwrap() + 1);
    let log = |value: &Value| json!(value.as_str().unwrap().replacen('c', "d", 1));
    let promise = |_: &Value| {
        let entry: Value = serde_json::from_str(&other.annotations[BUNDLE]).unwrap();
        entry["SignedEntryTimestamp"].clone()
    };
    let body = |value: &Value| {
        let mut body: Value =
            serde_json::from_slice(&STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap();
        body["spec"]["content"]["hash"]["value"] = Digest::of(b"").hex().into();
        json!(STANDARD.encode(body.to_string()))
    };
    for material in [
        parts.with_entry("/Payload/integratedTime", one_more),
        parts.with_entry("/Payload/logIndex", one_more),
        parts.with_entry("/Payload/logID", log),
        parts.with_entry("/SignedEntryTimestamp", promise),
        parts.with_entry("/Payload/body", body),
    ] {
        refused(&material, &root, FlawKind::LogEntry);
    }
}
