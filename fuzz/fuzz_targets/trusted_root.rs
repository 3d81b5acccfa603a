//! A trust root is usable whole or not at all, and known by its text.

#![no_main]

use std::hint::black_box;

use libfuzzer_sys::fuzz_target;
use policies::Profile;
use verify::{Grounds, TrustRoot};

fuzz_target!(|text: &str| {
    match TrustRoot::from_json(text) {
        Ok(root) => {
            assert_eq!(root.id(), oci::Digest::of(text.as_bytes()));
            black_box(Grounds::keyless(&root, Profile::STRICT).id());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
