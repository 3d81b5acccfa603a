//! Where two dialects of regular expressions part.

use std::ops::Range;

use regex_syntax::ast::{
    AssertionKind, Ast, ClassBracketed, ClassPerl, ClassPerlKind, ClassSetBinaryOp, ClassSetItem, Flag,
    Flags, FlagsItemKind, GroupKind, HexLiteralKind, Literal, LiteralKind, Repetition, RepetitionKind,
    RepetitionRange, Visitor, visit,
};

use super::InvalidRegex;

/// The most that repetitions, multiplied where they nest, may ask for: Go's limit.
const REPEAT_LIMIT: u32 = 1000;

/// The expression with everything replaced that Go reads otherwise and we can spell.
pub(super) fn translate(source: &str, ast: &Ast) -> Result<String, InvalidRegex> {
    let replacements = visit(ast, Dialect { source, replacements: Vec::new(), repeats: vec![1] })?;
    let mut translated = String::with_capacity(source.len());
    let mut rest = 0;
    for (span, text) in replacements {
        translated.push_str(&source[rest..span.start]);
        translated.push_str(text);
        rest = span.end;
    }
    translated.push_str(&source[rest..]);
    Ok(translated)
}

struct Dialect<'a> {
    source: &'a str,
    replacements: Vec<(Range<usize>, &'static str)>,
    /// For each repetition that is open, how often its content may be asked for in all.
    repeats: Vec<u32>,
}

impl Dialect<'_> {
    /// `\d`, `\s` and `\w` are ASCII in Go, and its `\s` lacks the vertical tab. A class may stand within a
    /// class.
    fn perl(&mut self, class: &ClassPerl) {
        let text = match (&class.kind, class.negated) {
            (ClassPerlKind::Digit, false) => "[0-9]",
            (ClassPerlKind::Digit, true) => "[^0-9]",
            (ClassPerlKind::Space, false) => r"[\t\n\x0C\r ]",
            (ClassPerlKind::Space, true) => r"[^\t\n\x0C\r ]",
            (ClassPerlKind::Word, false) => "[0-9A-Za-z_]",
            (ClassPerlKind::Word, true) => "[^0-9A-Za-z_]",
        };
        self.replacements.push((class.span.start.offset..class.span.end.offset, text));
    }

    fn repetition(&mut self, repetition: &Repetition) -> Result<(), InvalidRegex> {
        if let Ast::Repetition(inner) = &*repetition.ast {
            let operators = &self.source[inner.op.span.start.offset..repetition.span.end.offset];
            return Err(InvalidRegex::Syntax(format!("invalid nested repetition operator: `{operators}`")));
        }
        let outer = self.repeats.last().copied().unwrap_or(1);
        let RepetitionKind::Range(range) = &repetition.op.kind else {
            self.repeats.push(outer);
            return Ok(());
        };
        let span = repetition.op.span;
        let written = &self.source[span.start.offset..span.end.offset];
        if !written.starts_with(&canonical(range)) {
            return Err(InvalidRegex::Divergent(
                "in Go this repetition is read as text; write \\{ for a brace",
            ));
        }
        let most = match range {
            RepetitionRange::Exactly(most)
            | RepetitionRange::AtLeast(most)
            | RepetitionRange::Bounded(_, most) => *most,
        };
        match outer.checked_mul(most.max(1)) {
            Some(repeats) if repeats <= REPEAT_LIMIT => self.repeats.push(repeats),
            _ => return Err(InvalidRegex::Syntax(format!("invalid repeat count: `{written}`"))),
        }
        Ok(())
    }

    /// Ours takes hyphens and a bracket that open a class one by one, Go as the start of a range.
    fn class(&self, class: &ClassBracketed) -> Result<(), InvalidRegex> {
        let inner = &self.source[class.span.start.offset + 1..class.span.end.offset];
        let inner = inner.strip_prefix('^').unwrap_or(inner);
        if inner.starts_with("--") || inner.starts_with("]-") {
            return Err(InvalidRegex::Divergent(
                "write \\- or \\] for a hyphen or bracket that opens a class",
            ));
        }
        Ok(())
    }
}

