//! Content, read through memory and disk: what a tag means, and what a manifest says.

mod access;
mod known;
mod remembered;

use std::sync::Arc;
use std::time::Duration;

use cache::{
    Beginning, FlightStats, Flights, Forgets, Holdings, Index, KeyBytes, Limits, Links, Memo, MemoStats,
    MemoryStats, Shared,
};
use oci::{Digest, InvalidManifest, MANIFEST_LIMIT, MediaType, Name, Tag, TagOrDigest};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::Semaphore;
use upstream::FetchError;

use self::access::Access;
pub(crate) use self::known::Known;
use crate::fleet::Fleet;
use crate::phase::Phase;
use crate::place::Place;
use crate::renewals::Renewals;
use crate::tags::{Asked, Beliefs, Resolved, TagKey, Tags};
use crate::undecided::with_causes;

/// How long a pull may take at least before what it wants makes room for something else.
const PULL: Duration = Duration::from_secs(600);

/// Why content could not be had.
#[derive(Clone, Debug, Error)]
pub enum ContentError {
    /// The upstream did not give it.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The upstream gave something that is no manifest.
    #[error(transparent)]
    Invalid(#[from] Arc<InvalidManifest>),
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

/// Those who ask for the same tag share a question, unless something was purged since it was asked.
type QuestionKey = (TagKey, u64);

/// Manifests and tags, read through to the upstream where they are not at hand.
pub struct Content {
    blobs: Arc<Holdings>,
    links: Links,
    members: Memo<InRepository, Membership>,
    recent: moka::future::Cache<InRepository, Arc<Known>>,
    fetches: Flights<InRepository, Result<Arc<Known>, ContentError>>,
    tags: Tags,
    resolutions: Flights<QuestionKey, Result<Resolved, ContentError>>,
    renewals: Arc<Renewals>,
    access: Access,
    /// How many blobs arrive at once.
    arriving: Arc<Semaphore>,
    /// What other replicas say of what belongs to what, and are told, is said through this.
    shared: Option<Arc<Shared>>,
    /// Who hears of purges besides.
    _forgetting: [Arc<dyn Forgets>; 2],
}

/// The most bytes of manifests that are held in memory.
const RECENT_BYTES: u64 = 8 * 1024 * 1024;

/// What is remembered of manifests at most.
const MEMBERS: Limits = Limits { bytes: 8 * 1024 * 1024, entries: 100_000 };

impl Content {
    /// Content over these stores. Bytes stay with whoever has them; the fleet, if there is one, shares what belongs to
    /// what.
    pub(crate) fn new(
        blobs: Arc<Holdings>,
        index: &Arc<Index>,
        fleet: Option<&Fleet>,
        beliefs: Beliefs,
        access: Duration,
        arriving: Option<usize>,
        renewals: Arc<Renewals>,
    ) -> Arc<Self> {
        let links = match fleet {
            Some(fleet) => Links::shared(Some(index.clone()), fleet.shared().clone(), fleet.lifetime()),
            None => Links::new(Some(index.clone())),
        };
        let recent = moka::future::Cache::builder()
            .max_capacity(index.domain().bytes(RECENT_BYTES))
            .weigher(|_, known: &Arc<Known>| known.weight())
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
            tags: Tags::new(index, fleet, beliefs),
            resolutions: Flights::new(),
            renewals,
            access: Access::believed(access),
            arriving: Arc::new(Semaphore::new(arriving.unwrap_or(Semaphore::MAX_PERMITS))),
            shared,
            _forgetting: [relinked, removed],
        })
    }

