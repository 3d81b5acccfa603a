//! How long chains of operators are: a parser reads `1 + 1 + …` as deep as it is long, and takes far longer for what is
//! deep.

/// How many operators may follow one another in one expression.
const LIMIT: usize = 64;

/// Refuses a program with an expression of too many operators.
///
/// # Errors
/// A sentence for the author.
pub(super) fn check(text: &str) -> Result<(), String> {
    let (mut length, mut ended, mut open) = (0_usize, false, false);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            // A line may go on in the next one, if that begins with an operator or this one ends in one.
            '\n' => ended |= !open,
            '#' => {
                skip(&mut letters, '\n', false);
                ended |= !open;
            }
            '+' | '-' | '*' | '/' | '%' | '&' | '|' => {
                (length, ended, open) = (length + 1, false, true);
                if length > LIMIT {
                    return Err(format!("the program has more than {LIMIT} operators in one expression"));
                }
            }
            letter if letter.is_whitespace() => {}
            letter => {
                if ended || matches!(letter, ';' | '{' | '}' | ',') {
                    length = 0;
                }
                (ended, open) = (false, false);
                match letter {
                    '"' => skip(&mut letters, '"', true),
                    '`' => skip(&mut letters, '`', false),
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

fn skip(letters: &mut std::str::Chars<'_>, end: char, escapes: bool) {
    while let Some(letter) = letters.next() {
        if letter == end {
            return;
        }
        if escapes && letter == '\\' {
            letters.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn long_chains_are_refused_however_they_are_broken() {
        for joint in [" + ", "+", " +\n", "\n+ ", " + # why\n", "\n\n*\n\n", "-"] {
            assert!(check(&format!("x := {}1", format!("1{joint}").repeat(65))).is_err(), "{joint:?}");
            assert!(check(&format!("x := {}1", format!("1{joint}").repeat(64))).is_ok(), "{joint:?}");
        }
    }

    #[test]
    fn what_is_no_chain_is_not_counted() {
        for text in [
            "a := 1 + 1\n".repeat(100),
            "a := 1 + 1; ".repeat(100),
            "\"----------\" ".repeat(100),
            "`+++` ".repeat(100),
            "# -----------------------------------------------------------------------\n".repeat(3),
            format!("x := [{}]", "1 + 1, ".repeat(100)),
        ] {
            assert_eq!(check(&text), Ok(()), "{text:.60}");
        }
    }
}
