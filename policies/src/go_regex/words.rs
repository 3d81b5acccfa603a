//! Go's words for what is wrong with an expression.

use regex_syntax::ast::{Error, ErrorKind};

/// What Go says, as far as it says anything; else what our parser says.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the parser's own words do for kinds that Go has no words for"
)]
pub(super) fn of(error: &Error) -> String {
    let pattern = error.pattern();
    let from = |at: usize| pattern.get(at..).unwrap_or_default();
    let span = || pattern.get(error.span().start.offset..error.span().end.offset).unwrap_or_default();
    match error.kind() {
        ErrorKind::RepetitionMissing => {
            let operator: String = from(error.span().start.offset).chars().take(1).collect();
            format!("missing argument to repetition operator: `{operator}`")
        }
        ErrorKind::GroupUnclosed => format!("missing closing ): `{pattern}`"),
        ErrorKind::GroupUnopened => format!("unexpected ): `{pattern}`"),
        ErrorKind::ClassUnclosed => format!("missing closing ]: `{}`", from(error.span().start.offset)),
        ErrorKind::ClassRangeInvalid => format!("invalid character class range: `{}`", span()),
        ErrorKind::EscapeUnexpectedEof => "trailing backslash at end of expression: ``".to_owned(),
        ErrorKind::EscapeUnrecognized | ErrorKind::UnsupportedBackreference => {
            format!("invalid escape sequence: `{}`", span())
        }
        ErrorKind::UnsupportedLookAround => format!("invalid or unsupported Perl syntax: `{}`", span()),
        other => other.to_string(),
    }
}
