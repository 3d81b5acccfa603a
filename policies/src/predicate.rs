//! The kinds of statements that attestations make, and the short names that policies may use for them.

/// The short names that cosign has for predicate types, and what they stand for.
const SHORT: [(&str, &str); 10] = [
    ("custom", "https://cosign.sigstore.dev/attestation/v1"),
    ("slsaprovenance", "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance02", "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance1", "https://slsa.dev/provenance/v1"),
    ("spdx", "https://spdx.dev/Document"),
    ("spdxjson", "https://spdx.dev/Document"),
    ("cyclonedx", "https://cyclonedx.org/bom"),
    ("link", "https://in-toto.io/Link/v1"),
    ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"),
    ("openvex", "https://openvex.dev/ns"),
];

/// The predicate type that a name stands for; whatever is no short name stands for itself.
pub(crate) fn full(name: &str) -> &str {
    SHORT.iter().find(|(short, _)| *short == name).map_or(name, |(_, full)| full)
}

/// Whether policy-controller warns of a name: short ones and those that are no URI are easily taken for another.
pub(crate) fn is_deprecated(name: &str) -> bool {
    let is_uri = match name.split_once(':') {
        Some((scheme, _)) if is_scheme(scheme) => true,
        Some(_) | None => name.starts_with('/') || name == "*",
    };
    !is_uri || name.contains(|character: char| character.is_ascii_control())
}

/// A scheme as [RFC 3986](https://www.rfc-editor.org/rfc/rfc3986#section-3.1) has it.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_stand_for_what_cosign_says_and_all_others_for_themselves() {
        assert_eq!(full("spdxjson"), "https://spdx.dev/Document");
        assert_eq!(full("slsaprovenance1"), "https://slsa.dev/provenance/v1");
        for name in ["SPDX", "https://example.com/v1", "spdx "] {
            assert_eq!(full(name), name);
        }
    }

    #[test]
    fn names_that_are_no_uri_are_deprecated() {
        for name in
            SHORT.map(|(short, _)| short).into_iter().chain(["notsupported", "a b:c", ":c", "https://a\n"])
        {
            assert!(is_deprecated(name), "{name}");
        }
        for name in ["https://slsa.dev/provenance/v1", "urn:example:v1", "/v1"] {
            assert!(!is_deprecated(name), "{name}");
        }
    }
}
