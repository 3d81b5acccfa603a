//! Programs in CEL: one expression, by `kube-cel`, with the functions that Kubernetes has for its policies.
//!
//! It is true of what is compliant. Its variables are the keys of the input; `input` is all of it, and `now` the
//! time. Of the keys that policies know, those that are absent are empty, so that `has(predicate.builder)` can be
//! asked of anything.
//!
//! Bounds: the library has none, so the expression is rewritten before it is kept (see [`rewrite`]).

mod functions;
mod meter;
mod rewrite;
mod value;

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use kube_cel::cel::parser::Expression;
use kube_cel::cel::{Context, ExecutionError, Program, Value};
use serde_json::Value as Json;

use super::Outcome;
use super::bounded;

/// The longest expression, in bytes.
const SOURCE_LIMIT: usize = 16 * 1024;

/// How much of an expression is quoted in a message, in characters.
const QUOTED: usize = 120;

/// Deep enough to parse whatever fits into an expression.
const STACK: usize = 256 * 1024 * 1024;

/// How long an expression may be parsed.
const PATIENCE: Duration = Duration::from_secs(30);

/// The objects that are empty where the input has none.
const OBJECTS: [&str; 6] = ["authorityMatches", "config", "metadata", "predicate", "spec", "typemeta"];

/// A program in CEL.
pub(super) struct Cel {
    expression: Expression,
    quoted: String,
    reads_the_time: bool,
}

impl fmt::Debug for Cel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Cel").field(&self.quoted).finish()
    }
}

impl Cel {
    /// Parses an expression and prepares it to be run within bounds.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        if text.len() > SOURCE_LIMIT {
            return Err(format!("the expression is larger than {SOURCE_LIMIT} bytes"));
        }
        let owned = text.to_owned();
        let compiled = bounded::run(STACK, PATIENCE, move || {
            let program = Program::compile(&owned).map_err(|error| error.to_string())?;
            let reads_the_time = program.references().has_variable("now");
            Ok((rewrite::rewrite(program.expression().clone())?, reads_the_time))
        });
        let compiled = compiled.unwrap_or_else(|_| Err("it is too complex".to_owned()));
        let (expression, reads_the_time) = compiled
            .map_err(|error: String| format!("failed to compile the cel policy with error: {error}"))?;
        Ok(Self { expression, quoted: quote(text), reads_the_time })
    }

    /// Asks whether the input is compliant.
    pub(super) fn run(&self, input: &Json, now: i64) -> Outcome {
        let exceeded = |why: &str| Outcome::Exceeded(format!("the cel policy {why}"));
        let input = match value::of_json(input) {
            Ok(input) => input,
            Err(why) => return failed(&why),
        };
        meter::start();
        // Nothing that was half done is used again.
        let answer = catch_unwind(AssertUnwindSafe(|| self.evaluate(input, now)));
        if let Some(why) = meter::exceeded() {
            return exceeded(why);
        }
        match answer {
            Ok(Ok(Value::Bool(true))) => Outcome::Compliant,
            Ok(Ok(Value::Bool(false))) => {
                Outcome::Not(format!("policy is not compliant for expression '{}'", self.quoted))
            }
            Ok(Ok(other)) => failed(&format!("the expression is a {} and not a bool", other.type_of())),
            Ok(Err(error)) => failed(&quote(&error.to_string())),
            Err(_) => exceeded("could not be run to its end"),
        }
    }

    fn evaluate(&self, input: Value, now: i64) -> Result<Value, ExecutionError> {
        let mut context = functions::context();
        for name in OBJECTS {
            context.add_variable_from_value(name, HashMap::<String, Value>::new());
        }
        if let Value::Map(fields) = &input {
            for (name, value) in fields.map.iter() {
                context.add_variable_from_value(name.to_string(), value.clone());
            }
        }
        context.add_variable_from_value("input", input);
        if self.reads_the_time {
            context.add_variable_from_value("now", timestamp(now)?);
        }
        context.resolve(&self.expression)
    }

    pub(super) fn reads_the_time(&self) -> bool {
        self.reads_the_time
    }
}

/// A time as the language has it, which only the language can make.
fn timestamp(seconds: i64) -> Result<Value, ExecutionError> {
    let text = format!("timestamp('1970-01-01T00:00:00Z') + duration('{seconds}s')");
    let program = Program::compile(&text).map_err(|error| ExecutionError::function_error("now", error))?;
    program.execute(&Context::default())
}

fn failed(why: &str) -> Outcome {
    Outcome::Not(format!("failed to evaluate the policy with error: {why}"))
}

/// On one line, and not longer than people read.
fn quote(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
