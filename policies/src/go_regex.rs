//! Regular expressions with the meaning that Go gives them.
//!
//! Policies are written for policy-controller, which matches with Go's `regexp`. Most of its syntax means the
//! same to the `regex` crate; what means something else is translated, and where it cannot be, refused: a
//! pattern that matches more here than there would let strangers in. See
//! <https://github.com/google/re2/wiki/Syntax>.

mod dialect;
mod words;

use regex::{Regex, RegexBuilder};
use regex_syntax::ast::parse::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind, Look};
use thiserror::Error;

/// A compiled expression. It searches: unless anchored, it matches anywhere in a text.
#[derive(Clone, Debug)]
pub(crate) struct GoRegex {
    source: String,
    regex: Regex,
    anchored: bool,
    prefix: String,
}

/// Why a text is no expression that is accepted.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum InvalidRegex {
    /// Go does not accept it either, or its parser and ours cannot be told to agree. The words are Go's where
    /// known.
    #[error("error parsing regexp: {0}")]
    Syntax(String),
    /// Go accepts it and it would mean something else here.
    #[error("{0}")]
    Divergent(&'static str),
    /// It is longer or compiles to more than is allowed.
    #[error("it is too large")]
    TooLarge,
}

/// The longest expression, in bytes.
const SOURCE_LIMIT: usize = 4 * 1024;

/// The most memory that one compiled expression takes, in bytes. Its search cache gets as much again.
const COMPILED_LIMIT: usize = 64 * 1024;

/// How deep groups may nest.
const NEST_LIMIT: u32 = 64;

impl GoRegex {
    /// Compiles an expression of at most 4 KiB.
    ///
    /// # Errors
    /// [`InvalidRegex`] for what Go refuses, and for what Go and we do not understand alike.
    pub(crate) fn new(source: &str) -> Result<Self, InvalidRegex> {
        if source.len() > SOURCE_LIMIT {
            return Err(InvalidRegex::TooLarge);
        }
        let ast = ParserBuilder::new()
            .nest_limit(NEST_LIMIT)
            .build()
            .parse(source)
            .map_err(|error| InvalidRegex::Syntax(words::of(&error)))?;
        let translated = dialect::translate(source, &ast)?;
        let regex = RegexBuilder::new(&translated)
            .size_limit(COMPILED_LIMIT)
            .dfa_size_limit(COMPILED_LIMIT)
            .nest_limit(NEST_LIMIT)
            .build()
            .map_err(|error| too_large_or_wrong(&error))?;
        let (anchored, prefix) = fixed_ends(&translated);
        Ok(Self { source: source.to_owned(), regex, anchored, prefix })
    }

    /// The expression as it was written.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Whether it matches the text or any part of it.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// Whether it can match nothing but a whole text.
    pub(crate) fn is_anchored(&self) -> bool {
        self.anchored
    }

    /// What every text that matches begins with, as far as the expression says so in letters; empty if it does not.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }
}

fn too_large_or_wrong(error: &regex::Error) -> InvalidRegex {
    if let regex::Error::CompiledTooBig(_) = error {
        return InvalidRegex::TooLarge;
    }
    InvalidRegex::Syntax(error.to_string().replace('\n', " "))
}

/// Whether an expression is anchored at both ends, and the letters after its first anchor.
fn fixed_ends(pattern: &str) -> (bool, String) {
    let Ok(hir) = regex_syntax::Parser::new().parse(pattern) else {
        return (false, String::new());
    };
    let properties = hir.properties();
    let starts = properties.look_set_prefix().contains(Look::Start);
    let anchored = starts && properties.look_set_suffix().contains(Look::End);
    let mut prefix = Vec::new();
    if starts {
        letters(&hir, &mut prefix);
    }
    (anchored, String::from_utf8_lossy(&prefix).into_owned())
}

/// Collects the letters that an expression begins with. Tells whether the expression is nothing else.
fn letters(hir: &Hir, prefix: &mut Vec<u8>) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => {
            prefix.extend_from_slice(&literal.0);
            true
        }
        HirKind::Capture(group) => letters(&group.sub, prefix),
        HirKind::Concat(parts) => parts.iter().all(|part| letters(part, prefix)),
        HirKind::Class(_) | HirKind::Repetition(_) | HirKind::Alternation(_) => false,
    }
}

#[cfg(test)]
mod tests;
