//! Sigstore bundles that cosign made of images.

use policies::{Attestation, Claim, Demand, FlawKind, LogDemand, Profile};
use serde_json::{Value, json};
use verify::{CandidateKind, Grounds, Material, TrustRoot};

use crate::shared::{Annotations, folder, json, refused, refused_on, signed, signed_on};

fn bundle(name: &str) -> Option<Value> {
    Some(json(&folder("real-images/bundles-v0.3")?.join(name).join("bundle.original.sigstore.json")))
}

fn material(bundle: &Value) -> Material {
    crate::shared::of_kind(CandidateKind::Bundle, bundle.to_string(), Annotations::new())
}

const IMAGE: &str = "kubewarden-controller-v1.34.0";
const ATTESTATION: &str = "cosign-oci-attestation";

#[test]
fn a_bundle_of_an_image_is_a_signature_of_it() {
    let Some(bundle) = bundle(IMAGE) else { return };
    let material = material(&bundle);
    let signature = signed(&material, &TrustRoot::public_good().unwrap());
    assert_eq!(signature.claim, Claim::Image);
    let digest = "sha256:c811d58de79c92f03214e63aa339484e488d694ae8a6283b5f3f17a9faf50172";
    assert_eq!(signature.subjects, [digest.parse().unwrap()]);
    let signer = signature.signer.identity().unwrap();
    assert_eq!(signer.issuer, "https://token.actions.githubusercontent.com");
    let subject =
        "https://github.com/kubewarden/kubewarden-controller/.github/workflows/release.yml@refs/tags/v1.34.0";
    assert_eq!(signer.subjects, [subject]);
    assert_eq!(signature.timestamps.len(), 1);
    assert_eq!(material.claimed_time(), signature.integrated_time.max(Some(signature.timestamps[0])));
    let apart = signature.timestamps[0] - signature.integrated_time.unwrap();
    assert!(apart.abs() < 60, "{apart}");
}

#[test]
fn a_bundle_of_an_attestation_is_no_signature_of_the_image() {
    let Some(bundle) = bundle(ATTESTATION) else { return };
    let material = material(&bundle);
    let signature = signed(&material, &TrustRoot::public_good().unwrap());
    let digest = "sha256:732112270d7e59418a8c080b134b24cabd67d250d0d0147a97ed95ba5c280aa4";
    assert_eq!(signature.subjects, [digest.parse().unwrap()]);
    assert_eq!(signature.signer.identity().unwrap().subjects, ["cody@soyland.com"]);
    assert!(signature.timestamps.is_empty());
    let attestation = Attestation {
        predicate_type: "https://cosign.sigstore.dev/attestation/v1".into(),
        statement: oci::Digest::of(&material.statement().unwrap()),
    };
    assert_eq!(signature.claim, Claim::Attestation(attestation));
}

#[test]
fn what_a_profile_demands_has_to_be_there_and_what_is_there_has_to_be_right() {
    let (Some(stamped), Some(bare)) = (bundle(IMAGE), bundle(ATTESTATION)) else { return };
    let root = TrustRoot::public_good().unwrap();
    let on = |profile| Grounds::keyless(&root, profile);
    let proof = Profile { log: LogDemand::Proof, ..Profile::STRICT };
    let timestamp = Profile { timestamp: Demand::Required, ..Profile::STRICT };
    let nothing = Profile {
        log: LogDemand::Nothing,
        certificate_timestamp: Demand::NotRequired,
        timestamp: Demand::Required,
    };
    let lax = Profile { timestamp: Demand::NotRequired, ..nothing };
    for profile in [proof, timestamp, nothing, lax] {
        signed_on(&material(&stamped), &on(profile));
    }
    signed_on(&material(&bare), &on(proof));
    refused_on(&material(&bare), &on(timestamp), FlawKind::Timestamp);
    refused_on(&material(&bare), &on(nothing), FlawKind::Timestamp);
    signed_on(&material(&bare), &on(lax));

    let mut unlogged = stamped.clone();
    unlogged["verificationMaterial"]["tlogEntries"] = json!([]);
    refused_on(&material(&unlogged), &on(Profile::STRICT), FlawKind::LogEntry);
    refused_on(&material(&unlogged), &on(timestamp), FlawKind::LogEntry);
    let signature = signed_on(&material(&unlogged), &on(nothing));
    assert_eq!((signature.integrated_time, signature.timestamps.len()), (None, 1));
    // Without any time that somebody vouches for, no certificate can be judged.
    unlogged["verificationMaterial"]["timestampVerificationData"] = json!({});
    refused_on(&material(&unlogged), &on(lax), FlawKind::Timestamp);

    let mut strange = stamped.clone();
    strange["verificationMaterial"]["tlogEntries"][0]["logId"]["keyId"] =
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".into();
    refused_on(&material(&strange), &on(timestamp), FlawKind::LogEntry);
    assert_eq!(signed_on(&material(&strange), &on(nothing)).integrated_time, None);
    let mut wrong = stamped.clone();
    wrong["verificationMaterial"]["tlogEntries"][0]["integratedTime"] = "1759000000".into();
    refused_on(&material(&wrong), &on(nothing), FlawKind::LogEntry);
}

#[test]
fn a_bundle_that_passes_for_another_version_is_not_taken_to_have_a_proof() {
    let Some(mut bundle) = bundle(ATTESTATION) else { return };
    let root = TrustRoot::public_good().unwrap();
    let entry = &mut bundle["verificationMaterial"]["tlogEntries"][0];
    entry.as_object_mut().unwrap().remove("inclusionProof").unwrap();
    refused(&material(&bundle), &root, FlawKind::LogEntry);
    bundle["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1".into();
    signed(&material(&bundle), &root);
    let proof = Profile { log: LogDemand::Proof, ..Profile::STRICT };
    refused_on(&material(&bundle), &Grounds::keyless(&root, proof), FlawKind::LogEntry);
}

#[test]
fn a_bundle_that_was_edited_is_refused() {
    let (Some(good), Some(other)) = (bundle(IMAGE), bundle(ATTESTATION)) else { return };
    let root = TrustRoot::public_good().unwrap();
    let edited = |pointer: &str, value: Value| {
        let mut bundle = good.clone();
        *bundle.pointer_mut(pointer).unwrap() = value;
        material(&bundle)
    };
    let swapped = |pointer: &str| edited(pointer, other.pointer(pointer).unwrap().clone());
    refused(&swapped("/verificationMaterial/certificate"), &root, FlawKind::Certificate);
    refused(&swapped("/dsseEnvelope/payload"), &root, FlawKind::Signature);
    refused(&swapped("/verificationMaterial/tlogEntries/0/canonicalizedBody"), &root, FlawKind::LogEntry);
    refused(&swapped("/verificationMaterial/tlogEntries/0/inclusionProof"), &root, FlawKind::LogEntry);
    refused(&edited("/dsseEnvelope/signatures/0/sig", "AAAA".into()), &root, FlawKind::Timestamp);
    refused(&swapped("/verificationMaterial/tlogEntries/0"), &root, FlawKind::Certificate);
    refused(&edited("/dsseEnvelope/payloadType", "text/plain".into()), &root, FlawKind::Unsupported);
    refused(
        &edited("/verificationMaterial/tlogEntries/0/kindVersion/version", "0.0.9".into()),
        &root,
        FlawKind::Malformed,
    );
    refused(&material(&good), &TrustRoot::staging().unwrap(), FlawKind::LogEntry);
}
