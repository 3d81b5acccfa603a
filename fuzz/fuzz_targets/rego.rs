//! A program in Rego is refused or answers, whatever it is asked about, within its bounds.

#![no_main]

use fuzz::program;
use libfuzzer_sys::{Corpus, fuzz_target};
use policies::Language;

// The program, a zero, and its input as JSON.
fuzz_target!(
    init: program::keep_quiet(),
    |bytes: &str| -> Corpus { program::run(Language::Rego, bytes) }
);
