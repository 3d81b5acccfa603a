//! One policy: compiled from the `spec` of a `ClusterImagePolicy` or an `ImagePolicy`.

use std::sync::Arc;

use oci::{Algorithm, Digest, Hasher};

use crate::authority::Authority;
use crate::exemption::{self, Exemption};
use crate::glob::{ImagePattern, InvalidGlob};
use crate::match_resource::MatchResource;
use crate::moment::Seconds;
use crate::node::{Node, digest_text};
use crate::object::{Object, Report};
use crate::program::{self, PolicyProgram};

/// A policy, ready to match and judge.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// The name, after its namespace and a slash where it is in one.
    pub(crate) name: Arc<str>,
    /// Where it came from, for error messages.
    pub(crate) origin: Arc<str>,
    /// The namespace that it is for; all of them without one.
    pub(crate) namespace: Option<Arc<str>>,
    pub(crate) mode: Mode,
    /// An image that matches any of these is spoken of.
    pub(crate) images: Vec<ImagePattern>,
    /// The kinds of objects that it is for; all of them where there are none.
    pub(crate) resources: Vec<MatchResource>,
    /// Any of these is enough. There is at least one, unless the policy is unusable.
    pub(crate) authorities: Vec<Authority>,
    /// What must besides hold of everything that its authorities found.
    pub(crate) program: Option<PolicyProgram>,
    pub(crate) exemptions: Vec<Exemption>,
    /// Why it cannot be judged by, if so: it denies what it covers.
    pub(crate) unusable: Option<Arc<str>>,
    /// Of its name and what it means.
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

/// Which policy it is.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct PolicyName {
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
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
    pub(crate) fn compile(name: &PolicyName, document: &Object<'_>, report: &mut Report) -> Option<Self> {
        // A document without a specification lacks what an empty one lacks.
        let node = document.node("spec").unwrap_or(&Node::Null);
        let spec = Object::of(node, document.at("spec"), report)?;
        spec.only(&["images", "authorities", "mode", "match", "policy", "exemptions"], report);
        for required in ["images", "authorities"] {
            if !spec.has(required) {
                report.errors.missing(spec.at(required));
            }
        }
        let images = images_of(&spec, report);
        let authorities = spec.objects("authorities", AUTHORITY_LIMIT, report);
        let authorities = authorities
            .iter()
            .enumerate()
            .filter_map(|(index, authority)| Authority::compile(authority, index, report))
            .collect();
        let resources = spec.objects("match", MATCH_LIMIT, report);
        let resources = resources.iter().map(|entry| MatchResource::read(entry, report)).collect();
        let program = spec.object("policy", report).and_then(|program| program::of_policy(&program, report));
        let exemptions = exemption::read(&spec, report);
        let unusable = (!report.unusable.is_empty()).then(|| report.unusable.join("; ").into());
        Some(Self {
            mode: mode(&spec, report),
            digest: digest(name, node, report),
            namespace: name.namespace.as_deref().map(Into::into),
            name: name.to_string().into(),
            origin: "".into(),
            images,
            resources,
            authorities,
            program,
            exemptions,
            unusable,
        })
    }

    /// What stands in for a policy that is wrong: it denies the images that the document names, or all where it cannot be
    /// known which they are.
    pub(crate) fn denying(name: &PolicyName, document: Option<&Object<'_>>, why: &str) -> Self {
        let mut report = Report::default();
        let spec = document.and_then(|document| document.object("spec", &mut report));
        let mut images = spec.map_or_else(Vec::new, |spec| images_of(&spec, &mut report));
        if images.is_empty() || report.errors.entries().next().is_some() {
            images = ImagePattern::new("**").into_iter().collect();
        }
        let mut hasher = Hasher::new(Algorithm::Sha256);
        digest_text("denying", &mut hasher);
        digest_text(&name.to_string(), &mut hasher);
        digest_text(why, &mut hasher);
        digest_text(&format!("{images:?}"), &mut hasher);
        Self {
            name: name.to_string().into(),
            origin: "".into(),
            namespace: name.namespace.as_deref().map(Into::into),
            mode: Mode::Enforce,
            images,
            resources: Vec::new(),
            authorities: Vec::new(),
            program: None,
            exemptions: Vec::new(),
            unusable: Some(why.into()),
            digest: hasher.finish(),
        }
    }

    /// What exempts an image from it at a time: of several exemptions that which ends last.
    pub(crate) fn exemption(&self, digest: &Digest, now: Seconds) -> Option<&Exemption> {
        self.last_exemption(digest).filter(|exemption| now < exemption.expires)
    }

    /// The exemption of an image that ends last, or ended last.
    pub(crate) fn last_exemption(&self, digest: &Digest) -> Option<&Exemption> {
        let exemptions = self.exemptions.iter().filter(|exemption| exemption.digest == *digest);
        exemptions.max_by_key(|exemption| exemption.expires)
    }

    /// Whether its verdict may depend on the object that an image is for.
    pub(crate) fn reads_request(&self) -> bool {
        let program = self.program.as_ref().is_some_and(PolicyProgram::reads_object);
        self.namespace.is_some() || !self.resources.is_empty() || program
    }
}

/// Of everything that the policy means: also of what it names and what was found there.
fn digest(name: &PolicyName, spec: &Node, report: &Report) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    digest_text(name.namespace.as_deref().unwrap_or_default(), &mut hasher);
    digest_text(&name.name, &mut hasher);
    spec.digest_into(&mut hasher);
    for external in &report.named {
        let (found, content) = match report.externals.content(external) {
            Ok(content) => ("found", content),
            Err(why) => ("missing", why.into()),
        };
        [&external.to_string(), found, &content].iter().for_each(|text| digest_text(text, &mut hasher));
    }
    hasher.finish()
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

fn images_of(spec: &Object<'_>, report: &mut Report) -> Vec<ImagePattern> {
    let images = spec.objects("images", IMAGE_LIMIT, report);
    images.iter().filter_map(|image| pattern(image, report)).collect()
}

fn pattern(object: &Object<'_>, report: &mut Report) -> Option<ImagePattern> {
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

impl std::fmt::Display for PolicyName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}
