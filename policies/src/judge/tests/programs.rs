use serde_json::{Value, json};

use super::*;
use crate::lookups::{Lookups, Need};
use crate::test_support::{NOW, attests, matching as matched};

const SPDX: &str = "https://spdx.dev/Document";

/// Judges, and looks up whatever is wanted: `answer` says what a CUE program is to say of its input.
fn judged(
    spec: &str,
    findings: &[Finding],
    answer: impl Fn(&Value) -> Result<(), String>,
) -> (Verdict, Vec<Need>) {
    let (set, subject) = (set(&[policy("acme", spec)]), subject());
    let matching = matched(&set, &subject);
    let evidence = evidence(findings);
    let (mut lookups, mut asked) = (Lookups::default(), Vec::new());
    for _ in 0..4 {
        let case = Case {
            subject: &subject,
            matching: &matching,
            evidence: &evidence,
            lookups: &lookups,
            no_match: NoMatch::Deny,
        };
        match crate::judge(&case, NOW) {
            Ok(judgement) => return (judgement.verdict, asked),
            Err(Unjudged::Exceeded { .. }) => panic!("exceeded"),
            Err(Unjudged::Needs(needs)) => {
                for need in &needs {
                    match need {
                        Need::Statement(digest) => {
                            let text = json!({"predicate": {"digest": digest.to_string()}}).to_string();
                            lookups.statement(*digest, text.as_bytes()).unwrap();
                        }
                        Need::Configs => {
                            lookups.configs(json!({"linux/amd64": {"config": {"User": "root"}}}))
                        }
                        Need::Answer(question) => {
                            let input = serde_json::from_str(&question.input).unwrap();
                            lookups.answer(question.clone(), answer(&input));
                        }
                    }
                }
                asked.extend(needs);
            }
        }
    }
    panic!("still asking");
}

fn attested(program: &str) -> String {
    KEYLESS.replace(
        "subjectRegExp: '^hotfix-[0-9]+$'}]}}]",
        &format!(
            "subjectRegExp: '^hotfix-[0-9]+$'}}]}}, attestations: [{{name: sbom, predicateType: '{SPDX}', policy: {program}}}]}}]"
        ),
    )
}

fn over_all(inputs: &str) -> String {
    KEYLESS.replace("authorities:", &format!("policy: {{type: cue, data: d{inputs}}}, authorities:"))
}

#[test]
fn a_program_is_shown_the_statement_that_was_verified_and_any_that_complies_is_enough() {
    let spec = attested("{type: cue, data: d}");
    let findings = [attests(&good(), SPDX), attests(&signed(&[app()], ISSUER, "stranger"), SPDX)];
    let (verdict, asked) = judged(&spec, &findings, |input| {
        assert_eq!(input["predicate"]["digest"], Digest::of(SPDX.as_bytes()).to_string());
        Ok(())
    });
    assert_eq!(allowed(verdict).signers().len(), 1);
    assert!(matches!(asked[..], [Need::Statement(_), Need::Answer(_)]), "{asked:?}");

    let (verdict, _) = judged(&spec, &findings, |_| Err("no\n".into()));
    let denial = denied(verdict);
    assert_eq!(denial.as_str(), "not-compliant");
    let Cause::Failed(failures) = denial.cause() else { panic!("a policy matched") };
    assert_eq!(failures[0].message(&subject()), "failed evaluating cue policy for sbom: no\\u{a}");
}

#[test]
fn nothing_is_looked_up_for_statements_of_strangers_or_of_other_types() {
    let spec = attested("{type: cue, data: d}");
    let stranger = attests(&signed(&[app()], ISSUER, "stranger"), SPDX);
    for (findings, code) in [
        (vec![stranger], "wrong-identity"),
        (vec![attests(&good(), "https://slsa.dev/provenance/v1")], "wrong-predicate"),
    ] {
        let (verdict, asked) = judged(&spec, &findings, |_| Ok(()));
        assert_eq!(denied(verdict).as_str(), code);
        assert_eq!(asked, []);
    }
}

#[test]
fn the_program_of_a_policy_is_shown_what_its_authorities_found() {
    let (verdict, _) = judged(&over_all(""), &[good()], |input| {
        let wanted = json!({"authorityMatches": {"authority-0": {"signatures": [
            {"id": Digest::of(b"release.yaml").hex(), "issuer": ISSUER, "subject": "release.yaml"}
        ]}}});
        assert_eq!(input, &wanted);
        Ok(())
    });
    allowed(verdict);
    let (verdict, asked) = judged(&over_all(", fetchConfigFile: true"), &[good()], |input| {
        match input["config"]["linux/amd64"]["config"]["User"].as_str() {
            Some("root") => Err("runs as root".into()),
            _ => Ok(()),
        }
    });
    assert!(matches!(asked[..], [Need::Configs, Need::Answer(_)]), "{asked:?}");
    let denial = denied(verdict);
    assert_eq!(denial.as_str(), "not-compliant");
    let Cause::Failed(failures) = denial.cause() else { panic!("a policy matched") };
    assert_eq!(
        failures[0].message(&subject()),
        "failed evaluating cue policy for ClusterImagePolicy: runs as root"
    );
}

#[test]
fn without_an_authority_that_vouches_no_program_is_asked() {
    let (verdict, asked) = judged(&over_all(""), &[], |_| panic!("asked"));
    assert_eq!(denied(verdict).as_str(), "unsigned");
    assert_eq!(asked, []);
}

#[test]
fn one_authority_that_vouches_spares_what_the_others_would_ask_for() {
    let spec = attested("{type: cue, data: d}")
        .replace("authorities: [", "authorities: [{static: {action: pass}}, ");
    let (verdict, asked) = judged(&spec, &[attests(&good(), SPDX)], |_| panic!("asked"));
    allowed(verdict);
    assert_eq!(asked, []);
}
