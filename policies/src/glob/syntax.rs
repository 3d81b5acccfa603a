//! What Go's `filepath.Match` calls a malformed pattern.
//!
//! Nothing with these characters is accepted in any case; this only tells which of two messages is the one
//! that policy-controller would give.

/// Whether a `[` is not closed, a range is not whole, or a `\` stands before nothing.
pub(super) fn is_malformed(pattern: &str) -> bool {
    let mut rest = pattern;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        let tail = match character {
            '[' => class(rest),
            '\\' => literal(rest),
            _ => Some(rest),
        };
        match tail {
            Some(tail) => rest = tail,
            None => return true,
        }
    }
    false
}

/// What follows one character, which a `\` may stand before.
fn literal(text: &str) -> Option<&str> {
    let mut characters = text.chars();
    characters.next().map(|_| characters.as_str())
}

/// What follows a class whose `[` was read.
fn class(text: &str) -> Option<&str> {
    let mut rest = text.strip_prefix('^').unwrap_or(text);
    rest = range(rest)?;
    loop {
        match rest.strip_prefix(']') {
            Some(tail) => return Some(tail),
            None => rest = range(rest)?,
        }
    }
}

/// What follows one character or range of a class.
fn range(text: &str) -> Option<&str> {
    let rest = bound(text)?;
    match rest.strip_prefix('-') {
        Some(high) => bound(high),
        None => Some(rest),
    }
}

fn bound(text: &str) -> Option<&str> {
    match text.chars().next()? {
        '-' | ']' => None,
        '\\' => literal(&text[1..]),
        _ => literal(text),
    }
}

#[cfg(test)]
mod tests {
    use super::is_malformed;

    #[test]
    fn patterns_are_malformed_where_go_says_so() {
        for malformed in
            ["[", "a[", "[]", "[]a]", "[-]", "[-x]", "[x-]", "[a-b-c]", "[^", "[^]", "a\\", "[\\"]
        {
            assert!(is_malformed(malformed), "{malformed}");
        }
        for fine in ["", "*", "$FOO*", ".+", "[a-z]*", "[^a]", "[\\]a]", "[\\-]", "\\[", "]", "a-b"] {
            assert!(!is_malformed(fine), "{fine}");
        }
    }
}
