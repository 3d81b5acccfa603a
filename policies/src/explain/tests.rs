use oci::Digest;

use crate::facts::Finding;
use crate::test_support::{KEY, attests, flawed, policy, signed, subject, verdict, verdict_on};
use crate::{Cause, Denial, NoMatch, Verdict};

const KEYLESS: &str = "{images: [{glob: '**'}], authorities: [{keyless: {identities: [{issuer: 'https://ci.example', \
                       subjectRegExp: '^release-.*$'}]}}]}";
const IMAGE: &str =
    "ghcr.io/acme/app@sha256:a172cedcae47474b615c54d510a5d84a8dea3032e958587430b413538be3f333";

fn denial(spec: &str, findings: &[Finding]) -> Denial {
    match verdict(&[policy("acme", spec)], findings, NoMatch::Deny) {
        Verdict::Deny(denial) => denial,
        Verdict::Allow(_) => panic!("allowed"),
    }
}

/// Checks both texts of a denial: the webhook's after the image, and the person's after the first line.
#[track_caller]
fn reads(findings: &[Finding], webhook: &str, person: &str) {
    let denial = denial(KEYLESS, findings);
    let Cause::Failed(failures) = denial.cause() else { panic!("a policy matched") };
    let prefix = format!("signature keyless validation failed for authority authority-0 for {IMAGE}: ");
    assert_eq!(failures[0].message(denial.subject()), format!("{prefix}{webhook}"));
    assert_eq!(
        denial.for_person(),
        format!("{IMAGE}: failed policy: acme\n  policy acme, authority-0: {person}")
    );
}

#[test]
fn an_unsigned_image() {
    reads(
        &[],
        "no signatures found",
        "the image is not signed\n    expected subject matching ^release-.*$ with issuer https://ci.example",
    );
}

#[test]
fn an_image_that_someone_else_signed() {
    reads(
        &[
            signed(&[subject().digest], "https://ci.example", "nightly"),
            signed(&[subject().digest], "https://x", "y"),
        ],
        "no matching signatures: none of the expected identities matched what was in the certificate, got subjects \
         [nightly] with issuer https://ci.example\n none of the expected identities matched what was in the \
         certificate, got subjects [y] with issuer https://x",
        "signed, but by nobody who is expected\n    expected subject matching ^release-.*$ with issuer \
         https://ci.example\n    signed by subject nightly with issuer https://ci.example\n    signed by subject y \
         with issuer https://x",
    );
}

#[test]
fn an_image_whose_signatures_fail_verification() {
    reads(
        &[flawed("certificate was not valid when it signed")],
        "no matching signatures: certificate was not valid when it signed",
        "signed, but no signature withstands verification\n    expected subject matching ^release-.*$ with issuer \
         https://ci.example\n    flaw: certificate was not valid when it signed",
    );
}

#[test]
fn an_image_beside_signatures_of_others() {
    reads(
        &[signed(&[Digest::of(b"other")], "https://ci.example", "release-1")],
        "no matching signatures: the signatures that were found are of other images",
        "the signatures found are of other images\n    expected subject matching ^release-.*$ with issuer \
         https://ci.example",
    );
}

#[test]
fn an_image_that_is_denied_whoever_signed_it() {
    let spec = "{images: [{glob: '**'}], authorities: [{name: never, static: {action: fail, message: use the mirror}}, \
                {static: {action: fail}}]}";
    let denial = denial(spec, &[]);
    let Cause::Failed(failures) = denial.cause() else { panic!("a policy matched") };
    assert_eq!(
        failures[0].message(denial.subject()),
        "disallowed by static policy: use the mirror disallowed by static policy: "
    );
    assert_eq!(
        denial.for_person(),
        format!(
            "{IMAGE}: failed policy: acme\n  policy acme, never: denies everything: use the mirror\n  policy acme, \
             authority-1: denies everything"
        )
    );
}

