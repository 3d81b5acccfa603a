//! What speaks of one image.

use std::collections::BTreeSet;

use crate::facts::Basis;
use crate::policy::Policy;

/// The policies that speak of one image. All of them bind.
#[derive(Clone, Debug)]
pub struct Matching<'a>(Vec<&'a Policy>);

impl<'a> Matching<'a> {
    /// Of these policies, in order of name.
    pub(crate) fn new(policies: Vec<&'a Policy>) -> Self {
        Self(policies)
    }

    /// Whether no policy speaks of it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What evidence must rest on for [`judge`](crate::judge()) to decide: each basis once, and none where
    /// nothing but static authorities has a say.
    pub fn bases(&self) -> Vec<Basis> {
        let authorities = self.0.iter().flat_map(|policy| &policy.authorities);
        let bases: BTreeSet<&Basis> = authorities.flat_map(|authority| authority.kind.bases()).collect();
        bases.into_iter().cloned().collect()
    }

    /// The policies' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|policy| &*policy.name)
    }

    /// The policies, in order of name.
    pub(crate) fn policies(&self) -> impl Iterator<Item = &'a Policy> + '_ {
        self.0.iter().copied()
    }
}
