//! `TrustRoot` objects: whom to trust, written beside the policies that rest on it.

mod keys;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::node::Node;
use crate::object::{Object, Report};

/// A `TrustRoot` of `policy.sigstore.dev/v1alpha1`, checked as far as no key is looked at.
#[derive(Clone, Debug)]
pub struct TrustRootObject {
    /// What policies name it by, as `trustRootRef`.
    pub name: Arc<str>,
    /// Where its trust root comes from.
    pub source: TrustRootSource,
}

/// Where the trust root of an object comes from.
#[derive(Clone, Debug)]
pub enum TrustRootSource {
    /// A repository of The Update Framework that is asked again and again.
    Remote {
        /// The URL of its metadata.
        mirror: String,
        /// What it is trusted by, and what is wanted of it.
        repository: TrustedRepository,
    },
    /// The same as an archive in the object itself, for where there is no network.
    Archive {
        /// A tar archive, packed with gzip.
        archive: Arc<[u8]>,
        /// What it is trusted by, and what is wanted of it.
        repository: TrustedRepository,
    },
    /// Keys and certificates in the object itself.
    Keys(Arc<SigstoreKeys>),
}

/// What a repository is trusted by, and what is wanted of it.
#[derive(Clone, Debug)]
pub struct TrustedRepository {
    /// A `root.json`.
    pub root: Arc<[u8]>,
    /// The folder of its targets.
    pub targets: String,
    /// The target that is a `trusted_root.json`.
    pub target: String,
}

/// Authorities and logs, each part as its field holds it. They are trusted from 1970 on.
#[derive(Clone, Debug, Default)]
pub struct SigstoreKeys {
    /// Who issues certificates.
    pub certificate_authorities: Vec<AuthorityKeys>,
    /// Where signatures are recorded.
    pub transparency_logs: Vec<LogKey>,
    /// Where certificates are recorded.
    pub certificate_logs: Vec<LogKey>,
    /// Who says when something was signed. Their own certificate comes first.
    pub timestamp_authorities: Vec<AuthorityKeys>,
}

/// An authority and its certificates.
#[derive(Clone, Debug)]
pub struct AuthorityKeys {
    /// The organisation that it names itself as.
    pub organization: String,
    /// The common name of it.
    pub common_name: String,
    /// Where it is.
    pub uri: String,
    /// Its certificates in DER, each followed by that of its issuer.
    pub chain: Vec<Vec<u8>>,
}

/// A log and its key.
#[derive(Clone, Debug)]
pub struct LogKey {
    /// Where it is.
    pub base_url: String,
    /// How it hashes: `SHA2_256`, `SHA2_384` or `SHA2_512`.
    pub hash_algorithm: &'static str,
    /// Its key: DER of a `SubjectPublicKeyInfo`.
    pub key: Vec<u8>,
}

const FORMS: [&str; 3] = ["remote", "repository", "sigstoreKeys"];

impl TrustRootObject {
    /// Compiles an object from the whole of its document, reporting everything that is wrong with it.
    pub(crate) fn compile(name: &str, document: &Object<'_>, report: &mut Report) -> Option<Self> {
        let spec = Object::of(document.node("spec").unwrap_or(&Node::Null), document.at("spec"), report)?;
        spec.only(&FORMS, report);
        let given: Vec<_> = FORMS.iter().filter(|form| spec.has(form)).collect();
        if given.len() > 1 {
            report.errors.both(FORMS.map(|form| spec.at(form)));
        }
        let Some(form) = given.first() else {
            report.errors.neither(FORMS.map(|form| spec.at(form)));
            return None;
        };
        let object = spec.object(form, report)?;
        let source = match **form {
            "remote" => remote(&object, report),
            "repository" => archive(&object, report),
            _ => keys::read(&object, report).map(|keys| TrustRootSource::Keys(Arc::new(keys))),
        };
        Some(Self { name: name.into(), source: source? })
    }
}

fn remote(remote: &Object<'_>, report: &mut Report) -> Option<TrustRootSource> {
    remote.only(&["mirror", "root", "targets", "trustedRootTarget"], report);
    remote.require(&["mirror", "root"], report);
    let repository = repository(remote, report);
    let mirror = remote.text("mirror", report)?.to_owned();
    Some(TrustRootSource::Remote { mirror, repository: repository? })
}

fn archive(object: &Object<'_>, report: &mut Report) -> Option<TrustRootSource> {
    object.only(&["mirrorFS", "root", "targets", "trustedRootTarget"], report);
    object.require(&["root"], report);
    if !object.has("mirrorFS") {
        // Policy-controller names the field so.
        report.errors.missing(object.at("repository"));
    }
    let repository = repository(object, report);
    let archive = bytes(object, "mirrorFS", report)?;
    if !archive.starts_with(&[0x1f, 0x8b]) {
        let why = "failed to uncompress: gzip: invalid header";
        report.errors.invalid("failed to construct a TUF client", object.at("mirrorFS"), why);
        return None;
    }
    Some(TrustRootSource::Archive { archive: archive.into(), repository: repository? })
}

fn repository(object: &Object<'_>, report: &mut Report) -> Option<TrustedRepository> {
    let mut text =
        |key: &str, default: &str| object.text(key, report).map_or_else(|| default.to_owned(), str::to_owned);
    let (targets, target) = (text("targets", "targets"), text("trustedRootTarget", "trusted_root.json"));
    let root = bytes(object, "root", report)?;
    match signatures(&root) {
        Ok(0) => {
            report.errors.invalid("missing signatures in root.json", object.at("root"), "no signatures");
        }
        Ok(_) => {}
        Err(why) => report.errors.invalid("failed to unmarshal", object.at("root"), why),
    }
    Some(TrustedRepository { root: root.into(), targets, target })
}

/// How many signatures a root has.
fn signatures(root: &[u8]) -> Result<usize, String> {
    #[derive(serde::Deserialize)]
    struct Root {
        #[serde(default)]
        signatures: Vec<serde::de::IgnoredAny>,
    }
    serde_json::from_slice::<Root>(root).map(|root| root.signatures.len()).map_err(|error| error.to_string())
}

/// A field that is bytes in base64, if it is given. Lines may be broken anywhere.
fn bytes(object: &Object<'_>, key: &str, report: &mut Report) -> Option<Vec<u8>> {
    let text: String =
        object.text(key, report)?.chars().filter(|char| !matches!(char, '\r' | '\n')).collect();
    let bytes = STANDARD.decode(text);
    if bytes.is_err() {
        report.errors.add("expected base64", object.at(key));
    }
    bytes.ok()
}

#[cfg(test)]
mod tests;
