//! Content, read through memory and disk: what a tag means, and what a manifest says.

mod remembered;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache::{
    Blobs, FlightStats, Flights, Forgets, Index, KeyBytes, Limits, Links, Memo, MemoStats, MemoryStats,
    Shared,
};
use http::HeaderValue;
use oci::{
    ArtefactLimits, Digest, InvalidManifest, MANIFEST_LIMIT, Manifest, MediaType, Name, Tag, TagOrDigest,
    Verified,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use upstream::FetchError;

use crate::fleet::Fleet;
use crate::place::Place;
use crate::renewals::Renewals;
use crate::reply::header_value;
use crate::undecided::with_causes;

/// A manifest that this repository is known to have.
#[derive(Debug)]
pub struct Known {
    /// Its bytes, under the digest they were asked for by.
    pub content: Verified,
    /// What they say.
    pub manifest: Manifest,
    /// The digest it is judged by: sha256, whatever it was asked for by.
    pub judged: Digest,
    /// Whether it is made of signatures alone.
    pub artefact: bool,
    /// What answers that carry it say of it.
    pub head: Head,
    /// When its links were last renewed, in seconds since 1970.
    linked_at: AtomicU64,
}

/// What every answer with a manifest says of it, ready to be sent.
#[derive(Clone, Debug)]
pub struct Head {
    /// Its media type.
    pub media_type: HeaderValue,
    /// Its digest.
    pub digest: HeaderValue,
}

/// How long links are believed to be there without looking, in seconds: less than they are kept for certain.
const LINKED_FOR: u64 = 60;

/// Why content could not be had.
#[derive(Clone, Debug, Error)]
pub enum ContentError {
    /// The upstream did not give it.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The upstream gave something that is no manifest.
    #[error(transparent)]
    Invalid(#[from] Arc<InvalidManifest>),
    /// It could not be kept.
    #[error("content could not be kept on disk")]
    Disk(#[source] Arc<std::io::Error>),
    /// The task that fetched it ended early.
    #[error("a task ended before its work was done")]
    Lost,
}

/// That a repository has a manifest, and as what it was sent.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Membership {
    media_type: Option<MediaType>,
}

type InRepository = (Name, Digest);
type TagKey = (Name, String);

/// Those who ask for the same tag share a question, unless something was purged since it was asked.
type QuestionKey = (TagKey, u64);

/// Manifests and tags, read through to the upstream where they are not at hand.
pub struct Content {
    blobs: Arc<Blobs>,
    links: Links,
    members: Memo<InRepository, Membership>,
    recent: moka::future::Cache<InRepository, Arc<Known>>,
    fetches: Flights<InRepository, Result<Arc<Known>, ContentError>>,
    tags: Memo<TagKey, Digest>,
    resolutions: Flights<QuestionKey, Result<Digest, ContentError>>,
    tag_freshness: Duration,
    renewals: Arc<Renewals>,
    /// What other replicas say of what belongs to what, and are told, is said through this.
    shared: Option<Arc<Shared>>,
    /// Who hears of purges besides.
    _forgetting: [Arc<dyn Forgets>; 2],
}

/// The most bytes of manifests that are held in memory.
const RECENT_BYTES: u64 = 16 * 1024 * 1024;

/// What is remembered of manifests and tags at most.
const MEMBERS: Limits = Limits { bytes: 8 * 1024 * 1024, entries: 100_000 };
const TAGS: Limits = Limits { bytes: 4 * 1024 * 1024, entries: 1 };

impl Content {
    /// Content over these stores. Bytes stay with whoever has them; the fleet, if there is one, shares what belongs to
    /// what.
    pub fn new(
        blobs: Arc<Blobs>,
        index: &Arc<Index>,
        fleet: Option<&Fleet>,
        tag_freshness: Duration,
        renewals: Arc<Renewals>,
    ) -> Arc<Self> {
        let (links, tags) = match fleet {
            Some(fleet) => (
                Links::shared(Some(index.clone()), fleet.shared().clone(), fleet.lifetime()),
                Memo::shared("tags", TAGS, None, fleet.conclusions("")),
            ),
            None => (Links::new(Some(index.clone())), Memo::new("tags", TAGS, None)),
        };
        let recent = moka::future::Cache::builder()
            .max_capacity(RECENT_BYTES)
            .weigher(|_, known: &Arc<Known>| u32::try_from(known.content.bytes().len()).unwrap_or(u32::MAX))
            .build();
        let shared = fleet.map(|fleet| fleet.shared().clone());
        let relinked: Arc<dyn Forgets> = Arc::new(remembered::Relinked(recent.clone()));
        let removed: Arc<dyn Forgets> = Arc::new(remembered::Removed(blobs.clone()));
        if let Some(shared) = &shared {
            shared.add(remembered::LINKS, Arc::downgrade(&relinked));
            shared.add(remembered::BLOBS, Arc::downgrade(&removed));
        }
        Arc::new(Self {
            blobs,
            links,
            members: Memo::purged_with("members", MEMBERS, Some(index.clone()), shared.clone()),
            recent,
            fetches: Flights::new(),
            tags,
            resolutions: Flights::new(),
            tag_freshness,
            renewals,
            shared,
            _forgetting: [relinked, removed],
        })
    }

    /// Which child belongs to which manifest.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// Whether other replicas say what belongs to what.
    pub(crate) fn has_fleet(&self) -> bool {
        self.shared.is_some()
    }

    /// Where it was found which manifests repositories have and what tags mean.
    pub(crate) fn stats(&self) -> [(&'static str, MemoStats); 3] {
        [("members", self.members.stats()), ("tags", self.tags.stats()), ("links", self.links.stats())]
    }

    /// What is in memory of each.
    pub(crate) fn held(&self) -> [(&'static str, MemoryStats); 3] {
        [("members", self.members.held()), ("tags", self.tags.held()), ("links", self.links.held())]
    }

    /// What became of fetches of manifests, and of questions about tags.
    pub(crate) fn flights(&self) -> [(&'static str, FlightStats); 2] {
        [("manifest", self.fetches.stats()), ("tag", self.resolutions.stats())]
    }

    /// Bytes by digest.
    pub fn blobs(&self) -> &Arc<Blobs> {
        &self.blobs
    }

    /// Links what a manifest names to it, where that was not done lately.
    pub(crate) async fn link(&self, place: &Place, known: &Known) {
        let now = crate::clock::seconds_since_1970();
        if now.saturating_sub(known.linked_at.load(Ordering::Relaxed)) < LINKED_FOR {
            return;
        }
        let children: Vec<_> = known.manifest.children().map(|child| (child.digest, child.size)).collect();
        self.links.add(&scope(place), known.content.digest(), &children).await;
        known.linked_at.store(now, Ordering::Relaxed);
    }

    /// The digest that a tag means now. Asked upstream unless it was within the freshness window; all who ask at once
    /// share one request.
    ///
    /// # Errors
    /// Whatever the upstream says: a tag that cannot be resolved is never answered from the past.
    pub async fn resolve(self: &Arc<Self>, place: &Place, tag: &Tag) -> Result<Digest, ContentError> {
        let key = (place.name.clone(), tag.to_string());
        let (this, place, tag) = (self.clone(), place.clone(), tag.clone());
        if let Some((digest, left)) = self.tags.find_in_memory_with_end(&key) {
            if left.is_some_and(|left| left < self.tag_freshness / 5) {
                let renew = move || async move { drop(this.ask(place, tag).await) };
                self.renewals.begin(("tag", KeyBytes::of(&key)), None, renew);
            }
            return Ok(digest);
        }
        let purges = self.tags.since(&key).purges();
        let work = {
            let key = key.clone();
            move || async move {
                if !this.tag_freshness.is_zero()
                    && let Some(digest) = this.tags.find_shared(&key).await
                {
                    return Ok(digest);
                }
                this.ask(place, tag).await
            }
        };
        self.resolutions.run((key, purges), work).await.unwrap_or(Err(ContentError::Lost))
    }

    /// What the upstream says that a tag means.
    async fn ask(&self, place: Place, tag: Tag) -> Result<Digest, ContentError> {
        let key = (place.name.clone(), tag.to_string());
        let since = self.tags.since(&key);
        let digest = place.upstream.resolve(&place.name.repository, &tag).await?;
        if !self.tag_freshness.is_zero() {
            self.tags.keep_for_since(since, key, digest, self.tag_freshness).await;
        }
        Ok(digest)
    }

    /// A manifest of this repository, if it is in memory.
    pub async fn manifest_in_memory(&self, place: &Place, digest: Digest) -> Option<Arc<Known>> {
        self.recent.get(&(place.name.clone(), digest)).await
    }

    /// A manifest of this repository, without asking the upstream.
    pub async fn manifest_at_hand(&self, place: &Place, digest: Digest) -> Option<Arc<Known>> {
        let key = (place.name.clone(), digest);
        if let Some(known) = self.recent.get(&key).await {
            return Some(known);
        }
        let membership = self.members.find(&key).await?;
        let content = self.blobs.read(&digest, MANIFEST_LIMIT as u64).await.ok().flatten()?;
        let known = Arc::new(Known::read(content, membership.media_type.as_ref()).ok()?);
        self.recent.insert(key, known.clone()).await;
        Some(known)
    }

    /// A manifest of this repository. That other repositories have the same bytes does not matter: each must be
    /// seen to have them.
    ///
    /// # Errors
    /// As [`ContentError`] says; nothing is kept then.
    pub async fn manifest(
        self: &Arc<Self>,
        place: &Place,
        digest: Digest,
    ) -> Result<Arc<Known>, ContentError> {
        if let Some(known) = self.manifest_at_hand(place, digest).await {
            return Ok(known);
        }
        let key = (place.name.clone(), digest);
        let (this, place) = (self.clone(), place.clone());
        let work = move || async move {
            // Another fetch may have ended between the look and this one's beginning.
            if let Some(known) = this.manifest_at_hand(&place, digest).await {
                return Ok(known);
            }
            let fetched = this.fetch(&place, digest).await;
            if let Err(error) = &fetched {
                let error = with_causes(error);
                tracing::warn!(image = %place.name, %digest, %error, "a manifest could not be had");
            }
            fetched
        };
        self.fetches.run(key, work).await.unwrap_or(Err(ContentError::Lost))
    }

    async fn fetch(&self, place: &Place, digest: Digest) -> Result<Arc<Known>, ContentError> {
        let fetched = place.upstream.manifest(&place.name.repository, &TagOrDigest::Digest(digest)).await?;
        let known = Arc::new(Known::read(fetched.content, fetched.media_type.as_ref()).map_err(Arc::new)?);
        let disk = |error| ContentError::Disk(Arc::new(error));
        self.blobs.keep(&known.content).await.map_err(disk)?;
        self.link(place, &known).await;
        let key = (place.name.clone(), digest);
        self.members.keep(key.clone(), Membership { media_type: fetched.media_type }).await;
        self.recent.insert(key, known.clone()).await;
        Ok(known)
    }
}

/// What links are kept within: one repository of one upstream.
pub(crate) fn scope(place: &Place) -> cache::Scope {
    cache::Scope::new(&[
        b"default",
        place.name.host.as_str().as_bytes(),
        place.name.repository.as_str().as_bytes(),
    ])
}

impl Known {
    fn read(content: Verified, sent_as: Option<&MediaType>) -> Result<Self, InvalidManifest> {
        let manifest = Manifest::parse(&content, sent_as)?;
        let judged = match content.digest().algorithm() {
            oci::Algorithm::Sha256 => content.digest(),
            oci::Algorithm::Sha512 => Digest::of(content.bytes()),
        };
        let artefact = manifest.is_signature_artefact(ArtefactLimits::default());
        let head = Head {
            media_type: header_value(manifest.media_type().as_str()),
            digest: header_value(&content.digest().to_string()),
        };
        Ok(Self { content, manifest, judged, artefact, head, linked_at: AtomicU64::new(0) })
    }
}
