use super::*;
use crate::test_support::{KEY, attests, signed_by_key, verdict_on};

const SPDX: &str = "https://spdx.dev/Document";
const SLSA: &str = "https://slsa.dev/provenance/v1";

fn wanting(types: &str) -> [String; 1] {
    let types = types.split(' ').map(|name| format!("{{name: a, predicateType: '{name}'}}"));
    let spec = format!(
        "{{images: [{{glob: '**'}}], authorities: [{{keyless: {{identities: [{{issuer: '{ISSUER}', subject: \
         release.yaml}}]}}, attestations: [{}]}}]}}",
        types.collect::<Vec<_>>().join(", ")
    );
    [policy("acme", &spec)]
}

#[track_caller]
fn wants(types: &str, findings: &[Finding], code: &str) {
    assert_eq!(denied(verdict_on(&wanting(types), findings, NoMatch::Allow)).as_str(), code, "{types}");
}

#[test]
fn an_attestation_of_the_type_is_enough_by_its_long_name_and_its_short_one() {
    for name in [SPDX, "spdx", "spdxjson"] {
        let allowed = allowed(verdict_on(&wanting(name), &[attests(&good(), SPDX)], NoMatch::Deny));
        assert_eq!(allowed.signers().len(), 1);
    }
    for name in ["SPDX", "https://spdx.dev/Document/", "spdx.dev/Document"] {
        wants(name, &[attests(&good(), SPDX)], "wrong-predicate");
    }
}

#[test]
fn every_attestation_that_is_wanted_must_be_there() {
    let both = [attests(&good(), SPDX), flawed("expired"), attests(&good(), SLSA)];
    allowed(verdict_on(&wanting(&format!("{SLSA} spdx")), &both, NoMatch::Deny));
    wants(&format!("{SLSA} spdx"), &both[..2], "wrong-predicate");
    let denial = denied(verdict_on(&wanting(&format!("spdx {SLSA}")), &both[..2], NoMatch::Deny));
    let Cause::Failed(failures) = denial.cause() else { panic!("a policy matched") };
    let Reason::WrongPredicate { wanted, found } = &failures[0].authorities()[0].reason else {
        panic!("another type")
    };
    assert_eq!((&**wanted, &found[..]), (SLSA, &[SPDX.to_owned()][..]));
}

#[test]
fn a_signature_of_the_image_is_no_attestation_and_an_attestation_no_signature() {
    wants("spdx", &[good()], "unsigned");
    wants("spdx", &[signed(&[app()], ISSUER, "stranger")], "unsigned");
    refuses(&[attests(&good(), SPDX)], "unsigned");
    allowed(verdict_on(&[policy("acme", KEYLESS)], &[attests(&good(), SPDX), good()], NoMatch::Deny));
}

#[test]
fn an_attestation_counts_only_by_who_is_expected_and_for_this_image() {
    let stranger = attests(&signed(&[app()], ISSUER, "stranger"), SPDX);
    let other = attests(&signed(&[Digest::of(b"other")], ISSUER, "release.yaml"), SPDX);
    wants("spdx", std::slice::from_ref(&other), "other-subject");
    wants("spdx", &[other.clone(), flawed("expired")], "flawed");
    wants("spdx", &[other.clone(), flawed("expired"), stranger.clone()], "wrong-identity");
    wants("spdx", &[other, stranger, attests(&good(), SLSA)], "wrong-predicate");
}

#[test]
fn keys_attest_too() {
    let spec = format!(
        "{{images: [{{glob: '**'}}], authorities: [{{key: {{data: \"{KEY}\"}}, attestations: [{{name: a, \
         predicateType: vuln}}]}}]}}"
    );
    let vuln = "https://cosign.sigstore.dev/attestation/vuln/v1";
    let policies = [policy("acme", &spec)];
    allowed(verdict_on(&policies, &[attests(&signed_by_key(), vuln)], NoMatch::Deny));
    assert_eq!(denied(verdict_on(&policies, &[signed_by_key()], NoMatch::Deny)).as_str(), "unsigned");
    assert_eq!(
        denied(verdict_on(&policies, &[attests(&good(), vuln)], NoMatch::Deny)).as_str(),
        "wrong-identity"
    );
}
