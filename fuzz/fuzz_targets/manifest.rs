//! A manifest is understood in one way, whatever it was sent as, and as other readers of JSON understand it.

#![no_main]

use bytes::Bytes;
use fuzz::go;
use libfuzzer_sys::fuzz_target;
use oci::{ArtefactLimits, Manifest, MediaType, Verified};

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
    if let Ok(candidates) = verify::candidates(manifest) {
        assert!(candidates.iter().all(|candidate| ours.contains(&candidate.payload.to_string())));
    }
}
