//! Programs and what they say.

mod cel;
mod hostile;
mod rego;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Answers, Language, Outcome, Program};

/// 2026-01-01T00:00:00Z
const NOW: i64 = 1_767_225_600;

#[track_caller]
fn run(language: Language, text: &str, input: &Value) -> Outcome {
    let program = Program::compile(language, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    program.run(input, NOW, &Answers::new())
}

#[track_caller]
fn says(language: Language, text: &str, input: &Value, message: &str) {
    assert_eq!(run(language, text, input), Outcome::Not(message.to_owned()), "{text}");
}

#[test]
fn a_question_in_cue_is_asked_until_it_is_answered() {
    let program = Program::compile(Language::Cue, "predicate: Data: \"x\"").unwrap();
    let (input, mut answers) = (json!({"predicate": {"Data": "y"}}), Answers::new());
    let Outcome::Ask(question) = program.run(&input, NOW, &answers) else {
        panic!("it was not asked");
    };
    assert_eq!(&*question.input, r#"{"predicate":{"Data":"y"}}"#);
    answers.insert(question.clone(), Err("conflicting values".into()));
    assert_eq!(program.run(&input, NOW, &answers), Outcome::Not("conflicting values".into()));
    answers.insert(question, Ok(()));
    assert_eq!(program.run(&input, NOW, &answers), Outcome::Compliant);
    assert!(matches!(program.run(&json!({}), NOW, &answers), Outcome::Ask(_)));
}

#[test]
fn languages_are_known_by_the_names_that_policies_use() {
    for language in [Language::Cue, Language::Rego, Language::Cel] {
        assert_eq!(Language::from_name(language.as_str()), Some(language));
    }
    assert_eq!(Language::from_name("CEL"), None);
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let key = prop_oneof![Just("predicate".to_owned()), Just("Data".to_owned()), ".{0,4}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_input_stops_a_program(input in anything()) {
        let rego = "package sigstore\nisCompliant { input.predicate.Data == \"x\"; count(input.predicate) > 0 }";
        let cel = "predicate.Data == 'x' && size(predicate) > 0 && input.predicate.Data in ['x', 1]";
        for (language, text) in [(Language::Rego, rego), (Language::Cel, cel)] {
            let compliant = input.pointer("/predicate/Data").is_some_and(|data| data == "x");
            let outcome = run(language, text, &input);
            let expected = if compliant { outcome == Outcome::Compliant } else { matches!(outcome, Outcome::Not(_)) };
            prop_assert!(expected, "{:?}", outcome);
        }
    }
}
