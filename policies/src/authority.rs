//! Who may vouch for an image: compiled from `spec.authorities[]`.

use std::sync::Arc;

use crate::facts::{Basis, TrustRootRef};
use crate::identity::{Identity, Matcher};
use crate::object::{Object, Report};

/// One authority of a policy.
#[derive(Clone, Debug)]
pub(crate) struct Authority {
    pub(crate) name: Arc<str>,
    pub(crate) kind: AuthorityKind,
}

/// What makes an authority content.
#[derive(Clone, Debug)]
pub(crate) enum AuthorityKind {
    /// Anything.
    Pass,
    /// Nothing. It says so with a message, which may be empty.
    Fail(String),
    /// A signature under a certificate of one of these identities.
    Keyless { basis: Basis, identities: Vec<Identity> },
}

impl AuthorityKind {
    /// What its evidence must rest on; nothing where it wants none.
    pub(crate) fn basis(&self) -> Option<&Basis> {
        match self {
            Self::Keyless { basis, .. } => Some(basis),
            Self::Pass | Self::Fail(_) => None,
        }
    }
}

/// How many identities an authority may list.
const IDENTITY_LIMIT: usize = 256;

/// How many regular expressions all policies of a set may have. Each takes at most 64 KiB, and as much for
/// its cache.
const REGEX_LIMIT: usize = 4096;

/// The fields that say what an authority is. Exactly one is wanted.
const KINDS: [&str; 3] = ["key", "keyless", "static"];

/// What no static authority may have.
const NOT_STATIC: [&str; 4] = ["attestations", "ctlog", "rfc3161timestamp", "source"];

impl Authority {
    /// Compiles the authority at this place of the list, reporting everything that is wrong with it.
    pub(crate) fn compile(object: &Object<'_>, index: usize, report: &mut Report) -> Option<Self> {
        object.only(
            &[
                "name",
                "key",
                "keyless",
                "static",
                "source",
                "ctlog",
                "attestations",
                "rfc3161timestamp",
                "signatureFormat",
            ],
            report,
        );
        object.refuse(&["key", "source", "attestations", "rfc3161timestamp"], report);
        let name = object.text("name", report).map_or_else(|| format!("authority-{index}"), str::to_owned);
        match object.text("signatureFormat", report) {
            None | Some("legacy") => {}
            Some(_) => report.errors.unsupported(object.at("signatureFormat")),
        }
        if let Some(ctlog) = object.object("ctlog", report) {
            ctlog.only(&["url", "trustRootRef"], report);
            ctlog.refuse(&["trustRootRef"], report);
            // Which log it was is in the trust root; a verifier asks none.
            ctlog.text("url", report);
        }
        Some(Self { name: name.into(), kind: kind(object, report)? })
    }
}

fn kind(object: &Object<'_>, report: &mut Report) -> Option<AuthorityKind> {
    match KINDS.iter().filter(|key| object.has(key)).count() {
        0 => {
            report.errors.neither(KINDS.map(|key| object.at(key)));
            return None;
        }
        1 => {}
        _ => report.errors.both(KINDS.map(|key| object.at(key))),
    }
    if object.has("static") {
        let conflicts: Vec<_> =
            NOT_STATIC.iter().filter(|key| object.has(key)).map(|key| object.at(key)).collect();
        if !conflicts.is_empty() {
            report.errors.both(conflicts);
            report.errors.both([object.at("static")]);
        }
    }
    let keyless = object.object("keyless", report).and_then(|keyless| self::keyless(&keyless, report));
    let fixed = object.object("static", report).and_then(|fixed| self::fixed(&fixed, report));
    keyless.or(fixed)
}

fn fixed(object: &Object<'_>, report: &mut Report) -> Option<AuthorityKind> {
    object.only(&["action", "message"], report);
    let message = object.text("message", report).unwrap_or_default();
    if !object.has("action") {
        report.errors.missing(object.at("action"));
    }
    match object.text("action", report)? {
        "pass" => Some(AuthorityKind::Pass),
        "fail" => Some(AuthorityKind::Fail(message.to_owned())),
        other => {
            report.errors.invalid(other, object.at("action"), "unsupported action");
            None
        }
    }
}

fn keyless(object: &Object<'_>, report: &mut Report) -> Option<AuthorityKind> {
    object.only(&["url", "ca-cert", "identities", "trustRootRef", "insecureIgnoreSCT"], report);
    object.refuse(&["ca-cert"], report);
    if object.boolean("insecureIgnoreSCT", report) == Some(true) {
        report.errors.unsupported(object.at("insecureIgnoreSCT"));
    }
    // Without either, the public authority is meant; and the authority that is named is never asked.
    object.text("url", report);
    if object.has("url") && object.has("ca-cert") {
        report.errors.both([object.at("ca-cert"), object.at("url")]);
    }
    let trust_root = match object.text("trustRootRef", report) {
        Some(name) => TrustRootRef::Named(name.into()),
        None => TrustRootRef::Default,
    };
    if !object.has("identities") {
        report.errors.missing(object.at("identities"));
    }
    let identities = object.objects("identities", IDENTITY_LIMIT, report);
    let identities = identities.iter().filter_map(|identity| self::identity(identity, report)).collect();
    Some(AuthorityKind::Keyless { basis: Basis::resting_on(trust_root), identities })
}

fn identity(object: &Object<'_>, report: &mut Report) -> Option<Identity> {
    object.only(&["issuer", "issuerRegExp", "subject", "subjectRegExp"], report);
    let issuer = matcher(object, "issuer", "issuerRegExp", report);
    let subject = matcher(object, "subject", "subjectRegExp", report);
    Some(Identity { issuer: issuer?, subject: subject? })
}

fn matcher(object: &Object<'_>, exact: &str, regex: &str, report: &mut Report) -> Option<Matcher> {
    match (object.has(exact), object.has(regex)) {
        (false, false) => {
            report.errors.missing(object.at(exact));
            report.errors.missing(object.at(regex));
        }
        (true, true) => report.errors.both([object.at(exact), object.at(regex)]),
        (true, false) | (false, true) => {}
    }
    let written = object.text(exact, report).map(|text| Matcher::Exact(text.to_owned()));
    let Some(source) = object.text(regex, report) else {
        return written;
    };
    report.regexes += 1;
    if report.regexes > REGEX_LIMIT {
        report
            .errors
            .add(format!("more than {REGEX_LIMIT} regular expressions in all policies"), object.at(regex));
        return None;
    }
    match Matcher::regex(source) {
        Ok(matcher) => {
            if matcher.is_unanchored() {
                let path = object.at(regex);
                report
                    .warnings
                    .push(format!("{path}: matches anywhere in the {exact}; write ^…$ to match all of it"));
            }
            Some(matcher)
        }
        Err(error) => {
            report.errors.invalid(source, object.at(regex), format!("regex is invalid: {error}"));
            None
        }
    }
}
