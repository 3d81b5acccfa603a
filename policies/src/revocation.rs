//! `Revocation`: whose signatures count for nothing any more, and which images may not run whatever anybody signed.

use std::collections::BTreeMap;
use std::sync::Arc;

use oci::{Digest, Hasher};
use serde::Serialize;

use crate::authority::identity;
use crate::exemption::digest;
use crate::facts::{LogIndex, Signature, Signer};
use crate::identity::Identity;
use crate::key::{HashAlgorithm, PublicKey};
use crate::moment::{self, Seconds};
use crate::node::{Node, digest_text};
use crate::object::{Object, Report};

/// How many entries each list may have.
const LIMIT: usize = 4096;

/// One `Revocation` object.
#[derive(Clone, Debug)]
pub(crate) struct Revocation {
    pub(crate) name: Arc<str>,
    reason: Arc<str>,
    identities: Vec<RevokedIdentity>,
    keys: Vec<Digest>,
    digests: Vec<Digest>,
    log_entries: Vec<LogRange>,
    /// Of its name and what it says.
    pub(crate) digest: Digest,
}

/// What an image is denied by, or a signature counts for nothing by.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
pub struct Revoked {
    /// The name of the `Revocation`.
    pub by: Arc<str>,
    /// Why, in its author's words.
    pub reason: Arc<str>,
}

#[derive(Clone, Debug)]
struct RevokedIdentity {
    identity: Identity,
    not_before: Option<Seconds>,
    not_after: Option<Seconds>,
}

#[derive(Clone, Debug)]
struct LogRange {
    /// The sha256 of the log's key, in hexadecimal; any log without one.
    log: Option<String>,
    first: u64,
    last: u64,
}

impl Revocation {
    /// Reads one from its whole document, reporting everything that is wrong with it.
    pub(crate) fn compile(name: &str, document: &Object<'_>, report: &mut Report) -> Option<Self> {
        let node = document.node("spec").unwrap_or(&Node::Null);
        let spec = Object::of(node, document.at("spec"), report)?;
        spec.only(&["reason", "identities", "keys", "digests", "logEntries"], report);
        spec.require(&["reason"], report);
        let lists = ["identities", "keys", "digests", "logEntries"];
        if !lists.iter().any(|list| spec.has(list)) {
            lists.iter().for_each(|list| report.errors.missing(spec.at(list)));
        }
        let identities = spec.objects("identities", LIMIT, report);
        let identities = identities.iter().filter_map(|entry| RevokedIdentity::read(entry, report)).collect();
        let keys = spec.objects("keys", LIMIT, report);
        let keys = keys.iter().flat_map(|entry| self::keys(entry, report)).collect();
        let digests = spec.objects("digests", LIMIT, report);
        let digests = digests.iter().filter_map(|entry| image(entry, report)).collect();
        let log_entries = spec.objects("logEntries", LIMIT, report);
        let log_entries = log_entries.iter().filter_map(|entry| LogRange::read(entry, report)).collect();
        let mut hasher = Hasher::new(oci::Algorithm::Sha256);
        digest_text(name, &mut hasher);
        node.digest_into(&mut hasher);
        Some(Self {
            name: name.into(),
            reason: spec.text("reason", report).unwrap_or_default().into(),
            identities,
            keys,
            digests,
            log_entries,
            digest: hasher.finish(),
        })
    }

    fn revokes(&self, signature: &Signature) -> bool {
        let signer = match &signature.signer {
            Signer::Key(id) => self.keys.contains(id),
            Signer::Certificate(_) => self.identities.iter().any(|revoked| revoked.covers(signature)),
        };
        signer || signature.entries.iter().any(|entry| self.log_entries.iter().any(|range| range.has(entry)))
    }

    fn as_revoked(&self) -> Revoked {
        Revoked { by: self.name.clone(), reason: self.reason.clone() }
    }
}

