//! Programs that a policy brings along: in CUE, in Rego or in CEL.
//!
//! Rego and CEL run here, as functions of their input and of the time that they are told. CUE does not: there is
//! no CUE in Rust, so its programs become a [`Question`] for whoever can ask the `cue` program.
//!
//! Every run is bounded. A program that does not end within its bounds says neither yes nor no.

mod bounded;
mod cel;
mod clock;
mod rego;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

/// The longest program in CUE or Rego, in bytes.
const SOURCE_LIMIT: usize = 64 * 1024;

/// How deep brackets may stand in one another. Parsers take far longer for deep programs than for long ones.
const NEST_LIMIT: usize = 64;

/// The languages that programs are written in.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Language {
    /// Constraints, unified with the input. <https://cuelang.org/docs/reference/spec/>
    Cue,
    /// Rules, with the syntax of Rego v0 as policy-controller reads it.
    Rego,
    /// One expression that is true or false. <https://github.com/google/cel-spec>
    Cel,
}

impl Language {
    /// By the name that policies use.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Cue, Self::Rego, Self::Cel].into_iter().find(|language| language.as_str() == name)
    }

    /// The name that policies use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cue => "cue",
            Self::Rego => "rego",
            Self::Cel => "cel",
        }
    }
}

/// A program, ready to run. A clone shares what was compiled.
#[derive(Clone, Debug)]
pub struct Program(Compiled);

#[derive(Clone, Debug)]
enum Compiled {
    Cue(Arc<str>),
    Rego(Arc<rego::Rego>),
    Cel(Arc<cel::Cel>),
}

/// What a program says of its input.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It is as it should be.
    Compliant,
    /// It is not, or the program failed over it. The message is what policy-controller says after the name.
    Not(String),
    /// Somebody who can run CUE has to answer this first.
    Ask(Question),
    /// The program did not end within its bounds, so nothing is known.
    Exceeded(String),
}

/// A program in CUE and the JSON that it is asked about.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Question {
    /// The text of the program.
    pub program: Arc<str>,
    /// The input, as JSON with its keys in order.
    pub input: Arc<str>,
}

/// What was found out about questions. An error is the message why the input is not compliant.
pub type Answers = HashMap<Question, Result<(), String>>;

impl Program {
    /// Compiles a program of at most 64 KiB, or 16 KiB in CEL. CUE is taken as it is.
    ///
    /// # Errors
    /// A sentence for the author, which says what is wrong with the text.
    pub fn compile(language: Language, text: &str) -> Result<Self, String> {
        if text.len() > SOURCE_LIMIT {
            return Err(format!("the program is larger than {SOURCE_LIMIT} bytes"));
        }
        if language != Language::Cue && nesting(text) > NEST_LIMIT {
            return Err(format!("the program has more than {NEST_LIMIT} brackets in one another"));
        }
        let compiled = match language {
            Language::Cue => Compiled::Cue(text.into()),
            Language::Rego => Compiled::Rego(Arc::new(rego::Rego::compile(text)?)),
            Language::Cel => Compiled::Cel(Arc::new(cel::Cel::compile(text)?)),
        };
        Ok(Self(compiled))
    }

    /// Asks it about some input, at a time in seconds since 1970.
    #[must_use]
    pub fn run(&self, input: &Value, now: i64, answers: &Answers) -> Outcome {
        match &self.0 {
            Compiled::Cue(program) => {
                let question = Question { program: program.clone(), input: input.to_string().into() };
                match answers.get(&question) {
                    Some(Ok(())) => Outcome::Compliant,
                    Some(Err(message)) => Outcome::Not(message.clone()),
                    None => Outcome::Ask(question),
                }
            }
            Compiled::Rego(program) => program.run(input, now),
            Compiled::Cel(program) => program.run(input, now),
        }
    }

    /// Whether the same input may be answered otherwise at another time.
    #[must_use]
    pub fn reads_the_time(&self) -> bool {
        match &self.0 {
            // Its package `time` parses and formats, but has no clock.
            Compiled::Cue(_) => false,
            Compiled::Rego(program) => program.reads_the_time(),
            Compiled::Cel(program) => program.reads_the_time(),
        }
    }

    /// What it is written in.
    #[must_use]
    pub fn language(&self) -> Language {
        match &self.0 {
            Compiled::Cue(_) => Language::Cue,
            Compiled::Rego(_) => Language::Rego,
            Compiled::Cel(_) => Language::Cel,
        }
    }
}

/// How deep brackets stand in one another at most, those in texts counted too.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for letter in text.chars() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}
