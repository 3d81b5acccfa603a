//! A text that names an image has one canonical form, and that form means the same image.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::{Reference, TagOrDigest};

fuzz_target!(|text: &str| {
    let Ok(reference) = text.parse::<Reference>() else { return };
    let canonical = reference.to_string();
    let again: Reference = canonical.parse().unwrap_or_else(|error| panic!("{canonical:?}: {error}"));
    assert_eq!(again, reference);
    assert_eq!(again.to_string(), canonical);

    // The parts parse on their own, or a name could be remembered that no request can ask for.
    let name = reference.name();
    assert_eq!(name.host.as_str().parse().as_ref(), Ok(&name.host));
    assert_eq!(name.repository.as_str().parse().as_ref(), Ok(&name.repository));

    // What policies match and what is asked for is one version of that name.
    let matched: Reference = reference.matched_name().parse().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(matched.version(), reference.version());
    match reference.version() {
        TagOrDigest::Digest(digest) => assert_eq!(reference.pinned(digest), reference),
        TagOrDigest::Tag(tag) => assert_eq!(reference.tag(), Some(&tag)),
    }
});