impl Visitor for Dialect<'_> {
    type Output = Vec<(Range<usize>, &'static str)>;
    type Err = InvalidRegex;

    fn finish(self) -> Result<Self::Output, InvalidRegex> {
        Ok(self.replacements)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), InvalidRegex> {
        match ast {
            Ast::Empty(_) | Ast::Dot(_) | Ast::Alternation(_) | Ast::Concat(_) => Ok(()),
            Ast::Flags(set) => flags(&set.flags),
            Ast::Literal(literal) => self::literal(literal),
            Ast::Assertion(assertion) => {
                let span = assertion.span.start.offset..assertion.span.end.offset;
                self.replacements.extend(self::assertion(&assertion.kind)?.map(|text| (span, text)));
                Ok(())
            }
            Ast::ClassUnicode(_) => Err(UNICODE),
            Ast::ClassPerl(class) => {
                self.perl(class);
                Ok(())
            }
            Ast::ClassBracketed(class) => self.class(class),
            Ast::Repetition(repetition) => self.repetition(repetition),
            Ast::Group(group) => match &group.kind {
                GroupKind::NonCapturing(set) => flags(set),
                GroupKind::CaptureIndex(_) | GroupKind::CaptureName { .. } => Ok(()),
            },
        }
    }

    fn visit_post(&mut self, ast: &Ast) -> Result<(), InvalidRegex> {
        if matches!(ast, Ast::Repetition(_)) {
            self.repeats.pop();
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), InvalidRegex> {
        match item {
            ClassSetItem::Empty(_) | ClassSetItem::Ascii(_) | ClassSetItem::Union(_) => Ok(()),
            ClassSetItem::Literal(literal) => self::literal(literal),
            ClassSetItem::Range(range) => literal(&range.start).and_then(|()| literal(&range.end)),
            ClassSetItem::Perl(class) => {
                self.perl(class);
                Ok(())
            }
            ClassSetItem::Unicode(_) => Err(UNICODE),
            ClassSetItem::Bracketed(_) => {
                Err(InvalidRegex::Divergent("in Go a [ within a class is text; write \\[ for it"))
            }
        }
    }

    fn visit_class_set_binary_op_pre(&mut self, _: &ClassSetBinaryOp) -> Result<(), InvalidRegex> {
        Err(InvalidRegex::Divergent(
            "&&, -- and ~~ within a class are text in Go; write a backslash before each",
        ))
    }
}

const UNICODE: InvalidRegex = InvalidRegex::Divergent(
    "\\p and \\P are not accepted: what they match depends on the version of Unicode",
);

/// The repetition as Go wants it written: no spaces, no leading zeros, a lower bound.
fn canonical(range: &RepetitionRange) -> String {
    match range {
        RepetitionRange::Exactly(count) => format!("{{{count}}}"),
        RepetitionRange::AtLeast(least) => format!("{{{least},}}"),
        RepetitionRange::Bounded(least, most) => format!("{{{least},{most}}}"),
    }
}

fn literal(literal: &Literal) -> Result<(), InvalidRegex> {
    match literal.kind {
        LiteralKind::Verbatim
        | LiteralKind::Meta
        | LiteralKind::Superfluous
        | LiteralKind::HexFixed(HexLiteralKind::X)
        | LiteralKind::HexBrace(HexLiteralKind::X)
        | LiteralKind::Special(_) => Ok(()),
        LiteralKind::Octal
        | LiteralKind::HexFixed(HexLiteralKind::UnicodeShort | HexLiteralKind::UnicodeLong)
        | LiteralKind::HexBrace(HexLiteralKind::UnicodeShort | HexLiteralKind::UnicodeLong) => {
            Err(InvalidRegex::Syntax("invalid escape sequence: `\\u`; write \\x{…}".to_owned()))
        }
    }
}

/// What to write for an assertion, if something else than stands there.
fn assertion(kind: &AssertionKind) -> Result<Option<&'static str>, InvalidRegex> {
    match kind {
        AssertionKind::StartLine
        | AssertionKind::EndLine
        | AssertionKind::StartText
        | AssertionKind::EndText => Ok(None),
        AssertionKind::WordBoundary => Ok(Some(r"(?-u:\b)")),
        AssertionKind::NotWordBoundary => Err(InvalidRegex::Divergent("\\B is not accepted")),
        AssertionKind::WordBoundaryStartAngle | AssertionKind::WordBoundaryEndAngle => {
            Err(InvalidRegex::Divergent("\\< and \\> are text in Go; write < or >"))
        }
        AssertionKind::WordBoundaryStart
        | AssertionKind::WordBoundaryEnd
        | AssertionKind::WordBoundaryStartHalf
        | AssertionKind::WordBoundaryEndHalf => {
            Err(InvalidRegex::Divergent("in Go a brace after \\b is no part of it"))
        }
    }
}

fn flags(flags: &Flags) -> Result<(), InvalidRegex> {
    for item in &flags.items {
        match item.kind {
            FlagsItemKind::Negation
            | FlagsItemKind::Flag(
                Flag::CaseInsensitive | Flag::MultiLine | Flag::DotMatchesNewLine | Flag::SwapGreed,
            ) => {}
            FlagsItemKind::Flag(Flag::Unicode | Flag::CRLF | Flag::IgnoreWhitespace) => {
                let why = "invalid or unsupported Perl syntax: only the flags i, m, s and U exist";
                return Err(InvalidRegex::Syntax(why.to_owned()));
            }
        }
    }
    Ok(())
}
