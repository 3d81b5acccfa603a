//! A manifest is understood in one way, whatever it was sent as, and as other readers of JSON understand it.

#![no_main]

use bytes::Bytes;
use fuzz::go;
use libfuzzer_sys::fuzz_target;
use oci::{ArtefactLimits, Digest, Manifest, MediaType, Verified};
use verify::Candidates;
use verify::discovery::{Ask, MANIFESTS_LIMIT, Page, Plan};

fuzz_target!(|content: &[u8]| {
    let content = Verified::of(Bytes::copy_from_slice(content));
    let parsed = Manifest::parse(&content, None);
    let types =
        [MediaType::OCI_MANIFEST, MediaType::OCI_INDEX, MediaType::DOCKER_MANIFEST, MediaType::DOCKER_LIST];
    for sent_as in types.map(MediaType::new) {
        let Ok(sent) = Manifest::parse(&content, Some(&sent_as)) else { continue };
        assert_eq!(*sent.media_type(), sent_as);
        if let Ok(parsed) = &parsed {
            assert_eq!(*parsed, sent);
        }
        check(&sent, content.bytes());
    }
});

fn check(manifest: &Manifest, content: &[u8]) {
    let ours: Vec<_> = manifest.children().map(|child| child.digest.to_string()).collect();
    if let Some(theirs) = go::children(content, manifest.media_type().is_index()) {
        assert_eq!(ours, theirs);
    }
    if manifest.is_signature_artefact(ArtefactLimits::default()) {
        assert!(manifest.media_type().is_image() && ours.len() > 1);
    }
    let found = Candidates::of(manifest).list;
    assert!(found.len() <= 64 && found.iter().all(|candidate| ours.contains(&candidate.payload.to_string())));

    // As a list of referrers and as what such a list has, it sends us to nothing that it does not name itself.
    let (mut plan, _) = Plan::start(Digest::of(b"image"));
    let asks = [plan.found_page(manifest, Page::Last), plan.found_manifest(manifest)].concat();
    assert!(asks.len() <= 64 + MANIFESTS_LIMIT);
    for ask in asks {
        match ask {
            Ask::Manifest(digest) => assert!(ours.contains(&digest.to_string())),
            Ask::Payload(candidate) => assert!(ours.contains(&candidate.payload.to_string())),
            Ask::Tag(_) | Ask::Referrers | Ask::NextPage => panic!("{ask:?} was not named"),
        }
    }
}
