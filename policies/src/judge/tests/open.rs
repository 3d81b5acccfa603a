//! What keeps judgement from a verdict, and what does not.

use super::*;
use crate::lookups::Need;
use crate::test_support::sitting;
use crate::verdict::Shortfall;

/// A policy whose authorities are content with anything, and whose program never comes to an end within its limits.
fn endless(mode: &str) -> String {
    let program = "package sigstore\\nisCompliant { count(numbers.range(1, 1000000000)) > 0 }";
    let program = format!("policy: {{type: rego, data: \"{program}\"}}, authorities:");
    fixed("pass", mode).replace("authorities:", &program)
}

/// A policy whose program is to be asked elsewhere.
fn asking(mode: &str) -> String {
    fixed("pass", mode).replace("authorities:", "policy: {type: cue, data: 'a: 1'}, authorities:")
}

#[test]
fn a_program_that_does_not_end_is_no_verdict_where_its_policy_binds() {
    let documents = [policy("endless", &endless("enforce"))];
    let Err(Unjudged::Exceeded { policy, limit }) = sitting(&documents, &[], &Request::Pull) else {
        panic!("there is no verdict")
    };
    assert_eq!(policy, "endless");
    assert!(limit.starts_with("the rego policy "), "{limit}");
}

#[test]
fn a_program_that_does_not_end_is_told_of_where_its_policy_only_warns() {
    let warns = policy("b-warns", &endless("warn"));
    let judgement = sitting(std::slice::from_ref(&warns), &[], &Request::Pull).unwrap();
    let allowed = allowed(judgement.verdict);
    let [warning] = allowed.warnings() else { panic!("one warning") };
    let Shortfall::Program { language: "rego", message } = &warning.shortfall else { panic!("a program") };
    assert!(message.starts_with("the rego policy "), "{message}");

    // What is open of others stays open, before it and after it.
    for (name, mode) in [("a", "enforce"), ("c", "enforce")] {
        let both = [warns.clone(), policy(name, &endless(mode))];
        let Err(Unjudged::Exceeded { policy, .. }) = sitting(&both, &[], &Request::Pull) else {
            panic!("there is no verdict")
        };
        assert_eq!(policy, name);
    }
}

#[test]
fn what_a_policy_that_only_warns_asks_for_is_looked_up() {
    let Err(Unjudged::Needs(needs)) = sitting(&[policy("a", &asking("warn"))], &[], &Request::Pull) else {
        panic!("something is to be looked up")
    };
    assert!(matches!(needs[..], [Need::Answer(_)]), "{needs:?}");
}

#[test]
fn what_several_policies_ask_for_is_asked_for_once() {
    let twice = [policy("a", &asking("enforce")), policy("b", &asking("enforce"))];
    let Err(Unjudged::Needs(needs)) = sitting(&twice, &[], &Request::Pull) else {
        panic!("something is to be looked up")
    };
    assert!(matches!(needs[..], [Need::Answer(_)]), "{needs:?}");
}

#[test]
fn it_is_known_beforehand_whether_programs_will_run() {
    let attested = KEYLESS.replace(
        "'^hotfix-[0-9]+$'}]}",
        "'^hotfix-[0-9]+$'}]}, attestations: [{name: a, predicateType: spdx, policy: {type: cue, data: d}}]",
    );
    let unprogrammed = attested.replace(", policy: {type: cue, data: d}", "");
    for (spec, runs) in
        [(KEYLESS, false), (&unprogrammed, false), (&attested, true), (&asking("enforce"), true)]
    {
        let set = set(&[policy("p", spec)]);
        assert_eq!(matching(&set, &subject()).runs_programs(), runs, "{spec}");
    }
}
