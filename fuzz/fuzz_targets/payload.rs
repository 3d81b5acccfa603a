//! Whatever a payload says, under the annotations of another one it is found to say nothing.

#![no_main]

use std::collections::BTreeMap;
use std::sync::OnceLock;

use bytes::Bytes;
use fuzz::signing;
use libfuzzer_sys::fuzz_target;
use oci::Verified;
use verify::Candidate;

fuzz_target!(|payload: &[u8]| {
    static ANNOTATIONS: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    let annotations = ANNOTATIONS.get_or_init(|| signing::signature().annotations);
    let payload = Verified::of(Bytes::copy_from_slice(payload));
    let size = payload.bytes().len() as u64;
    let candidate = Candidate { payload: payload.digest(), size, annotations: annotations.clone() };
    if let Ok(material) = candidate.material(payload) {
        signing::check(&material);
    }
});
