//! From the text of a file to the policies in it.

use crate::node::{self, Node};
use crate::object::{Object, Report};
use crate::policy::Policy;
use crate::problem::{Problem, Warning};
use crate::trust_root_object::{self, TrustRootObject};

/// A file of policies: one YAML document, or several between `---`.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    /// Where it came from, for error messages.
    pub origin: &'a str,
    /// What is in it, at most 1 MiB.
    pub text: &'a str,
}

/// The largest file, in bytes.
const SIZE_LIMIT: usize = 1024 * 1024;

const API_VERSIONS: [&str; 2] = ["policy.sigstore.dev/v1beta1", "policy.sigstore.dev/v1alpha1"];
const KIND: &str = "ClusterImagePolicy";

/// What came of some files.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) policies: Vec<(String, Policy)>,
    pub(crate) trust_roots: Vec<TrustRootObject>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Warning>,
    regexes: usize,
}

impl Parsed {
    /// Reads one more file.
    pub(crate) fn read(&mut self, document: Document<'_>) {
        if document.text.len() > SIZE_LIMIT {
            self.wrong(document.origin, None, format!("larger than {SIZE_LIMIT} bytes"));
            return;
        }
        match node::documents(document.text) {
            Ok(nodes) => {
                for (index, node) in nodes.iter().enumerate() {
                    self.compile(document.origin, index, node);
                }
            }
            Err(error) => self.wrong(document.origin, None, error),
        }
    }

    /// Adds a problem.
    pub(crate) fn wrong(&mut self, origin: &str, policy: Option<String>, message: String) {
        self.problems.push(Problem { origin: origin.to_owned(), policy, message });
    }

    fn compile(&mut self, origin: &str, index: usize, node: &Node) {
        let mut report = Report::new(self.regexes);
        if trust_root_object::is_one(node) {
            return self.compile_trust_root(origin, index, node);
        }
        let mut name = None;
        let policy = Object::of(node, String::new(), &mut report).and_then(|document| {
            envelope(&document, &mut report)?;
            name = self::name(&document, &mut report);
            Policy::compile(name.unwrap_or_default(), &document, &mut report)
        });
        self.regexes = report.regexes;
        let place = || name.map_or_else(|| format!("document {}", index + 1), str::to_owned);
        let errors: Vec<String> = report.errors.entries().collect();
        if let Some(policy) = policy
            && errors.is_empty()
        {
            self.policies.push((origin.to_owned(), policy));
        }
        for message in errors {
            self.wrong(origin, Some(place()), message);
        }
        for message in report.warnings {
            self.warnings.push(Warning { origin: origin.to_owned(), policy: place(), message });
        }
    }
}

impl Parsed {
    fn compile_trust_root(&mut self, origin: &str, index: usize, node: &Node) {
        let mut report = Report::new(self.regexes);
        let mut name = None;
        let root = Object::of(node, String::new(), &mut report).and_then(|document| {
            document.only(&["apiVersion", "kind", "metadata", "spec", "status"], &mut report);
            name = self::name(&document, &mut report);
            TrustRootObject::compile(name.unwrap_or_default(), &document, &mut report)
        });
        let place = name.map_or_else(|| format!("document {}", index + 1), str::to_owned);
        if name.is_some_and(|name| self.trust_roots.iter().any(|root| *root.name == *name)) {
            self.wrong(origin, Some(place.clone()), "another trust root has this name".to_owned());
        }
        let errors: Vec<String> = report.errors.entries().collect();
        self.trust_roots.extend(root.filter(|_| errors.is_empty()));
        for message in errors {
            self.wrong(origin, Some(place.clone()), message);
        }
    }
}

/// Checks that this is a policy at all; nothing else of another object would be worth a complaint.
fn envelope(document: &Object<'_>, report: &mut Report) -> Option<()> {
    for key in ["apiVersion", "kind"] {
        if !document.has(key) {
            report.errors.missing(document.at(key));
        }
    }
    let (version, kind) = (document.text("apiVersion", report), document.text("kind", report));
    if let Some(kind) = kind.filter(|kind| *kind != KIND) {
        report.errors.invalid(kind, "kind".to_owned(), format!("only {KIND} is read"));
    }
    if let Some(version) = version.filter(|version| !API_VERSIONS.contains(version)) {
        report.errors.invalid(
            version,
            "apiVersion".to_owned(),
            format!("only {} are read", API_VERSIONS.join(" and ")),
        );
    }
    if kind != Some(KIND) {
        return None;
    }
    // A cluster writes `status`; it says nothing of images.
    document.only(&["apiVersion", "kind", "metadata", "spec", "status"], report);
    Some(())
}

/// The policy's name. It is the only thing of the metadata that means anything here.
fn name<'a>(document: &Object<'a>, report: &mut Report) -> Option<&'a str> {
    let metadata =
        Object::of(document.node("metadata").unwrap_or(&Node::Null), document.at("metadata"), report)?;
    if !metadata.has("name") {
        report.errors.missing(metadata.at("name"));
    }
    let name = metadata.text("name", report)?;
    if !is_subdomain(name) {
        let why = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
                   and must start and end with an alphanumeric character";
        report.errors.invalid(&name.escape_debug().to_string(), metadata.at("name"), why);
        return None;
    }
    Some(name)
}

/// What Kubernetes demands of the name of such an object.
fn is_subdomain(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= 253
        && name.split('.').all(|label| {
            label.bytes().all(|byte| letter(byte) || byte == b'-')
                && label.bytes().next().is_some_and(letter)
                && label.bytes().next_back().is_some_and(letter)
        })
}
