//! All policies and revocations in force, whole or not at all.

use std::collections::{BTreeMap, BTreeSet};

use oci::{Algorithm, Digest, Hasher, Name, TagOrDigest};

use crate::document::{Document, Parsed};
use crate::externals::{External, Externals};
use crate::facts::{Basis, TrustRootRef};
use crate::index::Index;
use crate::judge::NoMatch;
use crate::matching::Matching;
use crate::policy::Policy;
use crate::problem::{LoadError, Problem, Warning};
use crate::request::Request;
use crate::revocation::{Revocation, Revocations};
use crate::trust_root_object::TrustRootObject;

/// The policies in force, at most 10,000 of them and of distinct names, and the revocations.
#[derive(Clone, Debug)]
pub struct PolicySet {
    /// In order of name.
    policies: Vec<Policy>,
    index: Index,
    revocations: Revocations,
    warnings: Vec<Warning>,
    named: BTreeSet<External>,
    revision: Digest,
    trust_roots: Vec<TrustRootObject>,
    no_match: Option<NoMatch>,
}

/// How many policies a set may have.
const POLICY_LIMIT: usize = 10_000;

/// How many revocations a set may have.
const REVOCATION_LIMIT: usize = 1_000;

/// Where policy-controller is told what becomes of images that no policy matches, and what it is told: to deny them,
/// unless it is one of the other words.
fn no_match(parsed: &Parsed) -> (External, Option<NoMatch>) {
    let (name, key) = ("config-policy-controller".to_owned(), "no-match-policy".to_owned());
    let asked = External::ConfigMap { name, key };
    let said = parsed.content(&asked).map(|said| match &*said {
        "allow" => NoMatch::Allow,
        "warn" => NoMatch::Warn,
        _ => NoMatch::Deny,
    });
    (asked, said)
}

impl PolicySet {
    /// No policies: nothing matches.
    pub fn empty() -> Self {
        Self::of(Vec::new(), Vec::new(), Vec::new(), Parsed::default(), None)
    }

