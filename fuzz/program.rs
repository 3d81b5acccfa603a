//! What is expected of a program of a policy, in whatever language.

use std::time::{Duration, Instant};

use libfuzzer_sys::Corpus;
use policies::{Answers, Language, Outcome, Program};

/// Twice what the bounds of a run add up to, for a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(3);

/// A panic that is caught is not one: only those that leave the target end it.
pub fn keep_quiet() {
    std::panic::set_hook(Box::new(|_| {}));
}

/// Compiles and runs a program: the text up to a zero, and its input as JSON behind it.
///
/// # Panics
/// If it is neither refused with words nor answers within its bounds.
pub fn run(language: Language, bytes: &str) -> Corpus {
    let (text, input) = bytes.split_once('\0').unwrap_or((bytes, "{}"));
    let Ok(input) = serde_json::from_str(input) else {
        return Corpus::Reject;
    };
    let program = match Program::compile(language, text) {
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
