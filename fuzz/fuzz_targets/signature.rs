//! Whatever stands in the annotations beside a payload, only what was signed is found to be signed.
//!
//! The input is a letter for the kind, a payload, and then a value for each annotation, with the byte 0xff, which no
//! text has, between them.

#![no_main]

use bytes::Bytes;
use fuzz::signing;
use libfuzzer_sys::fuzz_target;
use verify::CandidateKind;

fuzz_target!(|input: &[u8]| {
    let Some((kind, input)) = input.split_first() else { return };
    let kind = if *kind == b'e' { CandidateKind::Envelope } else { CandidateKind::SimpleSigning };
    let mut parts = input.split(|byte| *byte == 0xff);
    let payload = Bytes::copy_from_slice(parts.next().unwrap_or_default());
    let values = parts.map(String::from_utf8_lossy).map(String::from);
    let named = signing::ANNOTATIONS.map(str::to_owned).into_iter().zip(values);
    let annotations = named.filter(|(_, value)| !value.is_empty()).collect();
    if let Some(material) = signing::material(kind, payload, annotations) {
        signing::check(&material);
    }
});
