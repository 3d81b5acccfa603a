use super::*;
use crate::facts::{Demand, LogDemand};
use crate::test_support::{KEY, facts, signed_by_key, verdict_on};

const OTHER: &str = include_str!("../../public_keys/testdata/ed25519.pem");

fn spec(fields: &str) -> String {
    format!("{{images: [{{glob: '**'}}], authorities: [{{{fields}}}]}}")
}

fn key(fields: &str) -> String {
    spec(&format!("key: {{data: \"{KEY}\"}}, {fields}"))
}

/// What a policy of this specification rests on.
fn bases(spec: &str) -> Vec<Basis> {
    let set = set(&[policy("acme", spec)]);
    super::bases(&matching(&set, &subject())).into_iter().cloned().collect()
}

#[test]
fn a_signature_by_the_key_is_enough_and_one_under_a_certificate_is_not() {
    let policies = [policy("acme", &key(""))];
    let allowed = allowed(verdict_on(&policies, &[signed_by_key()], NoMatch::Deny));
    assert!(matches!(allowed.signers(), [Signer::Key(_)]));
    assert_eq!(denied(verdict_on(&policies, &[good()], NoMatch::Deny)).as_str(), "wrong-identity");
    assert_eq!(denied(verdict_on(&policies, &[], NoMatch::Deny)).as_str(), "unsigned");
    assert_eq!(
        denied(verdict_on(&[policy("acme", KEYLESS)], &[signed_by_key()], NoMatch::Deny)).as_str(),
        "wrong-identity"
    );
}

#[test]
fn any_of_several_keys_may_have_signed_and_each_is_a_basis() {
    let other = OTHER.replace('\n', "\\n");
    let policies = [policy("acme", &spec(&format!("key: {{data: \"{other}{KEY}\"}}")))];
    let set = set(&policies);
    let subject = subject();
    let matching = matching(&set, &subject);
    let bases = super::bases(&matching);
    assert_eq!(bases.len(), 2);
    for basis in bases {
        let is_ours = Signer::Key(basis.key.as_ref().unwrap().id());
        let Finding::Signed(mut signature) = signed_by_key() else { panic!("signed") };
        signature.signer = is_ours;
        let mut evidence = Evidence::default();
        evidence.insert(Source::default(), basis.clone(), facts(&[Finding::Signed(signature)]));
        allowed(judge(&subject, &matching, &evidence, NoMatch::Deny));
    }
    let denial = denied(verdict_on(&policies, &[flawed("not by this key")], NoMatch::Deny));
    let Cause::Failed(failures) = denial.cause() else { panic!("a policy matched") };
    let Reason::Flawed { flaws } = &failures[0].authorities()[0].reason else { panic!("flawed") };
    assert_eq!(flaws.len(), 1, "a flaw of one piece of material is told once");
}

#[test]
fn keys_demand_of_the_log_and_of_time_what_the_policy_says() {
    for (fields, log, timestamp) in [
        ("", LogDemand::Nothing, Demand::NotRequired),
        ("ctlog: {}", LogDemand::Entry, Demand::NotRequired),
        ("ctlog: {url: u}", LogDemand::Entry, Demand::NotRequired),
        ("rfc3161timestamp: {}", LogDemand::Nothing, Demand::Required),
        ("ctlog: {url: u}, rfc3161timestamp: {}", LogDemand::Entry, Demand::Required),
    ] {
        let profile = bases(&key(fields))[0].profile;
        assert_eq!((profile.log, profile.timestamp), (log, timestamp), "{fields}");
    }
    let hashed = spec(&format!("key: {{data: \"{KEY}\", hashAlgorithm: SHA512}}"));
    assert_eq!(bases(&hashed)[0].key.as_ref().unwrap().hash, crate::HashAlgorithm::Sha512);
}

#[test]
fn certificates_demand_a_log_entry_whatever_the_policy_says() {
    let keyless = |fields: &str, rest: &str| {
        spec(&format!("keyless: {{identities: [{{issuer: i, subject: s}}], {fields}}}, {rest}"))
    };
    for (fields, rest, certificate_timestamp, timestamp) in [
        ("", "", Demand::Required, Demand::NotRequired),
        ("trustRootRef: ours", "ctlog: {}", Demand::Required, Demand::NotRequired),
        ("insecureIgnoreSCT: true", "", Demand::NotRequired, Demand::NotRequired),
        ("insecureIgnoreSCT: false", "rfc3161timestamp: {}", Demand::Required, Demand::Required),
    ] {
        let profile = bases(&keyless(fields, rest))[0].profile;
        assert_eq!(profile.log, LogDemand::Entry);
        assert_eq!((profile.certificate_timestamp, profile.timestamp), (certificate_timestamp, timestamp));
    }
}

#[test]
fn trust_roots_are_those_that_are_named_and_no_more_than_need_be() {
    let names = |spec: &str| {
        let name = |root: &TrustRootRef| match root {
            TrustRootRef::Default => "-".to_owned(),
            TrustRootRef::Named(name) => name.to_string(),
            TrustRootRef::Authority(_) => "ca-cert".to_owned(),
        };
        let basis = bases(spec).remove(0);
        [&basis.certificates, &basis.logs, &basis.timestamps].map(name).join(" ")
    };
    let keyless =
        |root: &str| format!("keyless: {{identities: [{{issuer: i, subject: s}}], trustRootRef: '{root}'}}");
    let (log, stamp) = ("ctlog: {trustRootRef: l}", "rfc3161timestamp: {trustRootRef: t}");
    for (spec, want) in [
        (key(""), "- - -"),
        (key(log), "l l l"),
        (key(stamp), "t t t"),
        (key(&format!("{log}, {stamp}")), "l l t"),
        (spec(&keyless("c")), "c c c"),
        (spec(&format!("{}, {log}", keyless("c"))), "c l c"),
        (spec(&format!("{}, {log}, {stamp}", keyless(""))), "- l t"),
    ] {
        assert_eq!(names(&spec), want, "{spec}");
    }
}