    /// Reads documents of the kinds `ClusterImagePolicy` (`policy.sigstore.dev`, `v1beta1` or `v1alpha1`), `ImagePolicy`
    /// and `Revocation` (`policy.countersign.dev/v1alpha1`), and the `Secret` and `ConfigMap` objects that they name.
    /// What else policies name is looked for in `externals`: a policy that names what cannot be had denies what it covers.
    ///
    /// # Errors
    /// [`LoadError`] with everything that is wrong. A field that is unknown or not honoured here is wrong:
    /// were it ignored, the policy in force would be weaker than the one that was written.
    pub fn load<'a>(
        documents: impl IntoIterator<Item = Document<'a>>,
        externals: &Externals,
    ) -> Result<Self, LoadError> {
        let (set, problems) = Self::load_closed(documents, externals);
        if problems.is_empty() { Ok(set) } else { Err(LoadError::new(problems)) }
    }

    /// The same where there is nothing before it that could stay in force: a document that is wrong denies the images
    /// that it speaks of, or all of them if it is not known of which it speaks. Also everything that is wrong.
    pub fn load_closed<'a>(
        documents: impl IntoIterator<Item = Document<'a>>,
        externals: &Externals,
    ) -> (Self, Vec<Problem>) {
        let mut parsed = Parsed::of(documents, externals);
        limit(&mut parsed);
        let policies = std::mem::take(&mut parsed.policies);
        let mut policies = named_once(policies, |policy| policy.name.to_string(), "policy", &mut parsed);
        policies.append(&mut parsed.stand_ins);
        policies.sort_by(|one, other| one.name.cmp(&other.name));
        let revocations = std::mem::take(&mut parsed.revocations);
        let revocations =
            named_once(revocations, |revoked| revoked.name.to_string(), "revocation", &mut parsed);
        let trust_roots = std::mem::take(&mut parsed.trust_roots);
        let roots = named_once(trust_roots, |root| root.name.to_string(), "trust root", &mut parsed);
        let problems = std::mem::take(&mut parsed.problems);
        let (asked, no_match) = no_match(&parsed);
        // Nobody has to name it for it to count.
        parsed.named.insert(asked);
        (Self::of(policies, revocations, roots, parsed, no_match), problems)
    }

    fn of(
        policies: Vec<Policy>,
        revocations: Vec<Revocation>,
        trust_roots: Vec<TrustRootObject>,
        parsed: Parsed,
        no_match: Option<NoMatch>,
    ) -> Self {
        let revocations = Revocations::new(revocations);
        let mut hasher = Hasher::new(Algorithm::Sha256);
        // Every part has one length, so no two lists of policies hash the same bytes.
        hasher.update(&(policies.len() as u64).to_be_bytes());
        policies.iter().for_each(|policy| hasher.update(policy.digest.hash()));
        revocations.digests().for_each(|digest| hasher.update(digest.hash()));
        // Of another length than any of the others.
        match no_match {
            None => {}
            Some(NoMatch::Deny) => hasher.update(b"deny"),
            Some(NoMatch::Warn) => hasher.update(b"warn"),
            Some(NoMatch::Allow) => hasher.update(b"allow"),
        }
        let index = Index::of(policies.iter().map(|policy| &policy.images[..]));
        let revision = hasher.finish();
        let (warnings, named) = (parsed.warnings, parsed.named);
        Self { policies, index, revocations, warnings, named, revision, trust_roots, no_match }
    }

    /// What becomes of an image at admission that no policy speaks of, where policy-controller's own configuration is
    /// beside the policies and says so.
    pub fn no_match(&self) -> Option<NoMatch> {
        self.no_match
    }

    /// The digest of what the policies and revocations mean, whatever the order of documents, keys and comments.
    pub fn revision(&self) -> Digest {
        self.revision
    }

    /// Whether an image is revoked by its digest, sha256: no policy lets it run, nor does an index that lists it.
    pub fn revokes(&self, image: &Digest) -> bool {
        self.revocations.of_image(image).is_some()
    }

    /// The digest of what the revocations say, whatever the policies do.
    pub fn revoked(&self) -> Digest {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        self.revocations.digests().for_each(|digest| hasher.update(digest.hash()));
        hasher.finish()
    }

    /// The policies' names, in order. That of a policy for one namespace begins with it and a slash.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.policies.iter().map(|policy| &*policy.name)
    }

    /// The revocations' names, in order.
    pub fn revocations(&self) -> impl Iterator<Item = &str> {
        self.revocations.names()
    }

    /// How many policies there are.
    pub fn len(&self) -> usize {
        self.policies.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// The policies that speak of an image when it is asked for by a request. A policy that matches by tag alone speaks
    /// of nothing that is pinned.
    pub fn matching<'a>(&'a self, name: &Name, version: &TagOrDigest, request: &'a Request) -> Matching<'a> {
        let places = self
            .index
            .matching(&name.at(version), |place| self.policies.get(place.policy)?.images.get(place.pattern));
        let policies = places.into_iter().filter_map(|policy| self.policies.get(policy));
        Matching::new(policies, request, &self.revocations)
    }

    /// Whether any verdict depends on more of a request than whether it is a pull: then
    /// [`Matching::distinction`] says how.
    pub fn reads_requests(&self) -> bool {
        self.policies.iter().any(Policy::reads_request)
    }

    /// The trust roots that are written beside the policies, of distinct names. They are not of the
    /// [revision](Self::revision), since what they come to may change while they do not.
    pub fn trust_root_objects(&self) -> &[TrustRootObject] {
        &self.trust_roots
    }

    /// The trust roots that policies name by `trustRootRef`, each once and in order.
    pub fn trust_roots(&self) -> impl Iterator<Item = &str> {
        let names: BTreeSet<&str> = self
            .roots()
            .filter_map(|root| match root {
                TrustRootRef::Named(name) => Some(&**name),
                TrustRootRef::Default | TrustRootRef::Authority(_) => None,
            })
            .collect();
        names.into_iter()
    }

    /// The certificate authorities that policies spell out, in PEM, each once and in order.
    pub fn authorities(&self) -> impl Iterator<Item = &str> {
        let texts: BTreeSet<&str> = self
            .roots()
            .filter_map(|root| match root {
                TrustRootRef::Authority(pem) => Some(&**pem),
                TrustRootRef::Default | TrustRootRef::Named(_) => None,
            })
            .collect();
        texts.into_iter()
    }

    fn roots(&self) -> impl Iterator<Item = &TrustRootRef> {
        let usable = self.policies.iter().filter(|policy| policy.unusable.is_none());
        let wanted = usable.flat_map(|policy| &policy.authorities).filter_map(|it| it.kind.wanted());
        wanted.flat_map(|wanted| &wanted.bases).flat_map(Basis::trust_roots)
    }

    /// What policies name and do not hold.
    pub fn externals(&self) -> impl Iterator<Item = &External> {
        self.named.iter()
    }

    /// What authors may not have meant, and which policies deny what they cover because they cannot be judged by.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The same, and what time makes odd at this moment, in seconds since 1970: exemptions that have ended, or that do not
    /// end within a year.
    pub fn warnings_at(&self, now: i64) -> Vec<Warning> {
        let dated = self.policies.iter().flat_map(|policy| {
            policy.exemptions.iter().enumerate().filter_map(move |(index, exemption)| {
                let why = exemption.oddity(now)?;
                let path = format!("spec.exemptions[{index}].expires");
                let (origin, policy) = (policy.origin.to_string(), policy.name.to_string());
                Some(Warning { origin, policy, message: format!("{path}: {why}") })
            })
        });
        self.warnings.iter().cloned().chain(dated).collect()
    }

    /// The policies that cannot be judged by, and so deny what they cover, and why.
    pub fn unusable(&self) -> impl Iterator<Item = (&str, &str)> {
        self.policies.iter().filter_map(|policy| Some((&*policy.name, policy.unusable.as_deref()?)))
    }
}

/// Complains where there is more than a set may have.
fn limit(parsed: &mut Parsed) {
    let last = |origin: Option<&String>| origin.cloned();
    for (count, limit, what, origin) in [
        (
            parsed.policies.len(),
            POLICY_LIMIT,
            "policies",
            last(parsed.policies.last().map(|(origin, _)| origin)),
        ),
        (
            parsed.revocations.len(),
            REVOCATION_LIMIT,
            "revocations",
            last(parsed.revocations.last().map(|(origin, _)| origin)),
        ),
    ] {
        if let Some(origin) = origin.filter(|_| count > limit) {
            parsed.wrong(&origin, None, format!("more than {limit} {what} in all"));
        }
    }
}

/// Complains of each object that takes the name of another. All of them bind all the same.
fn named_once<T>(
    objects: Vec<(String, T)>,
    name: impl Fn(&T) -> String,
    kind: &str,
    parsed: &mut Parsed,
) -> Vec<T> {
    let mut named: BTreeMap<String, Vec<(String, T)>> = BTreeMap::new();
    for (origin, object) in objects {
        named.entry(name(&object)).or_default().push((origin, object));
    }
    for (name, sharing) in &named {
        let mut origins = sharing.iter().map(|(origin, _)| origin);
        let first = origins.next().cloned().unwrap_or_default();
        for origin in origins {
            parsed.wrong(origin, Some(name.clone()), format!("another {kind} has this name, in {first}"));
        }
    }
    named.into_values().flatten().map(|(_, object)| object).collect()
}

#[cfg(test)]
mod tests;
