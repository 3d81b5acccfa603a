//! What holds of all policies and all evidence.

use proptest::sample::{select, subsequence};

use super::*;
use crate::test_support::{KEY, attests, signed_by_key, verdict_on};

const SPDX: &str = "https://spdx.dev/Document";

/// A policy that is not written down yet.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    glob: &'static str,
    warns: bool,
    authorities: Vec<String>,
}

impl Draft {
    fn write(&self, name: usize) -> String {
        let mode = if self.warns { "warn" } else { "enforce" };
        let authorities = self.authorities.join(", ");
        let spec =
            format!("{{mode: {mode}, images: [{{glob: '{}'}}], authorities: [{authorities}]}}", self.glob);
        policy(&format!("p{name}"), &spec)
    }

    fn matches(&self) -> bool {
        self.glob != "docker.io/**"
    }
}

pub(super) fn write(drafts: &[Draft]) -> Vec<String> {
    drafts.iter().enumerate().map(|(name, draft)| draft.write(name)).collect()
}

fn authority() -> impl Strategy<Value = String> {
    let keyless =
        |subject: &str| format!("keyless: {{identities: [{{issuer: '{ISSUER}', subject: {subject}}}]}}");
    let key = format!("key: {{data: \"{KEY}\"}}");
    let attested = "attestations: [{name: a, predicateType: spdx}]";
    let kinds = [
        "static: {action: pass}".to_owned(),
        "static: {action: fail}".to_owned(),
        keyless("release.yaml"),
        keyless("nightly.yaml"),
        key.clone(),
        format!("{}, {attested}", keyless("release.yaml")),
        format!("{key}, {attested}"),
    ];
    select(kinds.map(|fields| format!("{{{fields}}}")).to_vec())
}

fn draft() -> impl Strategy<Value = Draft> {
    let glob = select(vec!["**", "ghcr.io/acme/**", "docker.io/**"]);
    let authorities = proptest::collection::vec(authority(), 1..4);
    (glob, any::<bool>(), authorities).prop_map(|(glob, warns, authorities)| Draft {
        glob,
        warns,
        authorities,
    })
}

pub(super) fn drafts() -> impl Strategy<Value = Vec<Draft>> {
    proptest::collection::vec(draft(), 0..5)
}

pub(super) fn findings() -> impl Strategy<Value = Vec<Finding>> {
    let stranger = signed(&[app()], ISSUER, "stranger");
    let all = vec![
        good(),
        stranger.clone(),
        flawed("expired"),
        signed(&[Digest::of(b"other")], ISSUER, "nightly.yaml"),
        signed_by_key(),
        attests(&good(), SPDX),
        attests(&stranger, SPDX),
        attests(&signed_by_key(), "https://a.example/v1"),
    ];
    subsequence(all, 0..=8).prop_shuffle()
}

fn is_allowed(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Allow(_))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn one_more_policy_never_lets_in_what_others_keep_out(drafts in drafts(), more in draft(), findings in findings()) {
        let before = verdict_on(&write(&drafts), &findings, NoMatch::Allow);
        let after = verdict_on(&write(&[drafts, vec![more]].concat()), &findings, NoMatch::Allow);
        prop_assert!(is_allowed(&before) || !is_allowed(&after));
    }

    #[test]
    fn neither_the_order_of_policies_nor_of_authorities_nor_of_evidence_matters(
        (drafts, shuffled) in drafts().prop_flat_map(|drafts| (Just(drafts.clone()), Just(drafts).prop_shuffle())),
        findings in findings(),
    ) {
        let mut shuffled = shuffled;
        shuffled.iter_mut().for_each(|draft| draft.authorities.reverse());
        let reversed: Vec<_> = findings.iter().rev().cloned().collect();
        let (one, other) = (
            verdict_on(&write(&drafts), &findings, NoMatch::Deny),
            verdict_on(&write(&shuffled), &reversed, NoMatch::Deny),
        );
        match (one, other) {
            (Verdict::Allow(one), Verdict::Allow(other)) => {
                prop_assert_eq!(one.ground(), other.ground());
                prop_assert_eq!(one.warnings().len(), other.warnings().len());
            }
            (Verdict::Deny(one), Verdict::Deny(other)) => {
                prop_assert_eq!(one.as_str(), other.as_str());
                prop_assert_eq!(one.warnings().len(), other.warnings().len());
            }
            (one, other) => prop_assert!(false, "{one:?} {other:?}"),
        }
    }

    #[test]
    fn a_policy_that_warns_never_changes_the_verdict(drafts in drafts(), findings in findings()) {
        let binding: Vec<_> = drafts.iter().filter(|draft| !draft.warns).cloned().collect();
        let warned = drafts.iter().any(|draft| draft.warns && draft.matches());
        for no_match in [NoMatch::Deny, NoMatch::Allow] {
            let all = verdict_on(&write(&drafts), &findings, no_match);
            let without = verdict_on(&write(&binding), &findings, no_match);
            // Speaking of an image at all is something that a policy which warns does too.
            let unspoken = !binding.iter().any(Draft::matches) && warned;
            prop_assert_eq!(is_allowed(&all), unspoken || is_allowed(&without));
        }
    }

    #[test]
    fn a_verdict_that_is_remembered_is_the_one_that_would_be_given_now(drafts in drafts(), findings in findings()) {
        let policies = write(&drafts);
        let verdict = || format!("{:?}", verdict_on(&policies, &findings, NoMatch::Warn));
        prop_assert_eq!(verdict(), verdict());
    }
}
