//! What tags mean: believed for a while, and remembered for when their registry cannot be asked.

use std::sync::Arc;
use std::time::Duration;

use cache::{Beginning, Index, KeyBytes, Limits, Look, Memo, MemoStats, MemoryStats, Since};
use oci::{Digest, Name};
use serde::{Deserialize, Serialize};

use crate::clock::seconds_since_1970;
use crate::fleet::Fleet;

/// What a tag means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Resolved {
    /// The digest.
    pub digest: Digest,
    /// How long ago the registry said so, where it cannot be asked now. A tag that is believed for a while because it
    /// is fresh has none.
    pub stale: Option<Duration>,
}

/// For how long tags are believed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Beliefs {
    /// Without asking.
    pub(crate) fresh: Duration,
    /// When the registry cannot be asked; not at all without.
    pub(crate) stale: Option<Duration>,
}

/// A tag: its repository, and its name.
pub(crate) type TagKey = (Name, String);

/// What is known of tags.
pub(crate) struct Tags {
    beliefs: Beliefs,
    fresh: Memo<TagKey, Digest>,
    /// What each was last said to mean, across restarts.
    last: Memo<TagKey, Last>,
    /// Tags whose registry just failed to answer. It is not asked again at once: whoever pulls would have to wait
    /// until it fails again.
    resting: moka::sync::Cache<TagKey, ()>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Last {
    digest: Digest,
    /// In seconds since 1970.
    at: u64,
}

/// What a tag was lately said to mean.
pub(crate) struct Fresh {
    pub(crate) resolved: Resolved,
    /// Whether that is not believed for much longer: whoever uses it renews it.
    pub(crate) ends_soon: bool,
}

/// When it was asked what a tag means: what is purged from then on is not remembered.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    fresh: Since,
    last: Since,
}

/// How many tags are remembered.
const FRESH: Limits = Limits { bytes: 4 * 1024 * 1024, entries: 1 };
const LAST: Limits = Limits { bytes: 4 * 1024 * 1024, entries: 100_000 };

/// How many registries' failures are.
const RESTING: u64 = 100_000;

/// How exact it has to be known when a tag was last confirmed, in seconds: not every pull writes to disk.
const EXACTNESS: u64 = 60;

/// How long a registry that failed is not asked about the same tag.
const REST: Duration = Duration::from_secs(5);

impl Tags {
    /// Tags over these stores. The fleet, if there is one, shares what is fresh.
    pub(crate) fn new(index: &Arc<Index>, fleet: Option<&Fleet>, beliefs: Beliefs) -> Self {
        let fresh = match fleet {
            Some(fleet) => Memo::shared("tags", FRESH, None, fleet.conclusions("")),
            None => Memo::new("tags", FRESH, None),
        };
        let shared = fleet.map(|fleet| fleet.shared().clone());
        Self {
            beliefs,
            fresh,
            last: Memo::purged_with("last-tags", LAST, Some(index.clone()), shared),
            resting: moka::sync::Cache::builder().max_capacity(RESTING).time_to_live(REST).build(),
        }
    }

    /// What a tag was lately said to mean, if that is in memory.
    pub(crate) fn fresh_in_memory(&self, tag: &TagKey) -> Option<Fresh> {
        let (digest, left) = self.fresh.find_in_memory_with_end(tag)?;
        let ends_soon = left.is_some_and(|left| left < self.beliefs.fresh / 5);
        Some(Fresh { resolved: Resolved::now(digest), ends_soon })
    }

    /// For whoever asks now what a tag means.
    pub(crate) fn asked(&self, tag: &TagKey) -> Asked {
        Asked { fresh: self.fresh.since(tag), last: self.last.since(tag) }
    }

    /// The same, wherever that is known.
    pub(crate) async fn fresh(&self, tag: &TagKey) -> Option<Resolved> {
        if self.beliefs.fresh.is_zero() {
            return None;
        }
        self.fresh.find_shared(tag).await.map(Resolved::now)
    }

    /// What a tag last meant whose registry failed a moment ago.
    pub(crate) async fn resting(&self, tag: &TagKey) -> Option<Resolved> {
        self.resting.get(tag)?;
        self.stale(tag).await
    }

    /// What a tag last meant, if that was confirmed within the time for which it is believed.
    async fn stale(&self, tag: &TagKey) -> Option<Resolved> {
        let bound = self.beliefs.stale?;
        let last = self.last.find(tag).await?;
        let age = Duration::from_secs(seconds_since_1970().saturating_sub(last.at));
        (age <= bound).then_some(Resolved { digest: last.digest, stale: Some(age) })
    }

