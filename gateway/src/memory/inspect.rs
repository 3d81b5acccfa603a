//! What is remembered of an image, and which tier has it. Asking changes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cache::{Beginning, Look};
use oci::{Digest, Name};
use policies::{Finding, Signer, Verdict};
use serde::Serialize;

use super::{Memory, Subject, image_of, tiers};
use crate::clock::seconds_since_1970;
use crate::content::scope;
use crate::place::Place;

/// How many images are told of at once.
const IMAGES: usize = 100;

/// What is remembered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    images: Vec<Image>,
    /// How many more images there are than are told of.
    more: usize,
    tags: Vec<MeantByTag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    image: String,
    tenant: &'static str,
    lists: Vec<List>,
    signatures: Vec<Signature>,
    verdicts: Vec<Remembered>,
    parents: Vec<Parent>,
    /// Its manifest, if it is at hand.
    manifest: Option<Named>,
}

/// A list of signature material.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct List {
    /// What the names of the tags begin with that it was found by, if with anything.
    #[serde(skip_serializing_if = "String::is_empty")]
    tag_prefix: String,
    materials: Vec<Digest>,
    age_seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    beyond: Option<String>,
    tiers: Vec<&'static str>,
}

/// What cryptography says of one piece of material, on one basis.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Signature {
    material: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<Signer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flaw: Option<&'static str>,
    tiers: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Remembered {
    verdict: &'static str,
    reason: String,
    /// Whether the policies and trust roots that it was judged under are those in force: no other is answered by.
    in_force: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_in_seconds: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Parent {
    digest: Digest,
    tiers: Vec<&'static str>,
}

/// How much of what a manifest names is kept here.
#[derive(Debug, Serialize)]
struct Named {
    blobs: usize,
    held: usize,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct MeantByTag {
    tag: String,
    digest: Digest,
    tiers: Vec<&'static str>,
}

impl Report {
    /// Whether anything is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.images.iter().all(Image::is_empty) && self.tags.is_empty()
    }
}

impl Image {
    fn is_empty(&self) -> bool {
        self.lists.is_empty()
            && self.verdicts.is_empty()
            && self.parents.is_empty()
            && self.manifest.is_none()
    }
}

/// How much is in memory.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    tables: Vec<Table>,
}

#[derive(Debug, Serialize)]
struct Table {
    table: &'static str,
    entries: u64,
    bytes: u64,
    evictions: u64,
}

impl Memory {
    /// How much is in memory of each kind.
    pub(crate) fn summary(&self) -> Summary {
        let table = |(table, stats): (&'static str, cache::MemoryStats)| {
            let cache::MemoryStats { entries, bytes, evictions } = stats;
            Table { table, entries, bytes, evictions }
        };
        let all = self.verdicts.held().into_iter().chain(self.content.held());
        Summary { tables: all.map(table).collect() }
    }

    /// What is remembered of this.
    pub(crate) async fn inspect(&self, subject: Subject) -> Report {
        let subject = subject.canonical(&self.upstreams);
        let tags = self.tags(&subject).await;
        let mut images = self.images(&subject, &tags).await;
        let more = images.len().saturating_sub(IMAGES);
        images.truncate(IMAGES);
        let mut told = Vec::with_capacity(images.len());
        for (name, digest) in images {
            told.push(self.image(&name, digest).await);
        }
        Report { images: told, more, tags }
    }

    async fn tags(&self, subject: &Subject) -> Vec<MeantByTag> {
        let (name, wanted) = match subject {
            Subject::Repository(name) => (name, None),
            Subject::Image(name, digest) => (name, Some(*digest)),
            Subject::Tag(name, tag) => return Vec::from_iter(self.tag(name, tag.as_str()).await),
            Subject::Digest(_) => return Vec::new(),
        };
        let mut tags = Vec::new();
        for tag in self.content.tags_of(name).await.iter().take(IMAGES) {
            let meant = self.tag(name, tag).await;
            tags.extend(meant.filter(|meant| wanted.is_none_or(|wanted| wanted == meant.digest)));
        }
        tags
    }

    async fn tag(&self, name: &Name, tag: &str) -> Option<MeantByTag> {
        let look = self.content.look_at_tag(name, tag).await;
        let tiers = tiers_of(&look);
        Some(MeantByTag { tag: tag.to_owned(), digest: nearest(look)?, tiers })
    }

    /// The images that are spoken of, each once.
    async fn images(&self, subject: &Subject, tags: &[MeantByTag]) -> Vec<(Name, Digest)> {
        let beginning = match subject {
            // What only the fleet knows of is found by its name.
            Subject::Image(name, digest) => return vec![(name.clone(), *digest)],
            Subject::Tag(name, _) => {
                return tags.iter().map(|meant| (name.clone(), meant.digest)).collect();
            }
            Subject::Repository(_) | Subject::Digest(_) => subject.beginning().unwrap_or_default(),
        };
        let mut keys = self.verdicts.materials().lists_under(beginning.clone()).await;
        keys.extend(self.verdicts.remembered_under(&beginning));
        keys.extend(self.content.members_under(beginning).await);
        let images = keys.iter().filter_map(image_of);
        let sorted: BTreeSet<_> = images.map(|(name, digest)| (name.to_string(), digest, name)).collect();
        sorted.into_iter().map(|(_, digest, name)| (name, digest)).collect()
    }

