//! A glob matches what the regular expression that it stands for matches.

#![no_main]

use std::hint::black_box;

use libfuzzer_sys::fuzz_target;
use policies::ImagePattern;
use regex::Regex;

fuzz_target!(|input: (&str, &str)| {
    let (glob, name) = input;
    let Ok(pattern) = ImagePattern::new(glob) else { return };
    black_box(pattern.matches_text(name)).ok();
    // `.` is anything but a line's end there, which no name has.
    if name.contains(['\n', '\r']) {
        return;
    }
    let model = regex::escape(match glob {
        "*" => "index.docker.io/library/*",
        "*/*" => "index.docker.io/*/*",
        other => other,
    });
    let model = model.replace(r"\*\*", "(?:.*)").replace(r"\*", "(?:[^/]*)");
    let model = Regex::new(&format!("^(?:{model})$")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(pattern.matches(name), model.is_match(name), "{glob:?} {name:?}");
});
