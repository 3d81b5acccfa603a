use proptest::prelude::*;

use super::*;
use crate::test_support::shared;

#[test]
fn policy_controllers_vectors_hold() {
    let table = shared("data/policy-controller/derived/glob-vectors.tsv");
    let rows = table.lines().filter(|line| !line.starts_with('#')).skip(1);
    let mut count = 0;
    for row in rows {
        let [image, glob, matches, error] = row.split('\t').collect::<Vec<_>>()[..] else {
            panic!("four columns: {row:?}");
        };
        let got = ImagePattern::new(glob).ok().and_then(|pattern| pattern.matches_text(image).ok());
        assert_eq!(got, (error == "false").then_some(matches == "true"), "{row:?}");
        count += 1;
    }
    assert_eq!(count, 42);
}

#[test]
fn wildcards_stop_where_they_should() {
    for (glob, name, want) in [
        ("ghcr.io/acme/*", "ghcr.io/acme/app@sha256:ab", true),
        ("ghcr.io/acme/*", "ghcr.io/acme/team/app", false),
        ("ghcr.io/acme/*/app*", "ghcr.io/acme/team/app:v1", true),
        ("ghcr.io/acme*/x", "ghcr.io/acme/y/x", false),
        ("**/app@*", "ghcr.io/a/b/app@sha256:ab", true),
        ("**/a*/b", "x/ab/c/ad/b", true),
        ("***", "a/b", true),
        ("***b", "a/ab", true),
        ("a**", "b", false),
        ("a.c", "abc", false),
        ("a*", "a", true),
        ("a*a", "a", false),
    ] {
        assert_eq!(ImagePattern::new(glob).unwrap().matches(name), want, "{glob} {name}");
    }
}

#[test]
fn patterns_with_other_wildcards_are_refused() {
    assert_eq!(ImagePattern::new("["), Err(InvalidGlob::Syntax));
    for glob in ["", "a?", "a b", "{a,b}", "[a-z]", "a+", "é", "a\n", &"a".repeat(LIMIT + 1)] {
        assert_eq!(ImagePattern::new(glob), Err(InvalidGlob::Characters(glob.into())));
    }
}

#[test]
fn it_is_known_which_patterns_no_digest_can_match() {
    let digest = format!("ghcr.io/acme/app@sha256:{}", "0a".repeat(32));
    for glob in
        ["*", "*/*", "**", "ghcr.io/acme/app*", "ghcr.io/acme/app@*", "**:*", "**app**", "**5", &digest]
    {
        assert!(ImagePattern::new(glob).unwrap().reaches_digests(), "{glob}");
    }
    for glob in ["foo", "ghcr.io/acme/app", "ghcr.io/acme/*:v1", "ghcr.io/acme/app:*", "ghcr.io/acme/app:**"]
    {
        assert!(!ImagePattern::new(glob).unwrap().reaches_digests(), "{glob}");
    }
    for glob in ["ghcr.io/Acme/*", "**z", "**@sha512:*", &digest[..digest.len() - 1], &format!("{digest}0")] {
        assert!(!ImagePattern::new(glob).unwrap().reaches_digests(), "{glob}");
    }
}

#[test]
fn a_pattern_is_shown_as_it_is_written() {
    for glob in ["ghcr.io/acme/**", "**", "***", "a/*-b@*"] {
        assert_eq!(ImagePattern::new(glob).unwrap().to_string(), glob);
    }
    assert_eq!(ImagePattern::new("*").unwrap().to_string(), "index.docker.io/library/*");
}

proptest! {
    #[test]
    fn matching_agrees_with_the_regular_expression_that_defines_it(
        glob in "[ab/*]{1,10}", name in "[ab/]{0,12}"
    ) {
        let escaped = glob.replace("**", ".#").replace('*', "[^/]*").replace('#', "*");
        let defined = regex::Regex::new(&format!("^{escaped}$")).unwrap();
        prop_assume!(glob != "*" && glob != "*/*");
        prop_assert_eq!(ImagePattern::new(&glob).unwrap().matches(&name), defined.is_match(&name));
    }
}