    async fn image(&self, name: &Name, digest: Digest) -> Image {
        let lists = self.lists(name, digest).await;
        let mut signatures = Vec::new();
        let materials: BTreeSet<Digest> = lists.iter().flat_map(|list| &list.materials).copied().collect();
        for material in materials {
            signatures.extend(self.signatures(material).await);
        }
        let (parents, manifest) = match self.upstreams.place(name) {
            Some(place) => (self.parents(&place, digest).await, self.manifest(&place, digest).await),
            None => (Vec::new(), None),
        };
        let verdicts = self.remembered(name, digest);
        Image {
            image: format!("{name}@{digest}"),
            tenant: self.tenant,
            lists,
            signatures,
            verdicts,
            parents,
            manifest,
        }
    }

    async fn lists(&self, name: &Name, digest: Digest) -> Vec<List> {
        let materials = self.verdicts.materials();
        let keys = materials.lists_under(Beginning::of(name).then(&digest)).await;
        let prefix = |key: &cache::KeyBytes| String::from_utf8(key.fields().nth(3)?.to_vec()).ok();
        let mut prefixes: BTreeSet<String> = keys.iter().filter_map(prefix).collect();
        // The usual one may be known to the fleet alone.
        prefixes.insert(String::new());
        let mut lists = Vec::new();
        for tag_prefix in prefixes {
            let look = materials.look(name, digest, &tag_prefix).await;
            let tiers = tiers_of(&look);
            if let Some(list) = nearest(look) {
                let age_seconds = seconds_since_1970().saturating_sub(list.found_at);
                let (materials, beyond) = (list.materials, list.beyond);
                lists.push(List { tag_prefix, materials, age_seconds, beyond, tiers });
            }
        }
        lists
    }

    async fn signatures(&self, material: Digest) -> Vec<Signature> {
        let looks = self.verdicts.look_at_facts(material).await;
        let signature = |look: Look<Arc<policies::Facts>>| {
            let tiers = tiers_of(&look);
            let (signer, flaw) = match &nearest(look)?.finding {
                Finding::Signed(signature) => (Some(signature.signer.clone()), None),
                Finding::Flawed(flaw) => (None, Some(flaw.kind.as_str())),
            };
            Some(Signature { material, signer, flaw, tiers })
        };
        looks.into_iter().filter_map(signature).collect()
    }

    async fn parents(&self, place: &Place, digest: Digest) -> Vec<Parent> {
        let look = self.content.links().look(&scope(place), &digest).await;
        let has = |links: &Option<Arc<[cache::Link]>>, parent: Digest| {
            links.iter().flat_map(|links| links.iter()).any(|link| link.parent == parent)
        };
        let all = [&look.memory, &look.disk, &look.shared];
        let all = all.into_iter().flatten().flat_map(|links| links.iter().map(|link| link.parent));
        let parent = |digest| {
            let tiers = tiers(has(&look.memory, digest), has(&look.disk, digest), has(&look.shared, digest));
            Parent { digest, tiers }
        };
        all.collect::<BTreeSet<_>>().into_iter().map(parent).collect()
    }

    async fn manifest(&self, place: &Place, digest: Digest) -> Option<Named> {
        let known = self.content.manifest_at_hand(place, digest).await?;
        let named: BTreeSet<Digest> = known.manifest.children().map(|child| child.digest).collect();
        let held: Vec<u64> = named.iter().filter_map(|blob| self.content.blobs().size(blob)).collect();
        Some(Named { blobs: named.len(), held: held.len(), bytes: held.iter().sum() })
    }

    fn remembered(&self, name: &Name, digest: Digest) -> Vec<Remembered> {
        let left = |until: Instant| until.saturating_duration_since(Instant::now());
        let remembered = self.verdicts.remembered_of(name, digest).into_iter().map(|of| {
            let (verdict, reason) = match &*of.verdict {
                Verdict::Allow(allowed) => ("allow", allowed.ground().as_str()),
                Verdict::Deny(denial) => ("deny", denial.as_str()),
            };
            let ends_in_seconds = of.until.map(left).as_ref().map(Duration::as_secs);
            Remembered { verdict, reason: reason.to_owned(), in_force: of.in_force, ends_in_seconds }
        });
        remembered.collect()
    }
}

fn tiers_of<V>(look: &Look<V>) -> Vec<&'static str> {
    tiers(look.memory.is_some(), look.disk.is_some(), look.shared.is_some())
}

fn nearest<V>(look: Look<V>) -> Option<V> {
    look.memory.or(look.disk).or(look.shared)
}