    /// Which child belongs to which manifest.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// Turns of blobs that arrive.
    pub(crate) fn arriving(&self) -> &Arc<Semaphore> {
        &self.arriving
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
    pub fn blobs(&self) -> &Arc<Holdings> {
        &self.blobs
    }

    /// Links what a manifest names to it, where that was not done lately.
    pub(crate) async fn link(&self, place: &Place, known: &Known) {
        let now = crate::clock::seconds_since_1970();
        if known.is_linked(now) {
            return;
        }
        let children: Vec<_> = known.manifest.children().map(|child| (child.digest, child.size)).collect();
        self.links.add(&scope(place), known.content.digest(), &children).await;
        known.linked(now);
    }

    /// Notes that a pull of this manifest is under way: what it names is kept until that may be over. Says whether this
    /// was not noted lately.
    pub(crate) fn pulled(&self, known: &Known) -> bool {
        if !known.pulled() {
            return false;
        }
        self.blobs.pin(known.manifest.children().map(|child| child.digest), PULL);
        true
    }

    /// What a tag means. Asked upstream unless it was within the freshness window; all who ask at once share one
    /// request. Where the registry cannot be asked, what the tag last meant is given for as long as that is configured,
    /// and marked as such.
    ///
    /// # Errors
    /// Whatever the upstream says otherwise. Where it refuses access, what is known of the repository is forgotten.
    pub async fn resolve(self: &Arc<Self>, place: &Place, tag: &Tag) -> Result<Resolved, ContentError> {
        let key = (place.name.clone(), tag.to_string());
        let (this, place, tag) = (self.clone(), place.clone(), tag.clone());
        if let Some(fresh) = self.tags.fresh_in_memory(&key) {
            if fresh.ends_soon {
                let what = ("tag", KeyBytes::of(&key));
                let asked = self.tags.asked(&key);
                let renew = move || async move { drop(this.ask(&place, &tag, key, asked).await) };
                self.renewals.begin(what, None, renew);
            }
            return Ok(fresh.resolved);
        }
        let asked = self.tags.asked(&key);
        let work = {
            let key = key.clone();
            move || async move {
                if let Some(resolved) = this.tags.fresh(&key).await {
                    return Ok(resolved);
                }
                if let Some(resting) = this.tags.resting(&key).await {
                    return Ok(resting);
                }
                this.ask(&place, &tag, key, asked).await
            }
        };
        let resolving = Phase::Resolve.wait(self.resolutions.run((key, asked.purges()), work));
        let resolved = resolving.await.unwrap_or(Err(ContentError::Lost))?;
        if resolved.stale.is_some() {
            metrics::counter!("countersign_stale_tags_total").increment(1);
        }
        Ok(resolved)
    }

    /// The digest that a tag means now, never what it meant before.
    ///
    /// # Errors
    /// As [`Content::resolve`].
    pub async fn resolve_now(&self, place: &Place, tag: &Tag) -> Result<Digest, ContentError> {
        let resolving = place.upstream.resolve(&place.name.repository, tag);
        Ok(Phase::Resolve.wait(Phase::Resolve.time(resolving)).await?)
    }

    async fn ask(
        &self,
        place: &Place,
        tag: &Tag,
        key: TagKey,
        asked: Asked,
    ) -> Result<Resolved, ContentError> {
        let resolving = place.upstream.resolve(&place.name.repository, tag);
        let error = match Phase::Resolve.time(resolving).await {
            Ok(digest) => {
                self.access.prove(&place.name);
                return Ok(self.tags.confirmed(asked, key, digest).await);
            }
            Err(error) => error,
        };
        match &error {
            FetchError::Unavailable(_) | FetchError::TooManyRequests { .. } => {
                if let Some(stale) = self.tags.unconfirmed(&key).await {
                    let error = with_causes(&error);
                    tracing::warn!(image = %place.name, %tag, %error, "a tag is what it last meant");
                    return Ok(stale);
                }
            }
            FetchError::NotFound => self.tags.gone(&key).await,
            FetchError::Unauthorized => self.forget(place).await,
            FetchError::WrongContent(_) | FetchError::TooLarge { .. } | FetchError::Refused(_) => {}
        }
        Err(error.into())
    }

    /// Forgets what is known of a repository, because its registry gives it to us no more: what its tags mean, which
    /// manifests it has, and what those link to. Bytes stay; nobody is led to them by this repository.
    async fn forget(&self, place: &Place) {
        // What it does not give to one who pulls by a right of their own it may well give to others.
        if place.upstream.is_by_caller() {
            return;
        }
        self.access.forget(&place.name);
        // Anybody may ask for any repository: where nothing is known, there is nothing that the fleet has to be told.
        let of_it = Beginning::of(&place.name);
        if self.tags.keys_under(of_it.clone()).await.is_empty()
            && self.members.keys_under(of_it).await.is_empty()
        {
            return;
        }
        tracing::warn!(image = %place.name, "the registry refuses access, so what is known of this repository is forgotten");
        self.tags.forget(&place.name).await;
        self.members.purge(&KeyBytes::of(&place.name)).await;
        self.links.purge_scope(&scope(place)).await;
        for (key, _) in &self.recent {
            if key.0 == place.name {
                self.recent.invalidate(&*key).await;
            }
        }
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
            if let Err(ContentError::Fetch(FetchError::Unauthorized)) = &fetched {
                this.forget(&place).await;
            }
            if let Err(error) = &fetched {
                let error = with_causes(error);
                tracing::warn!(image = %place.name, %digest, %error, "a manifest could not be had");
            }
            fetched
        };
        Phase::Fetch.wait(self.fetches.run(key, work)).await.unwrap_or(Err(ContentError::Lost))
    }

    async fn fetch(&self, place: &Place, digest: Digest) -> Result<Arc<Known>, ContentError> {
        let version = TagOrDigest::Digest(digest);
        let fetching = place.upstream.manifest(&place.name.repository, &version);
        let fetched = Phase::Fetch.time(fetching).await?;
        self.access.prove(&place.name);
        let known = Arc::new(Known::read(fetched.content, fetched.media_type.as_ref()).map_err(Arc::new)?);
        self.blobs.keep(&known.content).await;
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
