mod accounts;
mod attestations;
mod exemptions;
mod keys;
mod open;
mod programs;
mod properties;
mod requests;
mod revocations;

use oci::Digest;
use proptest::prelude::*;

use super::*;
use crate::facts::{Basis, Facts, Finding, Source, TrustRootRef};
use crate::request::Request;
use crate::test_support::{
    default_basis, evidence, flawed, judge, matching, policy, set, signed, subject, verdict,
};
use crate::verdict::Reason;

const ISSUER: &str = "https://ci.example";
const KEYLESS: &str = "{images: [{glob: '**'}], authorities: [{keyless: {identities: [\
                       {issuer: 'https://ci.example', subject: release.yaml}, {issuer: 'https://ci.example', \
                       subjectRegExp: '^hotfix-[0-9]+$'}]}}]}";

fn app() -> Digest {
    subject().digest
}

fn good() -> Finding {
    signed(&[app()], ISSUER, "release.yaml")
}

fn bases<'a>(matching: &Matching<'a>) -> Vec<&'a Basis> {
    matching.sources().into_values().flatten().collect()
}

fn fixed(action: &str, mode: &str) -> String {
    format!("{{images: [{{glob: '**'}}], mode: {mode}, authorities: [{{static: {{action: {action}}}}}]}}")
}

#[track_caller]
fn allowed(verdict: Verdict) -> Allowed {
    match verdict {
        Verdict::Allow(allowed) => allowed,
        Verdict::Deny(denial) => panic!("denied: {}", denial.for_person()),
    }
}

#[track_caller]
fn denied(verdict: Verdict) -> Denial {
    match verdict {
        Verdict::Allow(allowed) => panic!("allowed: {:?}", allowed.ground()),
        Verdict::Deny(denial) => denial,
    }
}

/// Judges by one keyless policy and expects a denial for this reason.
#[track_caller]
fn refuses(findings: &[Finding], code: &str) -> Reason {
    let denial = denied(verdict(&[policy("acme", KEYLESS)], findings, NoMatch::Allow));
    assert_eq!(denial.as_str(), code);
    let Cause::Failed(failures) = denial.cause() else { panic!("a policy matched") };
    assert_eq!(failures.len(), 1);
    assert_eq!((&*failures[0].policy, failures[0].as_str()), ("acme", code));
    failures[0].authorities()[0].reason.clone()
}

#[test]
fn a_signature_by_an_expected_identity_is_enough() {
    for finding in [good(), signed(&[app()], ISSUER, "hotfix-12")] {
        let allowed = allowed(verdict(&[policy("acme", KEYLESS)], &[finding], NoMatch::Deny));
        assert_eq!((allowed.ground(), allowed.ground().as_str()), (&Ground::Satisfied, "satisfied"));
        assert_eq!(allowed.subject(), &subject());
        assert_eq!(allowed.signers().len(), 1);
        assert!(allowed.warnings().is_empty());
    }
}

#[test]
fn one_good_signature_among_bad_ones_is_enough_and_is_named_once() {
    let other = Digest::of(b"other");
    let stranger = signed(&[app()], ISSUER, "stranger");
    let findings = [
        flawed("expired"),
        stranger,
        signed(&[other], ISSUER, "release.yaml"),
        good(),
        signed(&[other, app()], ISSUER, "release.yaml"),
    ];
    let allowed = allowed(verdict(&[policy("acme", KEYLESS)], &findings, NoMatch::Deny));
    let subjects: Vec<_> =
        allowed.signers().iter().map(|signer| signer.identity().unwrap().subjects[0].as_str()).collect();
    assert_eq!(subjects, ["release.yaml"]);
}

#[test]
fn any_subject_of_a_certificate_may_be_the_expected_one() {
    let Finding::Signed(mut signature) = good() else { panic!("signed") };
    let Signer::Certificate(mut identity) = signature.signer.clone() else { panic!("a certificate") };
    identity.subjects.insert(0, "ci@acme.example".into());
    signature.signer = Signer::Certificate(identity.clone());
    allowed(verdict(&[policy("acme", KEYLESS)], &[Finding::Signed(signature.clone())], NoMatch::Deny));
    identity.subjects.clear();
    signature.signer = Signer::Certificate(identity);
    refuses(&[Finding::Signed(signature)], "wrong-identity");
}

#[test]
fn each_way_to_fail_is_told_apart_and_the_closest_to_success_is_told() {
    let other = signed(&[Digest::of(b"other")], ISSUER, "release.yaml");
    let stranger = signed(&[app()], ISSUER, "nightly.yaml");
    assert_eq!(refuses(&[], "unsigned"), Reason::Unsigned);
    assert_eq!(refuses(std::slice::from_ref(&other), "other-subject"), Reason::OtherSubject);
    let Reason::Flawed { flaws } = refuses(&[other.clone(), flawed("expired")], "flawed") else {
        panic!("flawed")
    };
    assert_eq!(flaws.len(), 1);
    let findings = [other, flawed("expired"), stranger.clone(), stranger];
    let Reason::WrongIdentity { signers } = refuses(&findings, "wrong-identity") else {
        panic!("wrong identity")
    };
    assert_eq!(signers.len(), 1);
}

