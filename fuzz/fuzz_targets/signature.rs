//! Whatever stands in the annotations beside a payload, only what was signed is found to be signed.
//!
//! The input is a payload and then a value for each annotation, with the byte 0xff, which no text has, between them.

#![no_main]

use bytes::Bytes;
use fuzz::signing;
use libfuzzer_sys::fuzz_target;
use oci::Verified;
use verify::Candidate;

const NAMES: [&str; 4] = [
    "dev.cosignproject.cosign/signature",
    "dev.sigstore.cosign/certificate",
    "dev.sigstore.cosign/chain",
    "dev.sigstore.cosign/bundle",
];

fuzz_target!(|input: &[u8]| {
    let mut parts = input.split(|byte| *byte == 0xff);
    let payload = Verified::of(Bytes::copy_from_slice(parts.next().unwrap_or_default()));
    let values = parts.map(String::from_utf8_lossy).map(String::from);
    let candidate = Candidate {
        payload: payload.digest(),
        size: payload.bytes().len() as u64,
        annotations: NAMES.map(str::to_owned).into_iter().zip(values).collect(),
    };
    if let Ok(material) = candidate.material(payload) {
        signing::check(&material);
    }
});
