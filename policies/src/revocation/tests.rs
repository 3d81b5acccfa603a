use super::*;
use crate::facts::Finding;
use crate::node;
use crate::test_support::{KEY, signed, signed_by_key, subject};

fn revocation(spec: &str) -> Result<Revocations, Vec<String>> {
    let text = format!("spec: {spec}");
    let node = node::documents(&text).unwrap().remove(0);
    let mut report = Report::default();
    let document = Object::of(&node, String::new(), &mut report).unwrap();
    let revocation = Revocation::compile("leak", &document, &mut report);
    let errors: Vec<_> = report.errors.entries().collect();
    if errors.is_empty() { Ok(Revocations::new(revocation.into_iter().collect())) } else { Err(errors) }
}

fn signature(finding: Finding, edit: impl FnOnce(&mut Signature)) -> Signature {
    let Finding::Signed(mut signature) = finding else { panic!("signed") };
    edit(&mut signature);
    signature
}

#[track_caller]
fn check(spec: &str, signature: &Signature, revoked: bool) {
    let revocations = revocation(spec).unwrap();
    assert_eq!(revocations.of_signature(signature).is_some(), revoked, "{spec}");
}

#[test]
fn an_identity_is_revoked_for_what_it_signed_within_the_window() {
    let at = |time: Option<i64>| {
        let finding = signed(&[subject().digest], "https://ci.example", "release.yaml");
        signature(finding, |signature| signature.integrated_time = time)
    };
    let by = |more: &str| {
        format!(
            "{{reason: r, identities: [{{issuer: 'https://ci.example', subjectRegExp: '^release', {more}}}]}}"
        )
    };
    let window = by("notBefore: '1970-01-02', notAfter: '1970-01-03T00:00:00Z'");
    for (time, revoked) in [(86_399, false), (86_400, true), (172_799, true), (172_800, false)] {
        check(&window, &at(Some(time)), revoked);
    }
    // What nobody saw at any time may be of any time.
    check(&window, &at(None), true);
    check(&by("notAfter: '1970-01-02'"), &at(Some(172_799)), true);
    check(&by("notAfter: '1970-01-02'"), &at(Some(172_800)), false);
    check(&by(""), &at(Some(0)), true);
    check("{reason: r, identities: [{issuer: 'https://ci.example', subject: release}]}", &at(Some(0)), false);
    let stamped = signature(at_none(), |signature| signature.timestamps = vec![1, 100_000]);
    check(&window, &stamped, true);
}

fn at_none() -> Finding {
    signed(&[subject().digest], "https://ci.example", "release.yaml")
}

#[test]
fn a_key_is_revoked_by_itself_or_by_its_digest() {
    let by_key = signature(signed_by_key(), |_| ());
    let Signer::Key(id) = &by_key.signer else { panic!("a key") };
    check(&format!("{{reason: r, keys: [{{data: \"{KEY}\"}}]}}"), &by_key, true);
    check(&format!("{{reason: r, keys: [{{digest: '{id}'}}]}}"), &by_key, true);
    check(&format!("{{reason: r, keys: [{{digest: '{}'}}]}}", Digest::of(b"")), &by_key, false);
    check(&format!("{{reason: r, keys: [{{data: \"{KEY}\"}}]}}"), &signature(at_none(), |_| ()), false);
}

#[test]
fn a_range_of_a_log_is_revoked_with_both_its_ends() {
    let log = "ab".repeat(32);
    let entry = |index| {
        let entries = vec![LogIndex { log: log.clone(), index }];
        signature(at_none(), |signature| signature.entries = entries)
    };
    for (index, revoked) in [(9, false), (10, true), (12, true), (13, false)] {
        check("{reason: r, logEntries: [{first: 10, last: 12}]}", &entry(index), revoked);
        check(
            &format!("{{reason: r, logEntries: [{{log: {log}, first: 10, last: 12}}]}}"),
            &entry(index),
            revoked,
        );
    }
    check(
        &format!("{{reason: r, logEntries: [{{log: {}, first: 0, last: 99}}]}}", "cd".repeat(32)),
        &entry(10),
        false,
    );
}

#[test]
fn a_range_may_be_of_one_entry_and_its_log_is_64_hexadecimal_digits() {
    for (log, is_one) in [("ab".repeat(32), true), ("AB".repeat(32), false), ("a".repeat(63), false)] {
        let spec = format!("{{reason: r, logEntries: [{{log: {log}, first: 1, last: 1}}]}}");
        assert_eq!(revocation(&spec).is_ok(), is_one, "{spec}");
    }
}

#[test]
fn images_are_revoked_by_digest() {
    let revocations =
        revocation(&format!("{{reason: r, digests: [{{digest: '{}'}}]}}", subject().digest)).unwrap();
    assert_eq!(revocations.of_image(&subject().digest).map(|it| &*it.by), Some("leak"));
    assert_eq!(revocations.of_image(&Digest::of(b"")), None);
}

#[test]
fn what_is_wrong_with_one_is_told() {
    for (spec, want) in [
        ("{reason: r}", "missing field(s): spec.digests, spec.identities, spec.keys, spec.logEntries"),
        (
            "{digests: [{digest: 'sha256:00'}]}",
            "invalid value: sha256:00: spec.digests[0].digest\nwants sha256: and 64 hexadecimal digits in lower case",
        ),
        (
            "{reason: r, logEntries: [{first: 2, last: 1}]}",
            "invalid value: 2: spec.logEntries[0].first\nis after the last one",
        ),
        (
            "{reason: r, logEntries: [{first: a, last: 1}]}",
            "expected a whole number, got text: spec.logEntries[0].first",
        ),
        (
            "{reason: r, keys: [{}]}",
            "expected exactly one, got neither: spec.keys[0].data, spec.keys[0].digest",
        ),
        (
            "{reason: r, identities: [{issuer: i, subject: s, notAfter: never}]}",
            "invalid value: never: spec.identities[0].notAfter\nwants a day such as 2026-01-31, or an instant such as 2026-01-31T12:00:00Z",
        ),
        (
            "{reason: r, logEntries: [{log: ab, first: 1, last: 1}]}",
            "invalid value: ab: spec.logEntries[0].log\nwants the sha256 of the log's key, in hexadecimal digits of lower case",
        ),
        ("{reason: r, what: 1, digests: []}", "unknown field(s): spec.what"),
    ] {
        let errors = revocation(spec).unwrap_err();
        assert!(errors.iter().any(|error| error == want), "{spec}: {errors:?}");
    }
}