impl RevokedIdentity {
    fn read(entry: &Object<'_>, report: &mut Report) -> Option<Self> {
        entry.only(&["issuer", "issuerRegExp", "subject", "subjectRegExp", "notBefore", "notAfter"], report);
        let not_before = moment::begins(entry, "notBefore", report);
        let not_after = moment::ends(entry, "notAfter", report);
        Some(Self { identity: identity(entry, report)?, not_before, not_after })
    }

    /// Whether this identity made the signature within the window. A signature that nobody saw at any time may be of
    /// any time.
    fn covers(&self, signature: &Signature) -> bool {
        let Some(signer) = signature.signer.identity() else { return false };
        let mut times = signature.integrated_time.iter().chain(&signature.timestamps).peekable();
        let within = |time: &Seconds| {
            self.not_before.is_none_or(|from| from <= *time) && self.not_after.is_none_or(|to| *time < to)
        };
        self.identity.accepts(signer) && (times.peek().is_none() || times.any(within))
    }
}

impl LogRange {
    fn read(entry: &Object<'_>, report: &mut Report) -> Option<Self> {
        entry.only(&["log", "first", "last"], report);
        let log = entry.text("log", report);
        if let Some(log) = log
            && !(log.len() == 64 && log.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
        {
            let why = "wants the sha256 of the log's key, in hexadecimal digits of lower case";
            report.errors.invalid(log, entry.at("log"), why);
        }
        for key in ["first", "last"] {
            if !entry.has(key) {
                report.errors.missing(entry.at(key));
            }
        }
        let (first, last) = (entry.integer("first", report)?, entry.integer("last", report)?);
        if first > last {
            report.errors.invalid(&first.to_string(), entry.at("first"), "is after the last one");
        }
        Some(Self { log: log.map(str::to_owned), first, last })
    }

    fn has(&self, entry: &LogIndex) -> bool {
        self.log.as_ref().is_none_or(|log| *log == entry.log)
            && (self.first..=self.last).contains(&entry.index)
    }
}

/// Keys, written out or by the sha256 of their DER.
fn keys(entry: &Object<'_>, report: &mut Report) -> Vec<Digest> {
    entry.only(&["data", "digest"], report);
    match (entry.has("data"), entry.has("digest")) {
        (false, false) => report.errors.neither(["data", "digest"].map(|key| entry.at(key))),
        (true, true) => report.errors.both(["data", "digest"].map(|key| entry.at(key))),
        (true, false) | (false, true) => {}
    }
    let named = digest(entry, "digest", report).into_iter();
    let Some(data) = entry.text("data", report) else { return named.collect() };
    match PublicKey::from_pem(data, HashAlgorithm::Sha256) {
        Ok(keys) => keys.iter().map(PublicKey::id).collect(),
        Err(error) => {
            report.errors.invalid("(a key)", entry.at("data"), error.to_string());
            Vec::new()
        }
    }
}

fn image(entry: &Object<'_>, report: &mut Report) -> Option<Digest> {
    entry.only(&["digest"], report);
    entry.require(&["digest"], report);
    digest(entry, "digest", report)
}

/// Everything that is revoked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Revocations {
    list: Vec<Revocation>,
    images: BTreeMap<Digest, Revoked>,
}

impl Revocations {
    /// Of these, in order of name.
    pub(crate) fn new(list: Vec<Revocation>) -> Self {
        let mut images = BTreeMap::new();
        for revocation in &list {
            for digest in &revocation.digests {
                images.entry(*digest).or_insert_with(|| revocation.as_revoked());
            }
        }
        Self { list, images }
    }

    /// By what an image is revoked, whoever signed it.
    pub(crate) fn of_image(&self, digest: &Digest) -> Option<&Revoked> {
        self.images.get(digest)
    }

    /// By what a signature is revoked.
    pub(crate) fn of_signature(&self, signature: &Signature) -> Option<Revoked> {
        self.list.iter().find(|revocation| revocation.revokes(signature)).map(Revocation::as_revoked)
    }

    /// The digests of what each of them says.
    pub(crate) fn digests(&self) -> impl Iterator<Item = &Digest> {
        self.list.iter().map(|revocation| &revocation.digest)
    }

    /// Their names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|revocation| &*revocation.name)
    }
}

#[cfg(test)]
mod tests;
