//! `policy` of an attestation or of a whole policy: a program in CUE or Rego, which nothing here runs yet.

use crate::object::{Object, Report};

/// Where a program stands, and so what may be said to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Level {
    /// `spec.policy`: it may ask for more input.
    Policy,
    /// `attestations[].policy`.
    Attestation,
}

/// Where a program may come from. Exactly one is wanted.
const SOURCES: [&str; 3] = ["data", "configMapRef", "remote"];

/// What else a program may be shown.
const INPUTS: [&str; 4] = ["fetchConfigFile", "includeSpec", "includeObjectMeta", "includeTypeMeta"];

/// Checks a program's fields, not its text: policy-controller does not look into it either.
pub(crate) fn check(program: &Object<'_>, level: Level, report: &mut Report) {
    program.only(&[&["type"][..], &SOURCES, &INPUTS].concat(), report);
    let language = program.text("type", report);
    if !program.has("type") || language.is_some_and(|language| !["cue", "rego"].contains(&language)) {
        let why = "only [cue,rego] are supported at the moment";
        report.errors.invalid(language.unwrap_or_default(), program.at("type"), why);
    }
    program.text("data", report);
    match SOURCES.iter().filter(|source| program.has(source)).count() {
        0 => SOURCES.iter().for_each(|source| report.errors.missing(program.at(source))),
        1 => {}
        _ => report.errors.both(SOURCES.map(|source| program.at(source))),
    }
    if let Some(remote) = program.object("remote", report) {
        self::remote(&remote, report);
    }
    if let Some(map) = program.object("configMapRef", report) {
        map.only(&["name", "namespace", "key"], report);
        map.text("namespace", report);
        map.require(&["name", "key"], report);
    }
    for input in INPUTS {
        program.boolean(input, report);
        if level == Level::Attestation && program.has(input) {
            report.errors.add("must not set the field(s)", program.at(input));
        }
    }
}

fn remote(remote: &Object<'_>, report: &mut Report) {
    remote.only(&["url", "sha256sum"], report);
    let url = remote.text("url", report);
    let host = |rest: &str| !rest.starts_with(['/', '?', '#']) && !rest.is_empty();
    if !remote.has("url") || url.is_some_and(|url| !url.strip_prefix("https://").is_some_and(host)) {
        let why = "url valid is invalid. host and https scheme are expected";
        report.errors.invalid(url.unwrap_or_default(), remote.at("url"), why);
    }
    remote.require(&["sha256sum"], report);
}
