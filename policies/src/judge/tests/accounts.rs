//! An explanation comes to what judgement comes to, and names what it came from.

use proptest::sample::{select, subsequence};

use super::properties::{drafts, findings, write};
use super::*;
use crate::explanation::{Conclusion, Explanation, Fulfilment, Weighed};
use crate::lookups::Lookups;
use crate::test_support::{NOW, attests, on_every_basis};

/// What else may be in force: each brings in one thing that a verdict can depend on.
fn others() -> Vec<String> {
    let app = app();
    let revocation = |spec: &str| {
        format!(
            "apiVersion: policy.countersign.dev/v1alpha1\nkind: Revocation\nmetadata: {{name: r}}\nspec: {spec}\n"
        )
    };
    let namespaced = "apiVersion: policy.countersign.dev/v1alpha1\nkind: ImagePolicy\n\
                      metadata: {name: tenant, namespace: shop}\nspec: ";
    let exempts = |expires: &str| {
        let exemption = format!("exemptions: [{{digest: '{app}', reason: soon, expires: {expires}}}]");
        fixed("fail", "enforce").replace("authorities", &format!("{exemption}, authorities"))
    };
    let asks = |mode: &str| {
        fixed("pass", mode).replace("authorities", "policy: {type: cue, data: 'a: 1'}, authorities")
    };
    vec![
        policy("exempts", &exempts("2099-01-01")),
        policy("exempted-once", &exempts("2020-01-01")),
        policy("asks", &asks("enforce")),
        policy("asks-and-warns", &asks("warn")),
        policy(
            "for-pods",
            &fixed("fail", "enforce")
                .replace("authorities", "match: [{version: v1, resource: pods}], authorities"),
        ),
        format!("{namespaced}{}", fixed("fail", "enforce")),
        revocation(&format!("{{reason: stolen, digests: [{{digest: '{app}'}}]}}")),
        revocation(&format!(
            "{{reason: stolen, identities: [{{issuer: '{ISSUER}', subject: release.yaml}}]}}"
        )),
    ]
}

/// The account of the case and what judgement says of it.
fn heard(
    documents: &[String],
    findings: &[Finding],
    no_match: NoMatch,
) -> (Explanation, Result<Judgement, Unjudged>) {
    let (set, subject) = (set(documents), subject());
    let matching = matching(&set, &subject);
    let evidence = on_every_basis(&matching, findings);
    let lookups = Lookups::default();
    let case =
        Case { subject: &subject, matching: &matching, evidence: &evidence, lookups: &lookups, no_match };
    (explain(&case, NOW), crate::judge(&case, NOW))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_explanation_comes_to_what_judgement_says(
        drafts in drafts(),
        others in subsequence(others(), 0..=3),
        findings in findings(),
        no_match in select(vec![NoMatch::Deny, NoMatch::Warn, NoMatch::Allow]),
    ) {
        // Two revocations would be of one name.
        let both = others.iter().filter(|text| text.contains("kind: Revocation")).count() > 1;
        prop_assume!(!both);
        let (explanation, judged) = heard(&[write(&drafts), others].concat(), &findings, no_match);
        let said = match &judged {
            Err(_) => Conclusion::Undecided,
            Ok(Judgement { verdict: Verdict::Deny(_), .. }) => Conclusion::Deny,
            Ok(Judgement { verdict: Verdict::Allow(allowed), .. }) => Conclusion::Allow(*allowed.ground()),
        };
        prop_assert_eq!(explanation.conclusion(), said);
        if let Ok(Judgement { verdict: Verdict::Deny(denial), .. }) = &judged
            && let Cause::Failed(failures) = denial.cause()
        {
            let failed: Vec<_> = explanation.policies.iter()
                .filter(|account| matches!(account.outcome, Fulfilment::Failed { .. }) && !account.only_warns)
                .map(|account| account.policy.clone())
                .collect();
            prop_assert_eq!(failed, failures.iter().map(|failure| failure.policy.clone()).collect::<Vec<_>>());
        }
    }
}

#[test]
fn every_piece_of_evidence_is_weighed_and_says_which_checks_passed() {
    let pieces = [
        good(),
        signed(&[app()], ISSUER, "stranger"),
        flawed("expired"),
        signed(&[Digest::of(b"o")], ISSUER, "x"),
    ];
    let (explanation, _) = heard(&[policy("acme", KEYLESS)], &pieces, NoMatch::Deny);
    let account = &explanation.policies[0].authorities[0];
    assert_eq!(account.outcome, Fulfilment::Satisfied);
    let weighed: Vec<_> = account.evidence.iter().map(|piece| piece.weighed.clone()).collect();
    let flaw = Weighed::Flawed { detail: "expired".into() };
    assert_eq!(weighed, [Weighed::Yes, Weighed::WrongIdentity, flaw, Weighed::OtherSubject]);
    let outcome = |piece: usize, check: &str| {
        account.evidence[piece].checks.iter().find(|it| it.check == check).map(|it| it.outcome)
    };
    assert_eq!(outcome(0, "certificate-timestamp"), Some("passed"));
    assert_eq!(outcome(0, "log-entry"), Some("passed"));
    assert_eq!(outcome(0, "timestamp"), Some("not-demanded"));
    assert_eq!(outcome(2, "certificate"), Some("failed"));
    assert_eq!(outcome(2, "log-entry"), None);
}

#[test]
fn what_a_program_would_say_is_not_known_before_it_is_asked() {
    let wanted =
        "attestations: [{name: sbom, predicateType: 'https://a.example', policy: {type: cue, data: d}}]";
    let spec = KEYLESS.replace("'^hotfix-[0-9]+$'}]}", &format!("'^hotfix-[0-9]+$'}}]}}, {wanted}"));
    let findings = [attests(&good(), "https://a.example")];
    let (explanation, _) = heard(&[policy("acme", &spec)], &findings, NoMatch::Deny);
    let account = &explanation.policies[0].authorities[0];
    assert_eq!(account.outcome, Fulfilment::Unknown);
    assert_eq!(account.evidence[0].objections, ["sbom: it is not known yet"]);
}

#[test]
fn what_is_left_to_admission_is_named_and_is_coverage() {
    let (explanation, _) = heard(&others()[4..6], &[], NoMatch::Deny);
    let left: Vec<_> = explanation.left_to_admission.iter().map(|name| &**name).collect();
    assert_eq!(left, ["for-pods", "shop/tenant"]);
    assert_eq!(explanation.conclusion(), Conclusion::Allow(Ground::Deferred));
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!(json["subject"], subject().to_string());
    assert_eq!(json["noMatch"], "deny");
}
