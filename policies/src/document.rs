//! From the texts of files to the objects in them.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::externals::{External, Externals};
use crate::node::{self, Node};
use crate::object::{Object, Report};
use crate::policy::{Policy, PolicyName};
use crate::problem::{Problem, Warning};
use crate::revocation::Revocation;
use crate::secrets;
use crate::trust_root_object::TrustRootObject;

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

/// The kinds of objects that are read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    ClusterImagePolicy,
    ImagePolicy,
    Revocation,
    TrustRoot,
    /// What policies name by `secretRef`.
    Secret,
    /// What policies name by `configMapRef`.
    ConfigMap,
}

const KINDS: [Kind; 6] = [
    Kind::ClusterImagePolicy,
    Kind::ImagePolicy,
    Kind::Revocation,
    Kind::TrustRoot,
    Kind::Secret,
    Kind::ConfigMap,
];

/// What came of some files.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) policies: Vec<(String, Policy)>,
    pub(crate) revocations: Vec<(String, Revocation)>,
    pub(crate) trust_roots: Vec<(String, TrustRootObject)>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Warning>,
    /// What is named by policies.
    pub(crate) named: BTreeSet<External>,
    /// For each document that is wrong, what denies the images that it speaks of.
    pub(crate) stand_ins: Vec<Policy>,
    externals: Arc<Externals>,
    regexes: usize,
}

/// One document of a file.
struct Place<'a> {
    origin: &'a str,
    index: usize,
    node: &'a Node,
}

/// The documents of a file.
fn places<'a>((origin, nodes): (&'a str, &'a Vec<Node>)) -> impl Iterator<Item = Place<'a>> {
    nodes.iter().enumerate().map(move |(index, node)| Place { origin, index, node })
}

impl Parsed {
    /// Reads files. What policies name is looked for in these, and in the Secrets and ConfigMaps among the files.
    pub(crate) fn of<'a>(documents: impl IntoIterator<Item = Document<'a>>, externals: &Externals) -> Self {
        let mut parsed = Self::default();
        let files: Vec<_> = documents.into_iter().map(|file| (file.origin, nodes(&file))).collect();
        let mut externals = externals.clone();
        for place in
            files.iter().filter_map(|(origin, nodes)| Some((*origin, nodes.as_ref().ok()?))).flat_map(places)
        {
            parsed.gather(&place, &mut externals);
        }
        parsed.externals = Arc::new(externals);
        for (origin, nodes) in &files {
            match nodes {
                Ok(nodes) => places((*origin, nodes)).for_each(|place| parsed.compile(&place)),
                Err(error) => parsed.refuse(origin, None, None, vec![error.clone()]),
            }
        }
        parsed
    }

    /// What stands under the name of something that policies could name, if it is there.
    pub(crate) fn content(&self, external: &External) -> Option<Arc<str>> {
        self.externals.content(external).ok()
    }

    /// Adds a problem.
    pub(crate) fn wrong(&mut self, origin: &str, policy: Option<String>, message: String) {
        self.problems.push(Problem { origin: origin.to_owned(), policy, message });
    }

    /// A document is wrong: the images that it speaks of are denied while it is.
    fn refuse(
        &mut self,
        origin: &str,
        name: Option<PolicyName>,
        document: Option<&Object<'_>>,
        messages: Vec<String>,
    ) {
        let shown = name.as_ref().map(PolicyName::to_string);
        let known = name.unwrap_or_else(|| PolicyName { namespace: None, name: origin.to_owned() });
        let why = messages.join("; ").replace('\n', ": ");
        self.stand_ins.push(Policy::denying(&known, document, &why));
        messages.into_iter().for_each(|message| self.wrong(origin, shown.clone(), message));
    }

    /// Takes what is in a Secret or a ConfigMap.
    fn gather(&mut self, place: &Place<'_>, externals: &mut Externals) {
        let mut report = Report::default();
        let Some(document) = Object::of(place.node, String::new(), &mut report) else { return };
        let mut ignored = Report::default();
        let read = match kind(&document, &mut ignored) {
            Some(Kind::Secret) => secrets::secret,
            Some(Kind::ConfigMap) => secrets::config_map,
            Some(Kind::ClusterImagePolicy | Kind::ImagePolicy | Kind::Revocation | Kind::TrustRoot)
            | None => {
                return;
            }
        };
        read(&document, externals, &mut report);
        self.conclude(place, None, &report);
    }

    fn compile(&mut self, place: &Place<'_>) {
        let mut report = Report::new(self.regexes, self.externals.clone());
        let document = Object::of(place.node, String::new(), &mut report);
        let kind = document.as_ref().and_then(|document| kind(document, &mut report));
        if matches!(kind, Some(Kind::Secret | Kind::ConfigMap)) {
            return;
        }
        let mut name = None;
        if let (Some(document), Some(kind)) = (&document, kind) {
            // A cluster writes `status`; it says nothing of images.
            document.only(&["apiVersion", "kind", "metadata", "spec", "status"], &mut report);
            name = self::name(document, kind, &mut report);
            report.inline = kind == Kind::ImagePolicy;
            let known = name.clone().unwrap_or_else(|| PolicyName { namespace: None, name: String::new() });
            match kind {
                Kind::Revocation => {
                    let revocation = Revocation::compile(&known.name, document, &mut report);
                    if is_right(&report) {
                        let named = revocation.map(|revocation| (place.origin.to_owned(), revocation));
                        self.revocations.extend(named);
                    }
                }
                Kind::TrustRoot => {
                    let root = TrustRootObject::compile(&known.name, document, &mut report);
                    if is_right(&report) {
                        self.trust_roots.extend(root.map(|root| (place.origin.to_owned(), root)));
                    }
                }
                Kind::ClusterImagePolicy | Kind::ImagePolicy | Kind::Secret | Kind::ConfigMap => {
                    let policy = Policy::compile(&known, document, &mut report);
                    if is_right(&report) {
                        let policy = policy.map(|policy| Policy { origin: place.origin.into(), ..policy });
                        self.policies.extend(policy.map(|policy| (place.origin.to_owned(), policy)));
                    }
                }
            }
        }
        self.regexes = report.regexes;
        self.named.append(&mut report.named.iter().cloned().collect());
        if is_right(&report) {
            return self.conclude(place, name, &report);
        }
        if kind == Some(Kind::TrustRoot) {
            // What rests on it cannot be told without it; other images are none of its business.
            return self.conclude(place, name, &report);
        }
        let covers = document.as_ref().filter(|_| kind != Some(Kind::Revocation));
        let name = name.or_else(|| Some(PolicyName { namespace: None, name: place.number() }));
        self.refuse(place.origin, name, covers, report.errors.entries().collect());
    }

    /// Keeps what is said of a document that is right, or whose being wrong concerns no image.
    fn conclude(&mut self, place: &Place<'_>, name: Option<PolicyName>, report: &Report) {
        let shown = name.map_or_else(|| place.number(), |name| name.to_string());
        for message in report.errors.entries() {
            self.wrong(place.origin, Some(shown.clone()), message);
        }
        let unusable = report.unusable.iter().map(|why| format!("denies what it speaks of: {why}"));
        for message in report.warnings.iter().cloned().chain(unusable) {
            let origin = place.origin.to_owned();
            self.warnings.push(Warning { origin, policy: shown.clone(), message });
        }
    }
}

