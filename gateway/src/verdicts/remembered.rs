//! Verdicts that are remembered, and what is remembered of facts, for whoever operates the gateway.

use std::sync::Arc;
use std::time::Instant;

use cache::{Beginning, KeyBytes, Look};
use oci::{Digest, Name};
use policies::{Facts, Verdict};

use super::{FactsKey, VERDICTS, Verdicts};
use crate::material::Materials;

/// A verdict that is remembered.
pub(crate) struct OfImage {
    pub(crate) verdict: Arc<Verdict>,
    /// Whether it was judged under the rules in force.
    pub(crate) in_force: bool,
    pub(crate) until: Option<Instant>,
}

impl Verdicts {
    /// Where material is found.
    pub(crate) fn materials(&self) -> &Arc<Materials> {
        &self.materials
    }

    /// The keys of verdicts that begin so: host, repository, digest, and what else they rest on.
    pub(crate) fn remembered_under(&self, beginning: &Beginning) -> Vec<KeyBytes> {
        self.remembered.under(beginning).iter().map(|(key, _)| KeyBytes::of(key)).collect()
    }

    /// The verdicts on one image.
    pub(crate) fn remembered_of(&self, name: &Name, digest: Digest) -> Vec<OfImage> {
        let revision = self.rules.load().revision();
        let now = Instant::now();
        let all = self.remembered.under(&Beginning::of(name).then(&digest));
        let holds = all.into_iter().filter(|(_, found)| found.until.is_none_or(|until| now < until));
        let of_image = holds.map(|(key, found)| OfImage {
            verdict: found.verdict,
            in_force: key.revision == revision,
            until: found.until,
        });
        of_image.collect()
    }

    /// Forgets verdicts, here and at every replica, also those that are under way.
    pub(crate) async fn purge(&self, beginning: Beginning) -> bool {
        match &self.shared {
            Some(shared) => {
                let shared = shared.clone();
                let told = tokio::spawn(async move { shared.purge(VERDICTS, &beginning).await });
                told.await.unwrap_or(false)
            }
            None => {
                cache::Forgets::forget_under(&*self.remembered, &beginning);
                true
            }
        }
    }

    /// The keys of facts that begin so: material, grounds, build.
    pub(crate) async fn facts_under(&self, beginning: Beginning) -> Vec<KeyBytes> {
        self.facts.keys_under(beginning).await
    }

    /// Forgets facts, here and at every replica.
    pub(crate) async fn purge_facts(&self, beginning: Beginning) -> bool {
        self.facts.purge(beginning).await
    }

    /// What each tier has of a piece of material, on every basis that memory or disk know of.
    pub(crate) async fn look_at_facts(&self, material: Digest) -> Vec<Look<Arc<Facts>>> {
        let mut looks = Vec::new();
        for key in self.facts_under(Beginning::of(&material)).await {
            if let Some(key) = facts_key(&key) {
                looks.push(self.facts.look(&key).await);
            }
        }
        looks
    }
}

pub(super) fn facts_key(key: &KeyBytes) -> Option<FactsKey> {
    let mut fields = key.fields();
    let mut digest = || Some(Digest::from_sha256(fields.next()?.try_into().ok()?));
    let (material, grounds) = (digest()?, digest()?);
    let build = std::str::from_utf8(fields.next()?).ok()?.to_owned();
    Some((material, grounds, build))
}
