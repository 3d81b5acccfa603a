//! What expressions mean, the numbers that other libraries get wrong, and what is refused.

use serde_json::{Value, json};

use super::super::{Answers, Language, Outcome, Program};
use super::{NOW, run, says};

fn input() -> Value {
    json!({
        "predicateType": "https://example.com/v1",
        "predicate": {"p": 8080, "f": 1.0, "half": 0.5, "list": [1, 2, "x"], "name": "acme", "absent": null},
        "typemeta": {"kind": "Pod"},
    })
}

#[track_caller]
fn is(expected: bool, text: &str) {
    let outcome = run(Language::Cel, text, &input());
    let message = format!("policy is not compliant for expression '{text}'");
    assert_eq!(outcome, if expected { Outcome::Compliant } else { Outcome::Not(message) }, "{text}");
}

#[test]
fn numbers_mean_what_they_look_like() {
    for (expected, text) in [
        (true, "predicate.p == 8080"),
        (false, "predicate.p != 8080"),
        (true, "predicate.p in [8080]"),
        (false, "!(predicate.p in [8080])"),
        (true, "predicate.p + 1 == 8081"),
        (true, "predicate.p > 80"),
        (true, "predicate.p == 8080u"),
        (true, "predicate.p == 8080.0"),
        (true, "predicate.f == 1"),
        (false, "predicate.f != 1"),
        (true, "predicate.f == 1.0"),
        (true, "predicate.half == 0.5"),
        (false, "predicate.half == 0"),
        (false, "predicate.p == '8080'"),
        (true, "predicate.list == [1, 2.0, 'x']"),
        (true, "[1.0] == [1]"),
        (true, "{'a': 1} == {'a': 1.0}"),
        (true, "predicate.list.exists(x, x == 2)"),
        (true, "size(predicate.list) == 3"),
    ] {
        is(expected, text);
    }
}

#[test]
fn the_keys_of_the_input_are_variables() {
    for (expected, text) in [
        (true, "typemeta.kind == 'Pod'"),
        (true, "predicateType.startsWith('https://')"),
        (true, "has(predicate.name) && !has(predicate.other)"),
        (false, "has(spec.replicas)"),
        (false, "has(input.spec)"),
        (true, "input.predicate.name == predicate.name"),
        (true, "predicate.absent == null"),
        (true, "'name' in predicate"),
        (true, "predicate.name.matches('^ac[a-z]+$')"),
        (true, "['a', 'b'].join('-') == 'a-b' && 'a.b'.replace('.', '') == 'ab'"),
        (true, "quantity('1Gi').isGreaterThan(quantity('1Mi'))"),
        (true, "predicate.list.filter(x, x != 2).map(x, [x]) == [[1], ['x']]"),
    ] {
        is(expected, text);
    }
}

#[test]
fn the_time_is_the_one_that_is_told() {
    let program = Program::compile(Language::Cel, "now == timestamp('2026-01-01T00:00:00Z')").unwrap();
    assert!(program.reads_the_time());
    assert_eq!(program.run(&json!({}), NOW, &Answers::new()), Outcome::Compliant);
    assert!(matches!(program.run(&json!({}), NOW + 1, &Answers::new()), Outcome::Not(_)));
    assert!(!Program::compile(Language::Cel, "true").unwrap().reads_the_time());
}

#[test]
fn what_is_no_bool_and_what_fails_is_not_compliant() {
    let failed = "failed to evaluate the policy with error: ";
    says(Language::Cel, "1", &input(), &format!("{failed}the expression is a int and not a bool"));
    says(Language::Cel, "predicate.other == 1", &input(), &format!("{failed}No such key: other"));
    says(Language::Cel, "nobody == 1", &input(), &format!("{failed}Undeclared reference to 'nobody'"));
    let large = json!({"predicate": {"n": u64::MAX}});
    says(Language::Cel, "true", &large, &format!("{failed}the number 18446744073709551615 is too large"));
}

#[test]
fn an_expression_that_cannot_be_run_is_refused_when_it_is_read() {
    for text in ["", "1 +", "a b", "Message{field: 1}", "'\\q'"] {
        let error = Program::compile(Language::Cel, text).unwrap_err();
        assert!(error.starts_with("failed to compile the cel policy with error: "), "{text}: {error}");
    }
    assert!(Program::compile(Language::Cel, &" ".repeat(16 * 1024 + 1)).is_err());
}

#[test]
fn a_long_expression_is_quoted_in_part() {
    let text = format!("predicate.name ==\n  '{}'", "x".repeat(200));
    let Outcome::Not(message) = run(Language::Cel, &text, &input()) else {
        panic!("compliant");
    };
    assert!(
        message.starts_with("policy is not compliant for expression 'predicate.name == 'xxx"),
        "{message}"
    );
    assert!(message.ends_with("…'"), "{message}");
}
