//! What judgement needs to be told before it can decide, and what it was told.

use std::collections::HashMap;

use oci::Digest;
use serde_json::Value;

use crate::language::{Answers, Question};

/// Something that must be looked up before there can be a verdict.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Need {
    /// A statement that was verified, which a program wants to read.
    Statement(Digest),
    /// The configuration files of the image.
    Configs,
    /// The answer of a program that does not run in here.
    Answer(Question),
}

/// What was looked up for one image.
#[derive(Clone, Debug, Default)]
pub struct Lookups {
    statements: HashMap<Digest, Value>,
    configs: Option<Value>,
    answers: Answers,
}

impl Lookups {
    /// Adds a statement, which is what its digest says.
    ///
    /// # Errors
    /// [`serde_json::Error`] where it is no JSON.
    pub fn statement(&mut self, digest: Digest, text: &[u8]) -> Result<(), serde_json::Error> {
        self.statements.insert(digest, serde_json::from_slice(text)?);
        Ok(())
    }

    /// Adds the configuration files: a mapping from platforms, as `linux/amd64`, to what is in the file of each.
    pub fn configs(&mut self, configs: Value) {
        self.configs = Some(configs);
    }

    /// Adds an answer: that the input complies, or why it does not.
    pub fn answer(&mut self, question: Question, answer: Result<(), String>) {
        self.answers.insert(question, answer);
    }

    pub(crate) fn find_statement(&self, digest: &Digest) -> Option<&Value> {
        self.statements.get(digest)
    }

    pub(crate) fn found_configs(&self) -> Option<&Value> {
        self.configs.as_ref()
    }

    pub(crate) fn answers(&self) -> &Answers {
        &self.answers
    }
}
