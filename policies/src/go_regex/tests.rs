use proptest::prelude::*;

use super::*;

/// Each row is what Go's `regexp.MatchString` answers.
#[test]
fn accepted_expressions_match_what_go_matches() {
    for (pattern, text, want) in [
        ("acme", "github.com/acme/app", true),
        ("^acme$", "acme\n", false),
        ("^acme$", "x\nacme\ny", false),
        ("(?m)^acme$", "x\nacme\ny", true),
        (".", "\n", false),
        ("(?s).", "\n", true),
        (r"^\d$", "٣", false),
        (r"^\w+$", "é", false),
        (r"^\W$", "é", true),
        (r"^[^\d]$", "٣", true),
        (r"^[\D]$", "٣", true),
        (r"^\s$", "\u{b}", false),
        (r"^[[:space:]]$", "\u{b}", true),
        (r"^\s$", "\u{a0}", false),
        (r"\bb", "éb", true),
        (r"\bb", "ab", false),
        ("^.$", "é", true),
        ("(?i)^k$", "\u{212a}", true),
        ("(?i)^\\w$", "\u{17f}", true),
        (r"^\x41\x{e9}$", "Aé", true),
        ("^[a-]$", "-", true),
        ("^[]a]$", "]", true),
        ("^a{2,3}$", "aaaa", false),
        ("a|", "z", true),
        ("(?U)^a+$", "aa", true),
    ] {
        assert_eq!(GoRegex::new(pattern).unwrap().is_match(text), want, "{pattern} {text:?}");
    }
}

#[test]
fn what_go_reads_otherwise_is_refused() {
    for pattern in [
        "[a&&b]",
        "[a~~b]",
        "[a--b]",
        "[[a]b]",
        "[--a]",
        "[^]-a]",
        "a{ 2}",
        "a{02}",
        r"\<a",
        r"\>",
        r"\b{start}",
        r"\Ba",
        r"\pL",
        r"[\p{Greek}]",
    ] {
        let refused = GoRegex::new(pattern).map(|regex| regex.source);
        assert!(matches!(refused, Err(InvalidRegex::Divergent(_))), "{pattern}: {refused:?}");
    }
}

#[test]
fn what_go_refuses_is_refused_in_its_words() {
    for (pattern, words) in [
        ("****", "missing argument to repetition operator: `*`"),
        ("a(b", "missing closing ): `a(b`"),
        ("a)b", "unexpected ): `a)b`"),
        ("x[a", "missing closing ]: `[a`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("a\\", "trailing backslash at end of expression: ``"),
        (r"\Qa\E", r"invalid escape sequence: `\Q`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
    ] {
        let refused = GoRegex::new(pattern).map(|regex| regex.source);
        assert_eq!(refused, Err(InvalidRegex::Syntax(words.into())), "{pattern}");
    }
    for pattern in ["a{", "a{,5}", "(?x)a b", "(?u)a", r"\u0041", r"\1", "(?=a)", "((a{100}){11})"] {
        assert!(matches!(GoRegex::new(pattern), Err(InvalidRegex::Syntax(_))), "{pattern}");
    }
}

#[test]
fn size_is_limited_and_has_room_for_what_people_write() {
    for pattern in ["a".repeat(SOURCE_LIMIT + 1), "(.{30}){30}".into(), r"\W{999}".into()] {
        assert!(matches!(GoRegex::new(&pattern), Err(InvalidRegex::TooLarge)), "{pattern:.20}");
    }
    let workflow = r"^https://github\.com/acme/.+/\.github/workflows/(release|build)-.*\.ya?ml@refs/(heads|tags)/[\w./-]+$";
    assert!(GoRegex::new(workflow).is_ok());
    assert!(matches!(GoRegex::new(&"(".repeat(1000)), Err(InvalidRegex::Syntax(_))));
}

#[test]
fn it_is_known_which_expressions_match_whole_texts_only() {
    for anchored in ["^a$", r"\Aa\z", "^(a|b)$", "^a$|^b$", "(?i)^a$"] {
        assert!(GoRegex::new(anchored).unwrap().is_anchored(), "{anchored}");
    }
    for unanchored in ["a", "^a", "a$", "^a|b$", "(?m)^a$", "^a$|b", ".*a.*"] {
        assert!(!GoRegex::new(unanchored).unwrap().is_anchored(), "{unanchored}");
    }
}

#[test]
fn it_is_known_which_letters_every_match_begins_with() {
    for (pattern, want) in [
        (r"^https://a\.example/.*$", "https://a.example/"),
        ("^(ab)c+$", "abc"),
        ("^ab*$", "a"),
        ("^(a|b)$", ""),
        ("abc", ""),
        ("^a|^b", ""),
    ] {
        assert!(want.starts_with(GoRegex::new(pattern).unwrap().prefix()), "{pattern}");
    }
    assert_eq!(GoRegex::new(r"^https://a\.example/.*$").unwrap().prefix(), "https://a.example/");
}

proptest! {
    #[test]
    fn no_text_makes_the_compiler_panic(pattern in r"[a\[\]\\^$.|?*+(){}&~0-9é:,bBdwpxQ<>-]{0,24}") {
        drop(GoRegex::new(&pattern));
    }
}
