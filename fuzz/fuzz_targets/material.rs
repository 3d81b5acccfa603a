//! Material has one encoding, and only what was signed is found to be signed.

#![no_main]

use fuzz::signing;
use libfuzzer_sys::fuzz_target;
use verify::Material;

fuzz_target!(|bytes: &[u8]| {
    let Ok(material) = Material::decode(bytes) else { return };
    assert_eq!(material.encode(), bytes);
    assert_eq!(material.digest(), oci::Digest::of(bytes));
    signing::check(&material);
});
