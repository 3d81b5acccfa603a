//! What is said of documents that were refused, or accepted with misgivings.

use std::fmt;

use thiserror::Error;

/// Why documents did not become a [`PolicySet`](crate::PolicySet): everything that is wrong with them.
///
/// `Display` lists every problem, one a line: `<origin>: <policy>: <message>`.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{}", lines(.problems))]
pub struct LoadError {
    problems: Vec<Problem>,
}

/// One thing that is wrong with a document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Where the document came from.
    pub origin: String,
    /// The policy's name, or its place in the file where it has none. None where the whole file is wrong.
    pub policy: Option<String>,
    /// What is wrong: policy-controller's words where it has any. A second line holds details.
    pub message: String,
}

/// Something of a policy that is accepted and that its author may not have meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Warning {
    /// Where the document came from.
    pub origin: String,
    /// The policy's name.
    pub policy: String,
    /// What is odd: policy-controller's words where it has any. A second line holds details.
    pub message: String,
}

impl LoadError {
    /// Of these problems, of which there is at least one.
    pub(crate) fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// The problems, in the order of the documents.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if let Some(policy) = &self.policy {
            write!(f, "{policy}: ")?;
        }
        f.write_str(&self.message.replace('\n', ": "))
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.origin, self.policy, self.message.replace('\n', ": "))
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}
