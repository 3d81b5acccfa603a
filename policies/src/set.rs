//! All policies in force, whole or not at all.

use std::collections::{BTreeMap, BTreeSet};

use oci::{Algorithm, Digest, Hasher, Name, TagOrDigest};

use crate::document::{Document, Parsed};
use crate::facts::{Basis, TrustRootRef};
use crate::index::Index;
use crate::matching::Matching;
use crate::policy::Policy;
use crate::problem::{LoadError, Warning};
use crate::trust_root_object::TrustRootObject;

/// The policies in force, at most 10,000 of them and of distinct names.
#[derive(Clone, Debug)]
pub struct PolicySet {
    /// In order of name.
    policies: Vec<Policy>,
    index: Index,
    warnings: Vec<Warning>,
    revision: Digest,
    trust_roots: Vec<TrustRootObject>,
}

/// How many policies a set may have.
const POLICY_LIMIT: usize = 10_000;

impl PolicySet {
    /// No policies: nothing matches.
    pub fn empty() -> Self {
        Self::of(Vec::new(), Vec::new())
    }

    /// Reads documents of `policy.sigstore.dev/v1beta1` or `v1alpha1` and kind `ClusterImagePolicy`.
    ///
    /// # Errors
    /// [`LoadError`] with everything that is wrong. A field that is unknown or not honoured here is wrong:
    /// were it ignored, the policy in force would be weaker than the one that was written.
    pub fn load<'a>(documents: impl IntoIterator<Item = Document<'a>>) -> Result<Self, LoadError> {
        let mut parsed = Parsed::default();
        for document in documents {
            parsed.read(document);
        }
        limit(&mut parsed);
        let policies = named_once(&mut parsed);
        if parsed.problems.is_empty() {
            Ok(Self { trust_roots: parsed.trust_roots, ..Self::of(policies, parsed.warnings) })
        } else {
            Err(LoadError::new(parsed.problems))
        }
    }

    fn of(policies: Vec<Policy>, warnings: Vec<Warning>) -> Self {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        // Every part has one length, so no two lists of policies hash the same bytes.
        policies.iter().for_each(|policy| hasher.update(policy.digest.hash()));
        let index = Index::of(policies.iter().map(|policy| &policy.images[..]));
        Self { policies, index, warnings, revision: hasher.finish(), trust_roots: Vec::new() }
    }

    /// The digest of what the policies mean, whatever the order of documents, keys and comments.
    pub fn revision(&self) -> Digest {
        self.revision
    }

    /// The policies' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.policies.iter().map(|policy| &*policy.name)
    }

    /// How many policies there are.
    pub fn len(&self) -> usize {
        self.policies.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// The policies that speak of an image. A policy that matches by tag alone speaks of nothing that is
    /// pinned.
    pub fn matching(&self, name: &Name, version: &TagOrDigest) -> Matching<'_> {
        let places = self
            .index
            .matching(&name.at(version), |place| self.policies.get(place.policy)?.images.get(place.pattern));
        Matching::new(places.into_iter().filter_map(|policy| self.policies.get(policy)).collect())
    }

    /// The trust roots that are written beside the policies, of distinct names. They are not of the
    /// [revision](Self::revision), since what they come to may change while they do not.
    pub fn trust_root_objects(&self) -> &[TrustRootObject] {
        &self.trust_roots
    }

    /// The trust roots that policies name by `trustRootRef`, each once and in order.
    pub fn trust_roots(&self) -> impl Iterator<Item = &str> {
        let authorities = self.policies.iter().flat_map(|policy| &policy.authorities);
        let bases = authorities.flat_map(|authority| authority.kind.bases());
        let names: BTreeSet<&str> = bases
            .flat_map(Basis::trust_roots)
            .filter_map(|root| match root {
                TrustRootRef::Named(name) => Some(&**name),
                TrustRootRef::Default => None,
            })
            .collect();
        names.into_iter()
    }

    /// What authors may not have meant.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

/// Complains where there is more than a set may have.
fn limit(parsed: &mut Parsed) {
    let Some((origin, _)) = parsed.policies.last() else {
        return;
    };
    let origin = origin.clone();
    if parsed.policies.len() > POLICY_LIMIT {
        parsed.wrong(&origin, None, format!("more than {POLICY_LIMIT} policies in all"));
    }
}

/// The policies in order of name, and a complaint for each that takes the name of another.
fn named_once(parsed: &mut Parsed) -> Vec<Policy> {
    let mut named: BTreeMap<_, (String, Policy)> = BTreeMap::new();
    for (origin, policy) in std::mem::take(&mut parsed.policies) {
        let name = policy.name.clone();
        match named.get(&name) {
            Some((first, _)) => {
                let message = format!("another policy has this name, in {first}");
                parsed.wrong(&origin, Some(name.to_string()), message);
            }
            None => {
                named.insert(name, (origin, policy));
            }
        }
    }
    named.into_values().map(|(_, policy)| policy).collect()
}

#[cfg(test)]
mod tests;
