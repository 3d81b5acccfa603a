//! Who may vouch for an image: compiled from `spec.authorities[]`.

mod attestation;
mod demands;
mod key_ref;
mod keyless;
mod kms;
mod repository_text;
mod source;
mod wanted;

use std::sync::Arc;

use self::demands::Demands;
pub(crate) use self::keyless::identity;
pub(crate) use self::wanted::{Accepted, Wanted, WantedAttestation};
use crate::object::{Object, Report};
use crate::verdict::Sought;

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
    /// Evidence.
    Wants(Wanted),
}

impl AuthorityKind {
    /// The evidence that it wants, if it wants any.
    pub(crate) fn wanted(&self) -> Option<&Wanted> {
        match self {
            Self::Wants(wanted) => Some(wanted),
            Self::Pass | Self::Fail(_) => None,
        }
    }

    /// What it looks for.
    pub(crate) fn sought(&self) -> Sought {
        match self {
            Self::Wants(wanted) => wanted.sought(),
            Self::Pass | Self::Fail(_) => Sought::Nothing,
        }
    }

    /// Whom it accepts, for a person.
    pub(crate) fn expected(&self) -> Vec<String> {
        match self {
            Self::Wants(wanted) => wanted.signers.names(),
            Self::Pass | Self::Fail(_) => Vec::new(),
        }
    }
}

/// The fields that say what an authority is. Exactly one is wanted.
const KINDS: [&str; 3] = ["key", "keyless", "static"];

/// What no static authority may have.
const NOT_STATIC: [&str; 4] = ["attestations", "ctlog", "rfc3161timestamp", "source"];

impl Authority {
    /// Compiles the authority at this place of the list, reporting everything that is wrong with it.
    pub(crate) fn compile(object: &Object<'_>, index: usize, report: &mut Report) -> Option<Self> {
        object.only(&[&KINDS[..], &NOT_STATIC, &["name", "signatureFormat"]].concat(), report);
        let name = object.text("name", report).map_or_else(|| format!("authority-{index}"), str::to_owned);
        let kind = kind(object, report);
        Some(Self { name: name.into(), kind: kind? })
    }
}

fn kind(object: &Object<'_>, report: &mut Report) -> Option<AuthorityKind> {
    match KINDS.iter().filter(|key| object.has(key)).count() {
        0 => {
            report.errors.neither(KINDS.map(|key| object.at(key)));
            return None;
        }
        1 => {}
        _ => {
            report.errors.both(KINDS.map(|key| object.at(key)));
            return None;
        }
    }
    signature_format(object, report);
    let source = source::read(object, report);
    let attestations = attestation::read(object, report);
    let demands = Demands::read(object, report);
    if let Some(fixed) = object.object("static", report) {
        let conflicts = NOT_STATIC.iter().filter(|key| object.has(key));
        let conflicts: Vec<_> = conflicts.map(|key| object.at(key)).collect();
        if !conflicts.is_empty() {
            report.errors.both(conflicts);
            report.errors.both([object.at("static")]);
        }
        return self::fixed(&fixed, report);
    }
    let (bases, signers) = match object.object("key", report) {
        Some(key) => key_ref::read(&key, &demands, report)?,
        None => keyless::read(&object.object("keyless", report)?, &demands, report),
    };
    Some(AuthorityKind::Wants(Wanted { source, bases, signers, attestations }))
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

/// Signatures of every format are found and count alike, so a format that is named changes nothing.
fn signature_format(object: &Object<'_>, report: &mut Report) {
    match object.text("signatureFormat", report) {
        None | Some("legacy" | "bundle") => {}
        Some(other) => {
            report.errors.invalid(other, object.at("signatureFormat"), "unsupported signature format");
        }
    }
}
