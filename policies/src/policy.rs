//! One policy: compiled from the `spec` of a `ClusterImagePolicy`.

use std::sync::Arc;

use oci::{Algorithm, Digest, Hasher};

use crate::authority::Authority;
use crate::glob::{ImagePattern, InvalidGlob};
use crate::match_resource;
use crate::node::{Node, digest_text};
use crate::object::{Object, Report};
use crate::program::{self, Level};

/// A policy, ready to match and judge.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) name: Arc<str>,
    pub(crate) mode: Mode,
    /// An image that matches any of these is spoken of.
    pub(crate) images: Vec<ImagePattern>,
    /// Any of these is enough. There is at least one.
    pub(crate) authorities: Vec<Authority>,
    /// Of its name and what its specification means.
    pub(crate) digest: Digest,
}

/// What becomes of an image that fails a policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    /// It is denied.
    Enforce,
    /// It is allowed, and the failure told.
    Warn,
}

/// How many globs a policy may list.
const IMAGE_LIMIT: usize = 256;

/// How many kinds of objects a policy may list.
const MATCH_LIMIT: usize = 64;

/// How many authorities a policy may list.
const AUTHORITY_LIMIT: usize = 64;

impl Policy {
    /// Compiles a policy from the whole of its document, reporting everything that is wrong with it. Only
    /// where nothing was reported is it one.
    pub(crate) fn compile(name: &str, document: &Object<'_>, report: &mut Report) -> Option<Self> {
        let digest = digest(name, document.node("spec").unwrap_or(&Node::Null));
        // A document without a specification lacks what an empty one lacks.
        let spec = Object::of(document.node("spec").unwrap_or(&Node::Null), document.at("spec"), report)?;
        spec.only(&["images", "authorities", "mode", "match", "policy"], report);
        unhonoured(&spec, report);
        for required in ["images", "authorities"] {
            if !spec.has(required) {
                report.errors.missing(spec.at(required));
            }
        }
        let images = spec.objects("images", IMAGE_LIMIT, report);
        let images = images.iter().filter_map(|image| self::image(image, report)).collect();
        let authorities = spec.objects("authorities", AUTHORITY_LIMIT, report);
        let authorities = authorities
            .iter()
            .enumerate()
            .filter_map(|(index, authority)| Authority::compile(authority, index, report))
            .collect();
        Some(Self { name: name.into(), mode: mode(&spec, report), images, authorities, digest })
    }
}

fn digest(name: &str, spec: &Node) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    digest_text(name, &mut hasher);
    spec.digest_into(&mut hasher);
    hasher.finish()
}

/// Checks the fields that are not honoured yet.
fn unhonoured(spec: &Object<'_>, report: &mut Report) {
    spec.refuse(&["match", "policy"], report);
    for entry in spec.objects("match", MATCH_LIMIT, report) {
        match_resource::check(&entry, report);
    }
    if let Some(program) = spec.object("policy", report) {
        program::check(&program, Level::Policy, report);
    }
}

fn mode(spec: &Object<'_>, report: &mut Report) -> Mode {
    match spec.text("mode", report) {
        None | Some("enforce") => Mode::Enforce,
        Some("warn") => Mode::Warn,
        Some(other) => {
            report.errors.invalid(other, spec.at("mode"), "unsupported mode");
            Mode::Enforce
        }
    }
}

fn image(object: &Object<'_>, report: &mut Report) -> Option<ImagePattern> {
    object.only(&["glob"], report);
    if !object.has("glob") {
        report.errors.missing(object.at("glob"));
    }
    let glob = object.text("glob", report)?;
    match ImagePattern::new(glob) {
        Ok(pattern) => {
            if !pattern.reaches_digests() {
                report.warnings.push(format!(
                    "{}: {glob} matches no image, because images are matched as host/repository@digest",
                    object.at("glob")
                ));
            }
            Some(pattern)
        }
        Err(error @ (InvalidGlob::Syntax | InvalidGlob::Characters(_))) => {
            report.errors.invalid(glob, object.at("glob"), format!("glob is invalid: {error}"));
            None
        }
    }
}
