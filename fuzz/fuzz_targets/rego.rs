//! A program in Rego is refused or answers, whatever it is asked about, within its bounds.

#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::{Corpus, fuzz_target};
use policies::{Answers, Language, Outcome, Program};

/// Twice what the bounds of a run add up to, for a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(3);

// The program, a zero, and its input as JSON.
fuzz_target!(
    // A panic that is caught is not one: only those that leave this target end it.
    init: std::panic::set_hook(Box::new(|_| {})),
    |bytes: &str| -> Corpus {
        let (text, input) = bytes.split_once('\0').unwrap_or((bytes, "{}"));
        let Ok(input) = serde_json::from_str(input) else {
            return Corpus::Reject;
        };
        let program = match Program::compile(Language::Rego, text) {
            Ok(program) => program,
            Err(error) => {
                assert!(!error.is_empty());
                return Corpus::Keep;
            }
        };
        let started = Instant::now();
        let outcome = program.run(&input, 1_767_225_600, &Answers::new());
        assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
        assert!(!matches!(outcome, Outcome::Ask(_)));
        if outcome == Outcome::Compliant && !program.reads_the_time() {
            assert_eq!(program.run(&input, 0, &Answers::new()), outcome);
        }
        Corpus::Keep
    }
);
