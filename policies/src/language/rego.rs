//! Programs in Rego, by `regorus`, with the rules that policy-controller has for them.
//!
//! The package is `sigstore` and the answer is its `isCompliant`. Nothing here reaches a network, an environment,
//! a clock or randomness: such functions do not exist, and a program that names one is refused when it is read.
//!
//! Bounds: steps are counted and functions whose answers grow are guarded (see [`meter`] and [`guards`]). What
//! neither stops, a comparison of values that share their parts very many times say, is left alone after a
//! few seconds; its program is not run again meanwhile.

mod answer;
mod chains;
mod guards;
mod meter;
mod names;

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use regorus::{Engine, LimitError, PolicyLengthConfig};
use serde_json::Value;

use super::Outcome;
use super::bounded::{self, Stopped};

/// What is asked.
const RULE: &str = "data.sigstore.isCompliant";

/// The name of the module, in messages of the compiler.
const MODULE: &str = "sigstore.rego";

/// How long anybody waits for a program, on a machine however busy.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 3 } else { 5 });

/// Deep enough for every chain of rules that fits into a program.
const STACK: usize = 256 * 1024 * 1024;

/// One line may be all of the program.
const LENGTHS: PolicyLengthConfig = PolicyLengthConfig {
    max_col: NonZeroU32::MAX,
    max_file_bytes: NonZeroUsize::MAX,
    max_lines: NonZeroUsize::MAX,
};

/// A program in Rego.
pub(super) struct Rego {
    engine: Engine,
    reads_the_time: bool,
    /// A run was given up, and its thread works on, perhaps for ever: there must not be another meanwhile.
    given_up: Arc<AtomicBool>,
}

impl fmt::Debug for Rego {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Rego").field("reads_the_time", &self.reads_the_time).finish_non_exhaustive()
    }
}

impl Rego {
    /// Parses a program and checks that it can be run here.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        meter::install();
        chains::check(text)?;
        let text = text.to_owned();
        let compiled = bounded::run(STACK, PATIENCE * 2, move || compile(&text));
        compiled.unwrap_or_else(|_| Err("the program is too complex to be compiled".to_owned()))
    }

    /// Asks whether the input is compliant.
    pub(super) fn run(&self, input: &Value, now: i64) -> Outcome {
        let exceeded = |why: &str| Outcome::Exceeded(format!("the rego policy {why}"));
        if self.given_up.load(Ordering::Relaxed) {
            return exceeded("is not run again before an earlier run has ended");
        }
        let mut engine = self.engine.clone();
        engine.set_input(regorus::Value::from(input.clone()));
        let ended = self.given_up.clone();
        let run = move || {
            meter::start(now);
            let outcome = evaluate(&mut engine);
            // What the program made is taken apart where the stack is large enough.
            drop(engine);
            ended.store(false, Ordering::Relaxed);
            outcome
        };
        match bounded::run(STACK, PATIENCE, run) {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(why)) => exceeded(why),
            Err(Stopped::Failed) => exceeded("could not be run to its end"),
            Err(Stopped::Late) => {
                self.given_up.store(true, Ordering::Relaxed);
                exceeded("did not end in time")
            }
        }
    }

    pub(super) fn reads_the_time(&self) -> bool {
        self.reads_the_time
    }
}

/// Asks the interpreter.
///
/// # Errors
/// Why nothing is known.
fn evaluate(engine: &mut Engine) -> Result<Outcome, &'static str> {
    let answer = engine.eval_rule(RULE.to_owned());
    match (meter::exceeded(), answer) {
        (Some(why), _) => Err(why),
        (None, Ok(answer)) => Ok(answer::judge(&answer)),
        (None, Err(error)) if error.downcast_ref::<LimitError>().is_some() => Err("is over a limit"),
        (None, Err(error)) => {
            Ok(Outcome::Not(format!("failed to evaluate the policy with error: {}", line(&error))))
        }
    }
}

/// What went wrong and where, on one line.
fn line(error: &dyn fmt::Display) -> String {
    let error = error.to_string();
    let told = |line: &&str| line.starts_with("error: ") || line.starts_with("--> ");
    let lines: Vec<_> = error.lines().filter(told).map(|line| line.trim_start_matches("error: ")).collect();
    if lines.is_empty() { error } else { lines.join(" ") }
}

fn compile(text: &str) -> Result<Rego, String> {
    let failed =
        |error: &dyn fmt::Display| format!("failed to compile the rego policy with error: {}", line(error));
    let mut engine = Engine::new();
    engine.set_rego_v0(true);
    // What a function cannot do is undefined, as it is for policy-controller.
    engine.set_strict_builtin_errors(false);
    engine.set_execution_timer_config(meter::limits());
    engine.set_policy_length_config(LENGTHS);
    let package = engine.add_policy(MODULE.to_owned(), text.to_owned()).map_err(|error| failed(&error))?;
    if package != "data.sigstore" {
        return Err("the package of a rego policy must be sigstore".to_owned());
    }
    let reads_the_time = names::check(&engine.get_ast_as_json().map_err(|error| failed(&error))?)?;
    guards::add(&mut engine).map_err(|error| failed(&error))?;
    // Rules are analysed once, before their first run, and that is kept.
    engine.set_input(regorus::Value::new_object());
    meter::start(0);
    drop(engine.eval_rule(RULE.to_owned()));
    Ok(Rego { engine, reads_the_time, given_up: Arc::default() })
}
