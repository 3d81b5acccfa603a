//! Programs that would take all there is: they end soon, and with neither yes nor no.

use serde_json::json;

use super::super::{Answers, Language, Outcome, Program};
use super::NOW;

/// Either it is refused when it is read, or it ends in `Exceeded`; in any case it ends.
#[track_caller]
fn ends(language: Language, text: &str) {
    if let Ok(program) = Program::compile(language, text) {
        let outcome = program.run(&json!({"predicate": {}}), NOW, &Answers::new());
        assert!(matches!(outcome, Outcome::Exceeded(_)), "{text:.100}: {outcome:?}");
    }
}

#[track_caller]
fn rego(body: &str) {
    ends(Language::Rego, &format!("package sigstore\nisCompliant {{ {body} }}"));
}

#[test]
fn rego_makes_no_value_that_is_too_large() {
    rego("count(numbers.range(1, 1000000000)) > 0");
    rego("not numbers.range(1, 9223372036854775807)");
    rego("not numbers.range_step(1, 1000000000000000000, 2)");
    rego("not bits.lsh(1, 1000000000000)");
    rego("not sprintf(\"%999999999d\", [1])");
    let doubling = |first: &str, next: fn(usize) -> String| {
        let steps: String = (1..64).map(next).collect();
        format!("x0 := {first}; {steps} not x63 == 1")
    };
    rego(&doubling("\"a\"", |n| format!("x{n} := concat(\"\", [x{0}, x{0}]); ", n - 1)));
    rego(&doubling("\"a\"", |n| format!("x{n} := replace(\"bb\", \"b\", x{}); ", n - 1)));
    rego(&doubling("\"a\"", |n| format!("x{n} := sprintf(\"%s%s\", [x{0}, x{0}]); ", n - 1)));
    let shared = doubling("[1]", |n| format!("x{n} := [x{0}, x{0}]; ", n - 1));
    rego(&format!("{shared}; not json.marshal(x63)"));
}

#[test]
fn rego_takes_no_more_than_its_steps() {
    rego("r := numbers.range(1, 10000); r[_] + r[_] == 0");
    rego("r := numbers.range(1, 9999); [x | x := r[_] + r[_] * r[_]] == []");
}

#[test]
fn a_program_that_was_given_up_is_not_run_again() {
    let steps: String =
        (1..64).map(|n| format!("x{n} := [x{0}, x{0}]; y{n} := [y{0}, y{0}]; ", n - 1)).collect();
    let text =
        format!("package sigstore\nisCompliant {{ input.go; x0 := [1]; y0 := [1]; {steps} x63 == y63 }}");
    let program = Program::compile(Language::Rego, &text).unwrap();
    let run = || program.run(&json!({"go": true}), NOW, &Answers::new());
    let Outcome::Exceeded(first) = run() else { panic!("it ended") };
    assert_eq!(first, "the rego policy did not end in time");
    let second = "the rego policy is not run again before an earlier run has ended";
    assert_eq!(run(), Outcome::Exceeded(second.to_owned()));
}

#[test]
fn rego_does_not_overflow_a_stack() {
    rego(&format!("x := {}1", "1 + ".repeat(10_000)));
    rego(&format!("x := {}1{}", "[".repeat(10_000), "]".repeat(10_000)));
    rego(&format!("x := {}1{}", "(".repeat(10_000), ")".repeat(10_000)));
    let chain: String = (0..500).map(|n| format!("r{n} {{ r{} }}\n", n + 1)).collect();
    let text = format!("package sigstore\n{chain}r500 = true\nisCompliant {{ r0 }}");
    let program = Program::compile(Language::Rego, &text).unwrap();
    assert_eq!(program.run(&json!({}), NOW, &Answers::new()), Outcome::Compliant);
    let recursive = Program::compile(Language::Rego, "package sigstore\nisCompliant { f(1) }\nf(x) { f(x) }");
    let outcome = recursive.map(|program| program.run(&json!({}), NOW, &Answers::new()));
    assert!(!matches!(outcome, Ok(Outcome::Compliant)), "{outcome:?}");
}

#[test]
fn regular_expressions_are_bounded() {
    rego("not regex.match(\"(\\\\pL{1000}){1000}\", \"x\")");
    let within =
        "package sigstore\nf(x) { regex.match(\"(\\\\pL{1000}){1000}\", x) }\nisCompliant { not f(\"x\") }";
    // The error is not taken for "undefined", which would make this true.
    let outcome = Program::compile(Language::Rego, within).unwrap().run(&json!({}), NOW, &Answers::new());
    assert!(matches!(outcome, Outcome::Not(_) | Outcome::Exceeded(_)), "{outcome:?}");
    let text = "'x'.matches('(\\\\pL{1000}){1000}')";
    let outcome = Program::compile(Language::Cel, text).unwrap().run(&json!({}), NOW, &Answers::new());
    assert!(matches!(outcome, Outcome::Not(_)), "{outcome:?}");
}

#[test]
fn cel_takes_no_more_than_its_steps() {
    let list = format!("[{}]", vec!["1"; 200].join(","));
    ends(Language::Cel, &format!("{list}.all(a, {list}.all(b, {list}.all(c, {list}.all(d, true))))"));
    ends(Language::Cel, "size(lists.range(1000000000)) > 0 || true");
    ends(Language::Cel, "lists.range(10000).all(a, lists.range(10000).all(b, true)) || true");
    let range = "lists.range(9999)";
    ends(Language::Cel, &format!("{range}.map(a, {range}.map(b, {range})) == []"));
}

#[test]
fn cel_makes_no_value_that_is_too_large() {
    let doubling = |first: &str, next: &str| format!("[{first}]{} == [] || true", next.repeat(60));
    ends(Language::Cel, &doubling("'aaaaaaaa'", ".map(x, x + x)"));
    ends(Language::Cel, &doubling("[1]", ".map(x, [x, x])"));
    ends(Language::Cel, &doubling("'a'", ".map(x, 'bb'.replace('b', x))"));
    ends(Language::Cel, &doubling("'a'", ".map(x, [x, x].join(x))"));
}

#[test]
fn cel_does_not_overflow_a_stack() {
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("!", ""),
        ("-", ""),
        ("1+", ""),
        ("true?true:", ""),
        ("", ".a"),
        ("", "[0]"),
    ] {
        let middle = if close == ".a" { "predicate" } else { "1" };
        let times = 4_000 / (open.len() + close.len());
        let text = format!("{}{middle}{}", open.repeat(times), close.repeat(times));
        let outcome = Program::compile(Language::Cel, &text)
            .map(|program| program.run(&json!({}), NOW, &Answers::new()));
        // The parser takes two denials for none.
        assert!(outcome.is_err() || open == "!" || open == "-", "{text:.20}: {outcome:?}");
    }
}
