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
use regex_syntax::hir::Look;
use thiserror::Error;

/// A compiled expression. It searches: unless anchored, it matches anywhere in a text.
#[derive(Clone, Debug)]
pub(crate) struct GoRegex {
    source: String,
    regex: Regex,
    anchored: bool,
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
        Ok(Self { source: source.to_owned(), regex, anchored: is_anchored(&translated) })
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
}

fn too_large_or_wrong(error: &regex::Error) -> InvalidRegex {
    if let regex::Error::CompiledTooBig(_) = error {
        return InvalidRegex::TooLarge;
    }
    InvalidRegex::Syntax(error.to_string().replace('\n', " "))
}

fn is_anchored(pattern: &str) -> bool {
    regex_syntax::Parser::new().parse(pattern).is_ok_and(|hir| {
        let properties = hir.properties();
        properties.look_set_prefix().contains(Look::Start) && properties.look_set_suffix().contains(Look::End)
    })
}

#[cfg(test)]
mod tests;
