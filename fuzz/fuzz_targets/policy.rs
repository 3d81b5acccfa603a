//! Policies load whole or not at all, mean the same whenever they are read, and can be asked about any image.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::{Digest, Reference};
use policies::{
    Case, Document, Evidence, Externals, Lookups, NoMatch, PolicySet, Request, Subject, Verdict, judge,
};

fuzz_target!(|text: &str| {
    let load = |text| PolicySet::load([Document { origin: "policy.yaml", text }], &Externals::default());
    let policies = match load(text) {
        Ok(policies) => policies,
        Err(error) => {
            assert!(!error.problems().is_empty() && !error.to_string().is_empty());
            return;
        }
    };
    let again = load(text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(policies.revision(), again.revision());
    assert!(policies.names().is_sorted_by(|left, right| left < right));
    assert_eq!(policies.names().count(), policies.len());

    let digest = Digest::of(b"image");
    for image in ["ghcr.io/acme/app", "nginx", "localhost:5000/a/b/c"] {
        let reference: Reference = image.parse().unwrap_or_else(|error| panic!("{error}"));
        let reference = reference.pinned(digest);
        let matching = policies.matching(reference.name(), &reference.version(), &Request::Pull);
        let subject = Subject { name: reference.name().clone(), digest };
        let (evidence, lookups) = (Evidence::default(), Lookups::default());
        let case = Case {
            subject: &subject,
            matching: &matching,
            evidence: &evidence,
            lookups: &lookups,
            no_match: NoMatch::Deny,
        };
        let judged = judge(&case, 0);
        assert!(matching.names().all(|name| policies.names().any(|known| known == name)));
        if matching.is_uncovered() {
            assert!(judged.is_ok_and(|judgement| matches!(judgement.verdict, Verdict::Deny(_))));
        }
    }
});
