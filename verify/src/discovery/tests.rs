use bytes::Bytes;
use oci::{Algorithm, MediaType};
use serde_json::{Value, json};

use super::*;
use crate::CandidateKind;

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const SBOM: &str = "application/spdx+json";

fn image() -> Digest {
    Digest::of(b"image")
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(content), "size": content.len()})
}

fn parsed(document: &Value) -> Manifest {
    Manifest::parse(&Verified::of(Bytes::from(document.to_string())), None).unwrap()
}

fn artefact(layers: &[Value], subject: Option<&[u8]>) -> Manifest {
    let mut document = json!({
        "mediaType": MediaType::OCI_MANIFEST,
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": layers,
    });
    if let Some(subject) = subject {
        document["subject"] = descriptor(MediaType::OCI_INDEX, subject);
    }
    parsed(&document)
}

fn list(entries: &[Value]) -> Manifest {
    parsed(&json!({"mediaType": MediaType::OCI_INDEX, "manifests": entries}))
}

fn numbered(count: usize) -> Vec<Value> {
    (0..count).map(|number| descriptor(MediaType::OCI_MANIFEST, number.to_string().as_bytes())).collect()
}

fn bundles(count: usize) -> Vec<Value> {
    (0..count).map(|number| descriptor(BUNDLE, number.to_string().as_bytes())).collect()
}

fn plan() -> Plan {
    Plan::start(image()).0
}

fn tag(suffix: &str) -> Tag {
    format!("sha256-{}{suffix}", image().hex()).parse().unwrap()
}

fn payloads(asks: &[Ask]) -> Vec<(CandidateKind, Digest)> {
    let payload = |ask: &Ask| match ask {
        Ask::Payload(candidate) => (candidate.kind, candidate.payload),
        Ask::Tag(_) | Ask::Referrers | Ask::NextPage | Ask::Manifest(_) => panic!("{ask:?}"),
    };
    asks.iter().map(payload).collect()
}

#[test]
fn every_place_is_asked_at_first() {
    let (_, asks) = Plan::start(image());
    let expected = [tag(".sig"), tag(".att"), tag("")].map(Ask::Tag);
    assert_eq!(asks[..3], expected);
    assert_eq!(asks[3..], [Ask::Referrers]);
    let (_, asks) = Plan::start(Digest::with(Algorithm::Sha512, b"image"));
    assert_eq!(asks.last(), Some(&Ask::Referrers));
}

#[test]
fn signatures_that_are_kept_otherwise_are_asked_for_where_they_are() {
    let prefixed = |suffix: &str| Ask::Tag(format!("prod-{}", tag(suffix).as_str()).parse().unwrap());
    let (_, asks) = Plan::start_at(image(), Places::Every, "prod-");
    assert_eq!(asks, [prefixed(".sig"), prefixed(".att"), Ask::Tag(tag("")), Ask::Referrers]);
    let (_, asks) = Plan::start_at(image(), Places::Tags, "prod-");
    assert_eq!(asks, [prefixed(".sig"), prefixed(".att")]);
    assert_eq!(Plan::start_at(image(), Places::Tags, "no tag/").1, []);
}

#[test]
fn every_signature_of_a_tagged_manifest_is_asked_for() {
    let layers = [
        descriptor(MediaType::SIMPLE_SIGNING, b"signature"),
        descriptor(SBOM, b"something else"),
        descriptor(MediaType::DSSE_ENVELOPE, b"attestation"),
    ];
    let asks = plan().found_under_tag(&tag(".att"), &artefact(&layers, None));
    let expected = [
        (CandidateKind::SimpleSigning, Digest::of(b"signature")),
        (CandidateKind::Envelope, Digest::of(b"attestation")),
    ];
    assert_eq!(payloads(&asks), expected);
}

#[test]
fn a_list_counts_by_either_way_whatever_it_says_of_its_entries() {
    let mut mislabelled = descriptor(MediaType::OCI_MANIFEST, b"a");
    mislabelled["artifactType"] = SBOM.into();
    let entries =
        [mislabelled, descriptor(MediaType::DOCKER_MANIFEST, b"b"), descriptor(MediaType::OCI_INDEX, b"c")];
    let expected = [b"a", b"b"].map(|content| Ask::Manifest(Digest::of(content)));
    assert_eq!(plan().found_under_tag(&tag(""), &list(&entries)), expected);
    assert_eq!(plan().found_page(&list(&entries), Page::Last), expected);
    // Under cosign's own tags nobody writes a list.
    assert_eq!(plan().found_under_tag(&tag(".sig"), &list(&entries)), []);
}

#[test]
fn what_both_ways_list_is_asked_for_once() {
    let mut plan = plan();
    let (both, one) = (list(&numbered(2)), list(&numbered(3)));
    assert_eq!(plan.found_under_tag(&tag(""), &both).len(), 2);
    assert_eq!(plan.found_page(&one, Page::Last), [Ask::Manifest(Digest::of(b"2"))]);
}