#[test]
fn an_image_that_no_policy_speaks_of() {
    let denial = denial(&KEYLESS.replace("'**'", "'docker.io/**'"), &[]);
    assert_eq!(denial.as_str(), "no-matching-policy");
    assert_eq!(
        denial.for_person(),
        format!("{IMAGE}: no policy speaks of this image, and such images are denied")
    );
}

#[test]
fn an_image_that_a_key_should_have_signed() {
    let spec = format!("{{images: [{{glob: '**'}}], authorities: [{{key: {{data: \"{KEY}\"}}}}]}}");
    for (findings, webhook, person) in [
        (vec![], "no signatures found", "the image is not signed"),
        (
            vec![flawed("the signature is not by this key")],
            "no matching signatures: the signature is not by this key",
            "signed, but no signature withstands verification",
        ),
    ] {
        let Verdict::Deny(denial) = verdict_on(&[policy("acme", &spec)], &findings, NoMatch::Deny) else {
            panic!("allowed")
        };
        let Cause::Failed(failures) = denial.cause() else { panic!("a policy matched") };
        let prefix = format!("signature key validation failed for authority authority-0 for {IMAGE}: ");
        assert_eq!(failures[0].message(denial.subject()), format!("{prefix}{webhook}"));
        let text = denial.for_person();
        assert!(text.contains(&format!("authority-0: {person}\n    expected the key sha256:")), "{text}");
    }
}

#[test]
fn an_image_that_should_have_attestations() {
    let spec = "{images: [{glob: '**'}], authorities: [{name: sbom, keyless: {identities: [{issuer: i, subject: s}]}, \
                attestations: [{name: a, predicateType: spdx}]}]}";
    let by =
        |issuer: &str, subjects: &[Digest]| attests(&signed(subjects, issuer, "s"), "https://a.example/v1");
    let app = subject().digest;
    let failed = format!(
        "attestation keyless validation failed for authority sbom for {IMAGE}: no matching attestations"
    );
    for (findings, webhook, person) in [
        (
            vec![signed(&[app], "i", "s")],
            format!("no matching attestations for authority sbom for {IMAGE}"),
            "the image has no attestations",
        ),
        (
            vec![by("i", &[app])],
            "no matching attestations with type spdx, checked the following predicateTypes: \"https://a.example/v1\""
                .to_owned(),
            "attested, but by no attestation of type spdx",
        ),
        (
            vec![by("x", &[app])],
            format!(
                "{failed}: none of the expected identities matched what was in the certificate, got subjects [s] with issuer x"
            ),
            "attested, but by nobody who is expected",
        ),
        (
            vec![by("i", &[Digest::of(b"other")])],
            format!("{failed}: the attestations that were found are of other images"),
            "the attestations found are of other images",
        ),
        (
            vec![flawed("expired")],
            format!("{failed}: expired"),
            "attested, but no attestation withstands verification",
        ),
    ] {
        let Verdict::Deny(denial) = verdict_on(&[policy("acme", spec)], &findings, NoMatch::Deny) else {
            panic!("allowed")
        };
        let Cause::Failed(failures) = denial.cause() else { panic!("a policy matched") };
        assert_eq!(failures[0].message(denial.subject()), webhook);
        let text = denial.for_person();
        assert!(text.contains(&format!("policy acme, sbom: {person}\n")), "{text}");
    }
}

#[test]
fn strangers_can_neither_draw_lines_nor_drown_the_rest() {
    let forged = signed(&[subject().digest], "x", "a\n  policy acme: fine\u{202e}");
    let text = denial(KEYLESS, &[forged]).for_person();
    assert!(text.contains(r"a\u{a}  policy acme: fine\u{202e}"), "{text}");

    let crowd: Vec<_> = (0..100).map(|n| signed(&[subject().digest], "x", &n.to_string())).collect();
    let text = denial(KEYLESS, &crowd).for_person();
    assert!(text.ends_with("signed by subject 7 with issuer x\n    and 92 more"), "{text}");
}