    /// The registry says what a tag means, about which it was asked then.
    pub(crate) async fn confirmed(&self, asked: Asked, tag: TagKey, digest: Digest) -> Resolved {
        if self.beliefs.stale.is_some() {
            let at = seconds_since_1970();
            let known = self.last.find_in_memory(&tag);
            let same =
                known.is_some_and(|last| last.digest == digest && at.saturating_sub(last.at) < EXACTNESS);
            if !same {
                self.last.keep_since(asked.last, tag.clone(), Last { digest, at }).await;
            }
            self.resting.invalidate(&tag);
        }
        if !self.beliefs.fresh.is_zero() {
            self.fresh.keep_for_since(asked.fresh, tag, digest, self.beliefs.fresh).await;
        }
        Resolved::now(digest)
    }

    /// The registry cannot say. What the tag last meant, where that is believed.
    pub(crate) async fn unconfirmed(&self, tag: &TagKey) -> Option<Resolved> {
        let stale = self.stale(tag).await?;
        self.resting.insert(tag.clone(), ());
        Some(stale)
    }

    /// The registry says that there is no such tag.
    pub(crate) async fn gone(&self, tag: &TagKey) {
        if self.beliefs.stale.is_some() {
            self.last.forget(tag).await;
        }
    }

    /// Forgets every tag of a repository, here and at every replica.
    pub(crate) async fn forget(&self, repository: &Name) {
        self.purge(Beginning::of(repository)).await;
    }

    /// Forgets every tag whose key begins so, here and at every replica. Says whether those that listen were told.
    pub(crate) async fn purge(&self, beginning: Beginning) -> bool {
        let told = self.fresh.purge(beginning.clone()).await;
        self.last.purge(beginning).await && told
    }

    /// The keys of tags that begin so: host, repository, tag.
    pub(crate) async fn keys_under(&self, beginning: Beginning) -> Vec<KeyBytes> {
        let mut keys = self.fresh.keys_under(beginning.clone()).await;
        let last = self.last.keys_under(beginning).await;
        keys.extend(last.into_iter().filter(|key| !keys.contains(key)).collect::<Vec<_>>());
        keys
    }

    /// What each tier has for a tag, be it what it lately meant or, on disk, what it last did.
    pub(crate) async fn look(&self, tag: &TagKey) -> Look<Digest> {
        let (fresh, last) = (self.fresh.look(tag).await, self.last.look(tag).await);
        let digest = |last: Last| last.digest;
        Look {
            memory: fresh.memory.or_else(|| last.memory.map(digest)),
            disk: last.disk.map(digest),
            ..fresh
        }
    }

    /// What is in memory of tags that are fresh.
    pub(crate) fn held(&self) -> MemoryStats {
        self.fresh.held()
    }

    /// Where it was found what tags mean.
    pub(crate) fn stats(&self) -> MemoStats {
        self.fresh.stats()
    }
}

impl Asked {
    /// How often tags had been purged: who asks after a purge shares no question from before it.
    pub(crate) fn purges(&self) -> u64 {
        self.fresh.purges() + self.last.purges()
    }
}

impl Resolved {
    fn now(digest: Digest) -> Self {
        Self { digest, stale: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag() -> TagKey {
        let reference: oci::Reference = "registry.example/acme/app".parse().unwrap();
        (reference.name().clone(), "v1".to_owned())
    }

    async fn age_of(last_said: u64, beliefs: Beliefs) -> Option<Duration> {
        let directory = tempfile::TempDir::new().unwrap();
        let tags = Tags::new(&Index::open(directory.path()).unwrap(), None, beliefs);
        let last = Last { digest: Digest::of(b"v1"), at: seconds_since_1970() - last_said };
        tags.last.keep(tag(), last).await;
        tags.unconfirmed(&tag()).await.and_then(|resolved| resolved.stale)
    }

    #[tokio::test]
    async fn a_tag_is_believed_for_as_long_as_is_configured_and_not_at_all_by_default() {
        let hour = Beliefs { stale: Some(Duration::from_secs(3600)), ..Beliefs::default() };
        assert!(age_of(1800, hour).await.is_some_and(|age| age >= Duration::from_secs(1800)));
        assert_eq!(age_of(3700, hour).await, None);
        assert_eq!(age_of(0, Beliefs::default()).await, None);
    }
}
