//! Whatever a payload says, under the annotations of another one it is found to say nothing.

#![no_main]

use std::collections::BTreeMap;
use std::sync::OnceLock;

use bytes::Bytes;
use fuzz::signing::{self, IMAGE};
use libfuzzer_sys::fuzz_target;
use oci::Digest;
use verify::CandidateKind;

fuzz_target!(|payload: &[u8]| {
    static ANNOTATIONS: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    let annotations = ANNOTATIONS.get_or_init(|| {
        let reference = "registry.example/acme/app";
        signing::authority().sign(&Digest::of(IMAGE), reference, &signing::identity()).annotations
    });
    for kind in [CandidateKind::SimpleSigning, CandidateKind::Envelope] {
        let payload = Bytes::copy_from_slice(payload);
        if let Some(material) = signing::material(kind, payload, annotations.clone()) {
            signing::check(&material);
        }
    }
});
