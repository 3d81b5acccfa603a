//! Whatever a bundle says, it is of nothing but what was signed, and by nobody but who signed.

#![no_main]

use std::collections::BTreeMap;

use bytes::Bytes;
use fuzz::signing::{self, IMAGE};
use libfuzzer_sys::fuzz_target;
use oci::Digest;
use verify::{Artifact, CandidateKind, Expected, verify_bundle};

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const SUBJECT: &str = "https://github.com/acme/app/.github/workflows/release.yaml@refs/heads/main";

fuzz_target!(|bundle: &[u8]| {
    let document = Bytes::copy_from_slice(bundle);
    if let Some(material) = signing::material(CandidateKind::Bundle, document, BTreeMap::new()) {
        signing::check(&material);
    }
    let verified = |artifact, subject, issuer| {
        verify_bundle(&artifact, bundle, Expected::Identity { subject, issuer }, signing::trust_root())
            .is_ok()
    };
    let image = || Artifact::Digest(Digest::of(IMAGE));
    assert!(!verified(Artifact::Bytes(Bytes::from_static(b"another")), SUBJECT, ISSUER));
    assert!(!verified(image(), "https://github.com/evil/app", ISSUER));
    assert!(!verified(image(), SUBJECT, "https://evil.example"));
});
