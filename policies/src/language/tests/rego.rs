//! The shapes of answers, policy-controller's messages, and what must not exist.

use serde_json::json;

use super::super::{Answers, Language, Outcome, Program};
use super::{NOW, run, says};

const FALSE: &str = "policy is not compliant for query 'isCompliant = data.sigstore.isCompliant'";
const EMPTY: &str = "policy is not compliant for query \"isCompliant = data.sigstore.isCompliant\"";

#[track_caller]
fn complies(text: &str) {
    let text = format!("package sigstore\n{text}");
    let input = json!({"predicate": {"Data": "foobar e2e test", "n": 8080}});
    assert_eq!(run(Language::Rego, &text, &input), Outcome::Compliant, "{text}");
}

#[track_caller]
fn refuses(text: &str, message: &str) {
    let input = json!({"predicate": {"Data": "foobar e2e test", "n": 8080}});
    says(Language::Rego, &format!("package sigstore\n{text}"), &input, message);
}

#[track_caller]
fn does_not_compile(text: &str, why: &str) {
    let error = Program::compile(Language::Rego, text).unwrap_err();
    assert!(error.contains(why), "{text}: {error}");
}

#[test]
fn a_boolean_says_yes_or_no() {
    complies("default isCompliant = false\nisCompliant { input.predicate.Data == \"foobar e2e test\" }");
    complies("isCompliant = true { input.predicate.n == 8080 }");
    complies("import future.keywords\nisCompliant if { some x in [1, 2]; x == 2 }");
    refuses("default isCompliant = false\nisCompliant { input.predicate.Data == \"other\" }", FALSE);
    refuses("isCompliant { input.absent == 1 }", FALSE);
    refuses("isCompliant = \"yes\" { true }", FALSE);
}

#[test]
fn a_set_of_responses_says_what_is_wrong() {
    let response = |fields: &str| format!("isCompliant[response] {{ response := {{{fields}}} }}");
    complies(&response(r#""result": true, "error": "", "warning": """#));
    complies(&response(r#""result": true"#));
    refuses(&response(r#""result": true, "warning": "old""#), "warning: old");
    refuses(&response(r#""result": false, "error": "no data""#), &format!("{FALSE} with errors: no data"));
    refuses(&response(r#""result": false"#), &format!("{FALSE} with errors: "));
    refuses("isCompliant[response] { false; response := 1 }", EMPTY);
    refuses(
        "isCompliant[response] { response := 1 }",
        &format!("{FALSE} with errors: a response is not an object"),
    );
    refuses(
        r#"isCompliant[r] { r := {"result": false, "error": ["a", "b"][_]} }"#,
        &format!("{FALSE} with errors: b"),
    );
}

#[test]
fn the_time_is_the_one_that_is_told() {
    let text = "package sigstore\nisCompliant { time.now_ns() == 1767225600000000000 }";
    let program = Program::compile(Language::Rego, text).unwrap();
    assert!(program.reads_the_time());
    assert_eq!(program.run(&json!({}), NOW, &Answers::new()), Outcome::Compliant);
    assert!(matches!(program.run(&json!({}), NOW + 1, &Answers::new()), Outcome::Not(_)));
    let hidden =
        "package sigstore\nf() = 1\nisCompliant { x := f() with data.sigstore.f as time[\"now_ns\"]; x > 1 }";
    assert!(Program::compile(Language::Rego, hidden).is_ok_and(|program| program.reads_the_time()));
    let without = "package sigstore\nisCompliant { time.parse_rfc3339_ns(\"2026-01-01T00:00:00Z\") > 0 }";
    assert!(!Program::compile(Language::Rego, without).unwrap().reads_the_time());
}

#[test]
fn guarded_functions_answer_as_they_should() {
    complies(r#"isCompliant { concat("-", ["a", "b"]) == "a-b" }"#);
    complies(r#"isCompliant { replace("a.b", ".", "--") == "a--b" }"#);
    complies(r#"isCompliant { sprintf("%s is %d", ["x", 3]) == "x is 3" }"#);
    complies(r#"isCompliant { numbers.range(1, 3) == [1, 2, 3] }"#);
    complies(r#"isCompliant { json.marshal({"a": [1]}) == "{\"a\":[1]}" }"#);
    complies(r#"isCompliant { object.union({"a": 1}, {"b": 2}) == {"a": 1, "b": 2} }"#);
    complies(r#"isCompliant { array.concat([1], [2]) == [1, 2] }"#);
    complies(r#"isCompliant { not to_number("x") }"#);
    complies(r#"f(x) = y { y := x + 1 } isCompliant { f(1) == 2 }"#);
}

#[test]
fn a_program_that_cannot_be_run_is_refused_when_it_is_read() {
    does_not_compile("package other\nisCompliant { true }", "must be sigstore");
    does_not_compile("package sigstore\nallow { true }", "must have the rule isCompliant");
    does_not_compile("package sigstore\nisCompliant {", "failed to compile the rego policy with error: ");
    does_not_compile("not rego", "failed to compile the rego policy with error: ");
    for call in [
        "http.send({\"url\": \"https://example.com\"})",
        "opa.runtime()",
        "rand.intn(\"x\", 10)",
        "uuid.rfc4122(\"x\")",
        "net.lookup_ip_addr(\"example.com\")",
        "io.jwt.decode(\"x\")",
        "misspelt(1)",
    ] {
        does_not_compile(&format!("package sigstore\nisCompliant {{ not {call} }}"), "there is no function ");
        does_not_compile(
            &format!("package sigstore\nf(x) {{ {call} }} isCompliant {{ f(1) }}"),
            "there is no function ",
        );
    }
    does_not_compile(&format!("package sigstore\n#{}", "x".repeat(64 * 1024)), "larger than");
}
