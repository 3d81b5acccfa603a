use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::request::Admitted;
use crate::set::PolicySet;
use crate::test_support::{case_of, sitting};

fn pod(namespace: &str, object: &serde_json::Value) -> Request {
    Request::Admission(Arc::new(Admitted::new(
        Some(namespace.into()),
        String::new(),
        "v1".into(),
        "Pod".into(),
        object.to_string(),
    )))
}

fn of_namespace(namespace: &str, spec: &str) -> String {
    format!(
        "apiVersion: policy.countersign.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: own, namespace: {namespace}}}\nspec: {spec}\n"
    )
}

fn for_pods(selector: &str) -> String {
    KEYLESS.replace(
        "authorities:",
        &format!(
            "match: [{{version: v1, resource: pods, selector: {{matchLabels: {selector}}}}}], authorities:"
        ),
    )
}

fn judged(documents: &[String], request: &Request) -> Verdict {
    sitting(documents, &[], request).unwrap().verdict
}

#[test]
fn a_policy_for_some_objects_binds_those_and_leaves_the_rest_to_others() {
    let policies = [policy("acme", &for_pods("{app: web}"))];
    let web = pod("default", &json!({"metadata": {"labels": {"app": "web"}}}));
    let api = pod("default", &json!({"metadata": {"labels": {"app": "api"}}}));
    assert_eq!(denied(judged(&policies, &web)).as_str(), "unsigned");
    assert_eq!(denied(judged(&policies, &api)).as_str(), "no-matching-policy");
    assert_eq!(allowed(judged(&policies, &Request::Pull)).ground(), &Ground::Deferred);
}

#[test]
fn an_object_that_cannot_be_read_is_denied_by_whatever_reads_it() {
    let unreadable = Request::Admission(Arc::new(Admitted::new(
        None,
        String::new(),
        "v1".into(),
        "Pod".into(),
        "{".into(),
    )));
    let denial = denied(judged(&[policy("acme", &for_pods("{app: web}"))], &unreadable));
    assert_eq!(denial.as_str(), "policy-unusable");
}

#[test]
fn a_namespaced_policy_adds_to_what_the_cluster_demands_and_weakens_nothing() {
    let own = of_namespace("team", &fixed("fail", "enforce"));
    let cluster = policy("open", &fixed("pass", "enforce"));
    let (team, other) = (pod("team", &json!({})), pod("other", &json!({})));
    let both = [cluster, own];
    let denial = denied(judged(&both, &team));
    let Cause::Failed(failures) = denial.cause() else { panic!("policies matched") };
    assert_eq!(&*failures[0].policy, "team/own");
    allowed(judged(&both, &other));
    allowed(judged(&both, &Request::Pull));

    let alone = [of_namespace("team", &fixed("pass", "enforce"))];
    assert_eq!(denied(judged(&alone, &team)).as_str(), "no-matching-policy");
    let open = case_of(&alone, &[], &team, NoMatch::Allow).unwrap().verdict;
    assert_eq!(allowed(open).ground(), &Ground::NoMatch);
}

proptest! {
    /// What admission would allow somewhere, the pull door never denies.
    #[test]
    fn a_pull_is_denied_only_where_every_admission_is(
        authority in proptest::sample::select(vec!["pass", "fail"]),
        shape in 0_u8..4,
        label in "[ab]",
        namespace in "[ab]",
    ) {
        let spec = fixed(authority, "enforce");
        let spec = match shape {
            0 => spec,
            1 => spec.replace("authorities:", "match: [{version: v1, resource: pods, selector: {matchLabels: {app: a}}}], authorities:"),
            2 => spec.replace("authorities:", "policy: {type: cel, data: 'false', includeSpec: true}, authorities:"),
            _ => String::new(),
        };
        let document = if shape == 3 { of_namespace("a", &fixed(authority, "enforce")) } else { policy("p", &spec) };
        let documents = [policy("base", &fixed("pass", "enforce")), document];
        let object = pod(&namespace, &json!({"metadata": {"labels": {"app": label}}, "spec": {}}));
        let pulled = sitting(&documents, &[], &Request::Pull).unwrap().verdict;
        if let (Ok(admitted), Verdict::Deny(_)) = (sitting(&documents, &[], &object), pulled) {
            prop_assert!(matches!(admitted.verdict, Verdict::Deny(_)));
        }
    }
}

#[test]
fn requests_are_distinguished_exactly_where_verdicts_may_differ() {
    let subject = subject();
    let distinction = |documents: &[String], request: &Request| {
        let set = set(documents);
        let version = oci::TagOrDigest::Digest(subject.digest);
        set.matching(&subject.name, &version, request).distinction()
    };
    let (web, other) =
        (json!({"metadata": {"labels": {"app": "web"}}, "spec": {"a": 1}}), json!({"spec": {"a": 2}}));
    let plain = [policy("acme", KEYLESS)];
    assert!(!set(&plain).reads_requests());
    assert_eq!(distinction(&plain, &pod("a", &web)), distinction(&plain, &pod("b", &other)));
    for spec in [
        for_pods("{app: web}"),
        KEYLESS.replace("authorities:", "policy: {type: cel, data: 'true', includeSpec: true}, authorities:"),
    ] {
        let policies = [policy("acme", &spec)];
        assert!(set(&policies).reads_requests());
        assert_ne!(
            distinction(&policies, &pod("a", &web)),
            distinction(&policies, &pod("a", &other)),
            "{spec}"
        );
        assert_eq!(distinction(&policies, &pod("a", &web)), distinction(&policies, &pod("b", &web)));
    }
}

#[test]
fn a_program_is_shown_nothing_of_the_object_that_it_does_not_ask_for() {
    let subject = subject();
    let includes = |what: &str| {
        let program = format!("policy: {{type: cel, data: 'true', {what}: true}}, authorities:");
        set(&[policy("acme", &KEYLESS.replace("authorities:", &program))])
    };
    let distinction = |set: &PolicySet, object: &serde_json::Value| {
        let version = oci::TagOrDigest::Digest(subject.digest);
        set.matching(&subject.name, &version, &pod("a", object)).distinction()
    };
    let object = json!({"metadata": {"name": "a"}, "spec": {"a": 1}});
    let (renamed, respecified) = (
        json!({"metadata": {"name": "b"}, "spec": {"a": 1}}),
        json!({"metadata": {"name": "a"}, "spec": {}}),
    );
    let (spec, metadata) = (includes("includeSpec"), includes("includeObjectMeta"));
    assert_eq!(distinction(&spec, &object), distinction(&spec, &renamed));
    assert_ne!(distinction(&spec, &object), distinction(&spec, &respecified));
    assert_eq!(distinction(&metadata, &object), distinction(&metadata, &respecified));
    assert_ne!(distinction(&metadata, &object), distinction(&metadata, &renamed));
}
