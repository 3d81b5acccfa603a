//! Forgetting: what was found, concluded and resolved; by this replica and by all others.
//!
//! Whatever is forgotten is found again by whoever needs it, and judged by the policies in force: a purge can allow
//! nothing. What may have been read before it is not kept after it.

use std::collections::BTreeSet;

use cache::Beginning;
use oci::Digest;
use serde::Serialize;
use thiserror::Error;

use super::{Memory, Subject};
use crate::content::scope;

/// What is forgotten.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    /// What is remembered of this.
    Of(Subject),
    /// What is remembered for the tenant whose memory this is.
    Tenant,
    /// That, and what cryptography says of signatures, which is nobody's in particular.
    All,
}

/// Why nothing was forgotten.
#[derive(Debug, Error)]
pub(crate) enum PurgeError {
    /// Bytes belong to whoever names them, which for a repository, a tag or a tenant is not known.
    #[error("bytes are removed of an image by digest, of a digest, or all of them")]
    WhoseBytes,
}

/// What was forgotten here. Other replicas have forgotten as much of their own.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Purged {
    lists: usize,
    verdicts: usize,
    tags: usize,
    links: usize,
    facts: usize,
    blobs: usize,
    /// Whether the replicas that listen were told. The others are told when they are back, as are all when Redis is.
    told: bool,
}

impl Purged {
    /// Nothing, and everybody was told.
    pub(crate) fn nothing() -> Self {
        Self { told: true, ..Self::default() }
    }

    /// What was forgotten of several.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            lists: self.lists + other.lists,
            verdicts: self.verdicts + other.verdicts,
            tags: self.tags + other.tags,
            links: self.links + other.links,
            facts: self.facts + other.facts,
            blobs: self.blobs + other.blobs,
            told: self.told && other.told,
        }
    }
}

/// How the keys of each table begin that are forgotten.
struct Beginnings {
    /// Of lists, verdicts, and manifests that repositories are known to have.
    images: Option<Beginning>,
    tags: Option<Beginning>,
    links: Option<Beginning>,
    facts: Option<Beginning>,
}

impl Memory {
    /// Forgets this, everywhere; and its bytes, if that is asked for.
    pub(crate) async fn purge(&self, target: Target, bytes: bool) -> Result<Purged, PurgeError> {
        let target = match target {
            Target::Of(subject) => Target::Of(subject.canonical(&self.upstreams)),
            Target::Tenant | Target::All => target,
        };
        let doomed = if bytes { Some(self.bytes_of(&target).await?) } else { None };
        let beginnings = self.beginnings(&target).await;
        tracing::info!(?target, bytes, "an operator purges");
        let mut purged = self.forget(beginnings, bytes).await;
        for digest in doomed.into_iter().flatten() {
            let (blobs, told) = self.content.purge_bytes(digest).await;
            purged.blobs += blobs;
            purged.told &= told;
            if let Some(digest) = digest {
                purged.told &= self.verdicts.materials().purge_bytes(&digest).await;
            }
        }
        Ok(purged)
    }

    async fn forget(&self, beginnings: Beginnings, bytes: bool) -> Purged {
        let (verdicts, materials, content) = (&self.verdicts, self.verdicts.materials(), &self.content);
        let mut purged = Purged::nothing();
        if let Some(facts) = beginnings.facts {
            purged.facts = verdicts.facts_under(facts.clone()).await.len();
            purged.told &= verdicts.purge_facts(facts).await;
        }
        if let Some(links) = beginnings.links {
            purged.links = content.links().keys_under(links.clone()).await.len();
            purged.told &= content.purge_links(links).await;
        }
        if let Some(tags) = beginnings.tags {
            purged.tags = content.tags_under(tags.clone()).await.len();
            purged.told &= content.purge_tags(tags).await;
        }
        if let Some(images) = beginnings.images {
            purged.lists = materials.lists_under(images.clone()).await.len();
            purged.told &= materials.purge(images.clone()).await;
            if bytes {
                purged.told &= content.purge_members(images.clone()).await;
            }
            // The last: none that is kept from now on rests on what was forgotten before.
            purged.verdicts = verdicts.remembered_under(&images).len();
            purged.told &= verdicts.purge(images).await;
        }
        purged
    }

    async fn beginnings(&self, target: &Target) -> Beginnings {
        let all = || Some(Beginning::of_all());
        match target {
            Target::All => Beginnings { images: all(), tags: all(), links: all(), facts: all() },
            Target::Tenant => Beginnings { images: all(), tags: all(), links: all(), facts: None },
            Target::Of(Subject::Tag(name, tag)) => {
                let tags = Some(Beginning::of(name).then(&tag.to_string()));
                let meant = self.content.look_at_tag(name, tag.as_str()).await;
                let meant = meant.memory.or(meant.disk).or(meant.shared);
                let images = meant.map(|digest| Beginning::of(name).then(&digest));
                Beginnings { images, tags, links: None, facts: None }
            }
            Target::Of(subject @ Subject::Repository(name)) => Beginnings {
                images: subject.beginning(),
                tags: Some(Beginning::of(name)),
                links: self.upstreams.place(name).map(|place| Beginning::of(&scope(&place))),
                facts: None,
            },
            // Its layers keep their links, which say no more than its manifest does.
            Target::Of(subject @ Subject::Image(name, digest)) => Beginnings {
                images: subject.beginning(),
                tags: Some(Beginning::of(name)),
                links: self.upstreams.place(name).map(|place| Beginning::of(&scope(&place)).then(digest)),
                facts: None,
            },
            Target::Of(subject @ Subject::Digest(digest)) => Beginnings {
                images: subject.beginning(),
                tags: all(),
                links: Some(Beginning::of_all().then_any().then(digest)),
                facts: None,
            },
        }
    }

    /// The digests whose bytes are removed; `None` among them is all bytes.
    async fn bytes_of(&self, target: &Target) -> Result<BTreeSet<Option<Digest>>, PurgeError> {
        match target {
            Target::All => Ok([None].into()),
            Target::Of(Subject::Digest(digest)) => Ok([Some(*digest)].into()),
            Target::Of(Subject::Image(name, digest)) => {
                let mut digests = BTreeSet::from([Some(*digest)]);
                if let Some(place) = self.upstreams.place(name)
                    && let Some(known) = self.content.manifest_at_hand(&place, *digest).await
                {
                    digests.extend(known.manifest.children().map(|child| Some(child.digest)));
                }
                for key in self.verdicts.materials().lists_under(Beginning::of(name).then(digest)).await {
                    let prefix = key.fields().nth(3).map(String::from_utf8_lossy).unwrap_or_default();
                    let look = self.verdicts.materials().look(name, *digest, &prefix).await;
                    let lists = [look.memory, look.disk, look.shared].into_iter().flatten();
                    digests.extend(lists.flat_map(|list| list.materials).map(Some));
                }
                Ok(digests)
            }
            Target::Tenant | Target::Of(Subject::Repository(_) | Subject::Tag(..)) => {
                Err(PurgeError::WhoseBytes)
            }
        }
    }
}