#[test]
fn issuer_and_subject_must_match_as_a_pair() {
    for (issuer, san) in [
        ("https://other.example", "release.yaml"),
        ("https://ci.example/", "release.yaml"),
        ("https://CI.example", "release.yaml"),
        (ISSUER, "release.yaml\n"),
        (ISSUER, "hotfix-12 "),
        (ISSUER, ""),
    ] {
        refuses(&[signed(&[app()], issuer, san)], "wrong-identity");
    }
}

#[test]
fn a_signature_that_names_no_image_vouches_for_none() {
    refuses(&[signed(&[], ISSUER, "release.yaml")], "other-subject");
}

#[test]
fn facts_count_only_on_the_basis_that_the_policy_rests_on() {
    let spec = "{images: [{glob: '**'}], authorities: [{keyless: {trustRootRef: ours, identities: [{issuer: \
                'https://ci.example', subject: release.yaml}]}}]}";
    let set = set(&[policy("acme", spec)]);
    let subject = subject();
    let matching = matching(&set, &subject);
    let ours = Basis::resting_on(TrustRootRef::Named("ours".into()));
    assert_eq!(bases(&matching), [&ours]);
    assert_eq!(set.trust_roots().collect::<Vec<_>>(), ["ours"]);

    let mut facts = evidence(&[good()]);
    denied(judge(&subject, &matching, &facts, NoMatch::Allow));
    facts.insert(
        Source::default(),
        ours,
        vec![Facts { material: Digest::of(b"material"), finding: good() }.into()],
    );
    allowed(judge(&subject, &matching, &facts, NoMatch::Allow));
}

#[test]
fn every_policy_binds_and_any_authority_of_one_is_enough() {
    let either = "{images: [{glob: '**'}], authorities: [{static: {action: fail}}, {keyless: {identities: [\
                  {issuer: 'https://ci.example', subject: release.yaml}]}}]}";
    let one = [policy("either", either)];
    assert_eq!(allowed(verdict(&one, &[good()], NoMatch::Deny)).signers().len(), 1);
    assert_eq!(denied(verdict(&one, &[], NoMatch::Deny)).as_str(), "unsigned");

    let all =
        [policy("b", either), policy("c", &fixed("fail", "enforce")), policy("a", &fixed("fail", "enforce"))];
    let denial = denied(verdict(&all, &[good()], NoMatch::Allow));
    let Cause::Failed(failures) = denial.cause() else { panic!("policies matched") };
    assert_eq!(failures.iter().map(|failure| &*failure.policy).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(denial.as_str(), "static-fail");
}

#[test]
fn a_policy_that_warns_is_told_of_and_hides_nothing() {
    let warn = policy("warns", &fixed("fail", "warn"));
    let allowed = allowed(verdict(&[warn.clone(), policy("acme", KEYLESS)], &[good()], NoMatch::Deny));
    assert_eq!(allowed.ground(), &Ground::Warned);
    assert_eq!(&*allowed.warnings()[0].policy, "warns");

    let denial = denied(verdict(&[warn, policy("acme", KEYLESS)], &[], NoMatch::Deny));
    assert_eq!(&*denial.warnings()[0].policy, "warns");
    let Cause::Failed(failures) = denial.cause() else { panic!("policies matched") };
    assert_eq!(failures.iter().map(|failure| &*failure.policy).collect::<Vec<_>>(), ["acme"]);
}

#[test]
fn a_static_pass_needs_no_evidence() {
    let set = set(&[policy("open", &fixed("pass", "enforce"))]);
    let subject = subject();
    let matching = matching(&set, &subject);
    assert!(matching.sources().is_empty());
    let allowed = allowed(judge(&subject, &matching, &Evidence::default(), NoMatch::Deny));
    assert_eq!(allowed.ground(), &Ground::Satisfied);
    assert!(allowed.signers().is_empty());
}

#[test]
fn what_no_policy_speaks_of_is_for_the_door_to_decide() {
    let elsewhere = [policy("acme", &KEYLESS.replace("'**'", "'docker.io/**'"))];
    assert_eq!(denied(verdict(&elsewhere, &[], NoMatch::Deny)).cause(), &Cause::NoMatchingPolicy);
    for no_match in [NoMatch::Warn, NoMatch::Allow] {
        assert_eq!(allowed(verdict(&elsewhere, &[], no_match)).ground(), &Ground::NoMatch);
    }
}

#[test]
fn one_basis_is_asked_for_once() {
    let set = set(&[policy("a", KEYLESS), policy("b", KEYLESS)]);
    assert_eq!(bases(&matching(&set, &subject())), [&default_basis()]);
}

proptest! {
    /// Findings that are not a signature of the image by an expected identity never open the door.
    #[test]
    fn nothing_but_a_good_signature_allows(
        kinds in proptest::collection::vec(0_u8..4, 0..12),
    ) {
        let findings: Vec<_> = kinds.iter().map(|kind| match kind {
            0 => flawed("expired"),
            1 => signed(&[Digest::of(b"other")], ISSUER, "release.yaml"),
            2 => signed(&[app()], ISSUER, "stranger"),
            _ => good(),
        }).collect();
        let verdict = verdict(&[policy("acme", KEYLESS)], &findings, NoMatch::Allow);
        prop_assert_eq!(matches!(verdict, Verdict::Allow(_)), kinds.contains(&3));
    }
}
