//! `policy` of an attestation or of a whole policy: a program in CUE, Rego or CEL.

use std::sync::Arc;

use crate::externals::External;
use crate::language::{Language, Program};
use crate::object::{Object, Report};

/// Where a program stands, and so what may be said to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Level {
    /// `spec.policy`: it may ask for more input.
    Policy,
    /// `attestations[].policy`.
    Attestation,
}

/// A program over what a whole policy found, and what else it is shown.
#[derive(Clone, Debug)]
pub(crate) struct PolicyProgram {
    pub(crate) program: Program,
    /// The configuration files of the image.
    pub(crate) config: bool,
    /// Parts of the object.
    pub(crate) spec: bool,
    pub(crate) metadata: bool,
    pub(crate) type_meta: bool,
}

impl PolicyProgram {
    /// Whether it looks at the object that is admitted.
    pub(crate) fn reads_object(&self) -> bool {
        self.spec || self.metadata || self.type_meta
    }
}

/// Where a program may come from. Exactly one is wanted.
const SOURCES: [&str; 3] = ["data", "configMapRef", "remote"];

/// What else a program may be shown.
const INPUTS: [&str; 4] = ["fetchConfigFile", "includeSpec", "includeObjectMeta", "includeTypeMeta"];

/// Reads the program of a whole policy.
pub(crate) fn of_policy(object: &Object<'_>, report: &mut Report) -> Option<PolicyProgram> {
    let program = read(object, Level::Policy, report)?;
    let [config, spec, metadata, type_meta] =
        INPUTS.map(|input| object.boolean(input, report).unwrap_or_default());
    Some(PolicyProgram { program, config, spec, metadata, type_meta })
}

/// Reads a program. One that cannot be had or compiled leaves the policy unusable, and so denying.
pub(crate) fn read(object: &Object<'_>, level: Level, report: &mut Report) -> Option<Program> {
    object.only(&[&["type"][..], &SOURCES, &INPUTS].concat(), report);
    let named = object.text("type", report);
    let language = named.and_then(Language::from_name);
    if language.is_none() {
        let why = "only [cue,rego] are supported at the moment";
        report.errors.invalid(named.unwrap_or_default(), object.at("type"), why);
    }
    for input in INPUTS {
        object.boolean(input, report);
        if level == Level::Attestation && object.has(input) {
            report.errors.add("must not set the field(s)", object.at(input));
        }
    }
    let text = text(object, report)?;
    if language == Some(Language::Cue) && !report.externals.has_cue() {
        let why =
            "no cue program is configured: set policies.cue.program, or write the policy in cel or rego";
        report.unusable(&object.at("type"), why);
    }
    match Program::compile(language?, &text) {
        Ok(program) => Some(program),
        Err(why) => {
            report.unusable(&object.at("data"), why);
            None
        }
    }
}

/// The text of a program, from wherever it is.
fn text(object: &Object<'_>, report: &mut Report) -> Option<Arc<str>> {
    match SOURCES.iter().filter(|source| object.has(source)).count() {
        0 => SOURCES.iter().for_each(|source| report.errors.missing(object.at(source))),
        1 => {}
        _ => report.errors.both(SOURCES.map(|source| object.at(source))),
    }
    if let Some(remote) = object.object("remote", report) {
        let external = self::remote(&remote, report)?;
        return report.external(external, &object.at("remote"));
    }
    if let Some(map) = object.object("configMapRef", report) {
        map.only(&["name", "namespace", "key"], report);
        map.text("namespace", report);
        map.require(&["name", "key"], report);
        let (name, key) = (map.text("name", report)?.to_owned(), map.text("key", report)?.to_owned());
        return report.external(External::ConfigMap { name, key }, &object.at("configMapRef"));
    }
    object.text("data", report).map(Into::into)
}

fn remote(remote: &Object<'_>, report: &mut Report) -> Option<External> {
    remote.only(&["url", "sha256sum"], report);
    let url = remote.text("url", report);
    let host = |rest: &str| !rest.starts_with(['/', '?', '#']) && !rest.is_empty();
    let secure = url.filter(|url| url.strip_prefix("https://").is_some_and(host));
    if secure.is_none() {
        let why = "url valid is invalid. host and https scheme are expected";
        report.errors.invalid(url.unwrap_or_default(), remote.at("url"), why);
    }
    remote.require(&["sha256sum"], report);
    let sha256 = remote.text("sha256sum", report)?.to_owned();
    Some(External::Remote { url: secure?.to_owned(), sha256 })
}