#[test]
fn a_manifest_of_another_image_is_left_out() {
    let layers = bundles(1);
    for (subject, count) in [(None, 1), (Some(&b"image"[..]), 1), (Some(&b"another"[..]), 0)] {
        assert_eq!(plan().found_manifest(&artefact(&layers, subject)).len(), count, "{subject:?}");
    }
    assert_eq!(plan().found_manifest(&list(&layers)), []);
}

#[test]
fn material_is_given_once_each_and_nothing_is_beyond() {
    let mut plan = plan();
    let layers = [descriptor(BUNDLE, b"{}"), descriptor(MediaType::SIMPLE_SIGNING, b"{}")];
    let asks = plan.found_manifest(&artefact(&layers[..1], None));
    assert_eq!(asks.len(), 1);
    assert_eq!(plan.found_manifest(&artefact(&layers[..1], Some(b"image"))), []);
    let mut signature = layers[1].clone();
    signature["annotations"] = json!({"dev.cosignproject.cosign/signature": "c2ln"});
    let signatures = plan.found_under_tag(&tag(".sig"), &artefact(&[signature.clone(), signature], None));
    for ask in asks.into_iter().chain(signatures) {
        let Ask::Payload(candidate) = ask else { panic!() };
        plan.found_payload(candidate, Verified::of(Bytes::from_static(b"{}")));
    }
    let found = plan.finish();
    assert_eq!(found.materials.len(), 2);
    assert_eq!(found.beyond, None);
}

#[test]
fn the_list_of_referrers_is_read_up_to_a_limit() {
    let mut plan = plan();
    for _ in 1..PAGES_LIMIT {
        assert_eq!(plan.found_page(&list(&[]), Page::More), [Ask::NextPage]);
    }
    assert_eq!(plan.found_page(&list(&[]), Page::More), []);
    assert_eq!(plan.finish().beyond, Some(InvalidMaterial::TooManyPages));
}

#[test]
fn what_is_within_the_limits_is_asked_for_and_the_limit_is_told() {
    let mut many = plan();
    assert_eq!(many.found_page(&list(&numbered(MANIFESTS_LIMIT + 1)), Page::Last).len(), MANIFESTS_LIMIT);
    assert_eq!(many.finish().beyond, Some(InvalidMaterial::TooManyManifests));

    let mut many = plan();
    assert_eq!(many.found_manifest(&artefact(&bundles(60), None)).len(), 60);
    let others: Vec<_> =
        (0..5).map(|number| descriptor(BUNDLE, format!("other {number}").as_bytes())).collect();
    assert_eq!(many.found_manifest(&artefact(&others, None)).len(), 4);
    assert_eq!(many.finish().beyond, Some(InvalidMaterial::TooManySignatures));

    let mut large = plan();
    let of_size = |size: usize| {
        let mut entry = descriptor(MediaType::OCI_MANIFEST, &size.to_be_bytes());
        entry["size"] = size.into();
        entry
    };
    let entries = [of_size(MANIFEST_LIMIT), of_size(MANIFEST_LIMIT + 1)];
    assert_eq!(large.found_page(&list(&entries), Page::Last).len(), 1);
    assert!(matches!(large.finish().beyond, Some(InvalidMaterial::PayloadTooLarge { .. })));

    let mut much = plan();
    let mut layers = bundles(9);
    layers.iter_mut().for_each(|layer| layer["size"] = (8 * 1024 * 1024).into());
    assert_eq!(much.found_manifest(&artefact(&layers, None)).len(), 8);
    assert_eq!(much.finish().beyond, Some(InvalidMaterial::TooMuch));
}

#[test]
fn what_somebody_says_wrongly_of_a_payload_does_not_keep_it_from_being_found() {
    let mut plan = plan();
    let mut wrong_size = descriptor(BUNDLE, b"{}");
    wrong_size["size"] = 1.into();
    let wrong_kind = descriptor(MediaType::DSSE_ENVELOPE, b"{}");
    plan.found_manifest(&artefact(&[wrong_size, wrong_kind], None));
    let asks = plan.found_manifest(&artefact(&[descriptor(BUNDLE, b"{}")], None));
    assert_eq!(payloads(&asks), [(CandidateKind::Bundle, Digest::of(b"{}"))]);
    plan.found_unusable();
    assert_eq!(plan.finish().beyond, Some(InvalidMaterial::Unusable));
}

#[test]
fn a_payload_that_is_another_is_no_material() {
    let mut plan = plan();
    let asks = plan.found_manifest(&artefact(&bundles(1), None));
    let [Ask::Payload(candidate)] = &asks[..] else { panic!() };
    plan.found_payload(candidate.clone(), Verified::of(Bytes::from_static(b"another")));
    let found = plan.finish();
    assert_eq!(found.materials, []);
    assert!(matches!(found.beyond, Some(InvalidMaterial::WrongPayload { .. })));
}
