use super::cases::*;
use super::{complaint, complaint_of, load};
use crate::test_support::{KEY, policy, shared};

/// The rows of the table: the name of a case, and the message.
fn table() -> Vec<(String, String)> {
    let table = shared("data/policy-controller/derived/cip-validation-messages.tsv");
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    let rows = rows.map(|row| row.split_once('\t').unwrap());
    rows.map(|(name, message)| (name.to_owned(), serde_json::from_str(message).unwrap())).collect()
}

#[test]
fn every_case_has_its_message_to_the_letter() {
    let cases = [images_and_keys(), keyless_static_and_mode(), authorities(), attestations_and_sources()];
    let before: Vec<_> = cases.into_iter().flatten().chain(statements()).chain(identities()).collect();
    let (references, after) = (references(), resources());
    let table = table();
    assert_eq!(table.len(), before.len() + references.len() + after.len());
    let (first, rest) = table.split_at(before.len());
    let (second, third) = rest.split_at(references.len());
    for (case, (name, message)) in before.iter().zip(first).chain(after.iter().zip(third)) {
        assert_eq!(case.name, name);
        let want = case.deviates.as_ref().unwrap_or(message);
        assert_eq!(&complaint_of(&case.spec), want, "{name}: {}", case.spec);
    }
    for ((case, reference), (name, message)) in references.iter().zip(second) {
        assert_eq!(case, name);
        let valid = "identities: [{issuer: i, subject: s}]";
        for (spec, path) in [
            (format!("key: {{kms: '{reference}'}}"), "key.kms"),
            (format!("keyless: {{ca-cert: {{kms: '{reference}'}}, {valid}}}"), "keyless.ca-cert.kms"),
        ] {
            let want = message.replace("KMSORCACERT", &format!("{AT}.{path}"));
            assert_eq!(complaint_of(&authority(&spec)), want, "{name}");
        }
    }
}

#[test]
fn short_names_of_predicates_are_warned_of_in_its_words() {
    let spec = authority(&format!(
        "key: {{data: \"{KEY}\"}}, attestations: [{{name: a, predicateType: notsupported}}, {{name: b, predicateType: 'https://a.example'}}]"
    ));
    let set = load(&policy("p", &spec)).unwrap();
    let warnings: Vec<_> = set.warnings().iter().map(|warning| warning.message.as_str()).collect();
    let want = format!(
        "invalid value: notsupported: {AT}.attestations.predicateType\ndeprecated value, please use RFC 3986 conformant values"
    );
    assert_eq!(warnings, [want]);
}

#[test]
fn what_its_tests_leave_out_is_as_its_webhook_has_it() {
    for (spec, want) in [
        (
            more("match: [{selector: {matchLabels: {a: b}}}]"),
            "invalid value: : spec.match[0].selector\nselector requires a resource type to match the labels",
        ),
        (
            more("match: [{resource: pods, selector: {matchExpressions: [{key: k, operator: Is}], x: y}}]"),
            "invalid value: Is: spec.match[0].selector.matchExpressions[0].operator\nunsupported operator\nunknown field(s): spec.match[0].selector.x",
        ),
        (
            more("policy: {data: d}"),
            "invalid value: : spec.policy.type\nonly [cue,rego] are supported at the moment",
        ),
        (
            more("policy: {type: cue, remote: {}}"),
            "invalid value: : spec.policy.remote.url\nurl valid is invalid. host and https scheme are expected\nmissing field(s): spec.policy.remote.sha256sum",
        ),
        (
            program("type: cue, data: d, includeSpec: false"),
            "must not set the field(s): spec.authorities[0].attestations.policy.includeSpec",
        ),
        (
            authority("static: {action: pass}, signatureFormat: jws"),
            "invalid value: jws: spec.authorities[0].signatureFormat\nunsupported signature format",
        ),
        (authority("key: {secretRef: {name: a, namespace: cosign-system}}"), ""),
        (kms("signatureFormat: bundle, ctlog: {}, rfc3161timestamp: {}"), ""),
    ] {
        assert_eq!(complaint_of(&spec), want, "{spec}");
    }
}

#[test]
fn a_private_key_that_was_mistaken_for_a_public_one_is_not_shown() {
    let text = policy("p", &authority(r"key: {data: '-----BEGIN EC PRIVATE KEY----- c2VjcmV0'}"));
    assert_eq!(complaint(&text), format!("invalid value: (a private key): {AT}.key.data"));
}