impl Document<'_> {
    /// The kinds of what is in it, as far as a set of policies reads them.
    pub fn kinds(&self) -> Vec<&'static str> {
        let kind = |node: &Node| {
            let mut ignored = Report::default();
            let object = Object::of(node, String::new(), &mut ignored)?;
            kind(&object, &mut ignored).map(Kind::as_str)
        };
        nodes(self).unwrap_or_default().iter().filter_map(kind).collect()
    }
}

impl Place<'_> {
    /// What a document without a name is called.
    fn number(&self) -> String {
        format!("document {}", self.index + 1)
    }
}

fn is_right(report: &Report) -> bool {
    report.errors.entries().next().is_none()
}

fn nodes(document: &Document<'_>) -> Result<Vec<Node>, String> {
    if document.text.len() > SIZE_LIMIT {
        return Err(format!("larger than {SIZE_LIMIT} bytes"));
    }
    node::documents(document.text)
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::ClusterImagePolicy => "ClusterImagePolicy",
            Self::ImagePolicy => "ImagePolicy",
            Self::Revocation => "Revocation",
            Self::TrustRoot => "TrustRoot",
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        }
    }

    fn api_versions(self) -> &'static [&'static str] {
        match self {
            Self::ClusterImagePolicy => &["policy.sigstore.dev/v1beta1", "policy.sigstore.dev/v1alpha1"],
            Self::TrustRoot => &["policy.sigstore.dev/v1alpha1"],
            Self::ImagePolicy | Self::Revocation => &["policy.countersign.dev/v1alpha1"],
            Self::Secret | Self::ConfigMap => &["v1"],
        }
    }
}

/// What kind of object this is; nothing else of another would be worth a complaint.
fn kind(document: &Object<'_>, report: &mut Report) -> Option<Kind> {
    for key in ["apiVersion", "kind"] {
        if !document.has(key) {
            report.errors.missing(document.at(key));
        }
    }
    let (version, written) = (document.text("apiVersion", report), document.text("kind", report));
    let written = written?;
    let Some(kind) = KINDS.into_iter().find(|kind| kind.as_str() == written) else {
        let known = KINDS.map(Kind::as_str).join(", ");
        report.errors.invalid(written, "kind".to_owned(), format!("only {known} are read"));
        return None;
    };
    if let Some(version) = version.filter(|version| !kind.api_versions().contains(version)) {
        report.errors.invalid(
            version,
            "apiVersion".to_owned(),
            format!("only {} are read", kind.api_versions().join(" and ")),
        );
    }
    Some(kind)
}

/// The name of an object, and its namespace where it has to be in one. They are the only things of the metadata that
/// mean anything here.
fn name(document: &Object<'_>, kind: Kind, report: &mut Report) -> Option<PolicyName> {
    let metadata =
        Object::of(document.node("metadata").unwrap_or(&Node::Null), document.at("metadata"), report)?;
    let name = subdomain(&metadata, "name", report);
    let namespace = match kind {
        Kind::ImagePolicy => Some(subdomain(&metadata, "namespace", report)?.to_owned()),
        Kind::ClusterImagePolicy | Kind::Revocation | Kind::TrustRoot | Kind::Secret | Kind::ConfigMap => {
            None
        }
    };
    Some(PolicyName { namespace, name: name?.to_owned() })
}

/// What Kubernetes demands of the name of such an object.
fn subdomain<'a>(metadata: &Object<'a>, key: &str, report: &mut Report) -> Option<&'a str> {
    if !metadata.has(key) {
        report.errors.missing(metadata.at(key));
    }
    let name = metadata.text(key, report)?;
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        label.bytes().all(|byte| letter(byte) || byte == b'-')
            && label.bytes().next().is_some_and(letter)
            && label.bytes().next_back().is_some_and(letter)
    };
    if name.len() > 253 || !name.split('.').all(label) {
        let why = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
                   and must start and end with an alphanumeric character";
        report.errors.invalid(&name.escape_debug().to_string(), metadata.at(key), why);
        return None;
    }
    Some(name)
}
