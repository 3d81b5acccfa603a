//! What is known of the signatures of an image: found in its registry, and kept.

mod remembered;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cache::{FlightStats, Flights, Holdings, Index, Lease, Limits, Memo, MemoStats, MemoryStats};
use oci::{Digest, Name, Verified};
use serde::{Deserialize, Serialize};
use verify::Material;

use crate::fleet::Fleet;
use crate::metrics::Metrics;
use crate::phase::Phase;
use crate::place::Place;
use crate::search::search;
use crate::undecided::{Undecided, with_causes};

/// What was found for one digest in one repository, and when.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MaterialList {
    /// The material, by digest, in the order in which the registry lists it.
    pub materials: Vec<Digest>,
    /// Seconds since 1970.
    pub found_at: u64,
    /// What kept more from being looked at, if something did.
    #[serde(default)]
    pub beyond: Option<String>,
}

impl MaterialList {
    /// Whether this is too old to say no by. What claims to be of a future that no clock here can be in is no better.
    pub fn is_stale(&self, now: u64, fresh: Duration) -> bool {
        now.abs_diff(self.found_at) > fresh.as_secs()
    }

    /// How much longer it may be believed to be all there is.
    pub(crate) fn remaining(&self, now: u64, fresh: Duration) -> Duration {
        fresh.saturating_sub(Duration::from_secs(now.saturating_sub(self.found_at)))
    }
}

/// A list, and whether the registry was asked for it just now.
#[derive(Clone, Debug)]
pub struct Found {
    /// The list.
    pub list: Arc<MaterialList>,
    /// Whether it came from the registry rather than from memory.
    pub discovered: bool,
}

/// Which lists will do for whoever asks the registry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Demand {
    /// Any that is remembered: nothing was, a moment ago.
    Any,
    /// One that a denial can rest on.
    Fresh,
    /// One that was found just now: for whoever renews what will soon be too old, as others do at the same time.
    Recent,
    /// One that was found after this was asked.
    New,
    /// One that is found by this replica itself: what another found names material that is not at hand here.
    Own,
}

impl Demand {
    fn takes(self, list: &MaterialList, asked: u64, fresh: Duration) -> bool {
        match self {
            Self::Any => true,
            Self::Fresh => !list.is_stale(asked, fresh),
            Self::Recent => !list.is_stale(asked, fresh / 3),
            Self::New => list.found_at >= asked,
            Self::Own => false,
        }
    }
}

/// Where the material of an image is looked for.
#[derive(Clone)]
pub struct Spot {
    /// The repository.
    pub place: Place,
    /// The image.
    pub digest: Digest,
    /// What the names of cosign's tags begin with, if with anything.
    pub tag_prefix: Option<Arc<str>>,
}

type ListKey = (Name, Digest, String);

/// Those who demand the same share a discovery, unless something was purged since it was begun.
type DiscoveryKey = (ListKey, u64, u64);

impl Spot {
    fn key(&self) -> ListKey {
        (self.place.name.clone(), self.digest, self.tag_prefix.as_deref().unwrap_or_default().to_owned())
    }
}

/// Material lists and the material itself, found in registries and kept.
pub struct Materials {
    blobs: Arc<Holdings>,
    lists: Memo<ListKey, MaterialList>,
    discoveries: Flights<DiscoveryKey, Result<Found, Undecided>>,
    fleet: Option<FromFleet>,
    fresh: Duration,
    metrics: Arc<Metrics>,
}

/// What other replicas leave, and are left.
struct FromFleet {
    /// Material in base64, by digest.
    bytes: Memo<Digest, String>,
    /// The right to ask a registry.
    lease: Lease,
}

/// The name of the table of lists, and how many there are.
const LISTS: (&str, Limits) = ("material-lists", Limits { bytes: 4 * 1024 * 1024, entries: 100_000 });

/// What comes from the fleet goes to disk at once, and is not held in memory besides.
const BYTES: (&str, Limits) = ("material", Limits { bytes: 1, entries: 1 });

impl Materials {
    /// Material kept in these stores, and shared with the fleet if there is one. For `fresh` it is believed that an image
    /// has no more than was found.
    pub fn new(
        blobs: Arc<Holdings>,
        index: &Arc<Index>,
        fleet: Option<&Fleet>,
        fresh: Duration,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let index = Some(index.clone());
        let lists = match fleet {
            Some(fleet) => Memo::shared(LISTS.0, LISTS.1, index, fleet.lists()),
            None => Memo::new(LISTS.0, LISTS.1, index),
        };
        let fleet = fleet.map(|fleet| FromFleet {
            bytes: Memo::shared(BYTES.0, BYTES.1, None, fleet.material()),
            lease: fleet.discoveries(),
        });
        Arc::new(Self { blobs, lists, discoveries: Flights::new(), fleet, fresh, metrics })
    }

    /// What is known of a digest, from memory or else from the registry.
    pub async fn find(self: &Arc<Self>, spot: &Spot) -> Result<Found, Undecided> {
        match self.lists.find(&spot.key()).await {
            Some(list) => Ok(Found { list: Arc::new(list), discovered: false }),
            None => self.discover(spot, Demand::Any).await,
        }
    }

    /// What the registry says now, to this replica or to another. All who ask at once share one discovery, which no
    /// client's leaving ends.
    pub async fn discover(self: &Arc<Self>, spot: &Spot, demand: Demand) -> Result<Found, Undecided> {
        let (this, spot_asked) = (self.clone(), spot.clone());
        let asked = crate::clock::seconds_since_1970();
        let work = move || async move {
            let spot = spot_asked;
            // Another discovery may have ended between the look and this one's beginning.
            if let Some(list) = this.lists.find(&spot.key()).await
                && demand.takes(&list, asked, this.fresh)
            {
                return Ok(Found { list: Arc::new(list), discovered: false });
            }
            match &this.fleet {
                None => this.ask(&spot).await,
                Some(fleet) => {
                    let look = || this.told(&spot, demand, asked);
                    fleet.lease.run(&spot.key(), look, || this.ask(&spot)).await
                }
            }
        };
        let purges = self.lists.since(&spot.key()).purges();
        Phase::Discover.wait(self.discoveries.run((spot.key(), demand as u64, purges), work)).await?
    }

    /// What another replica found since.
    async fn told(&self, spot: &Spot, demand: Demand, asked: u64) -> Option<Result<Found, Undecided>> {
        let list = self.lists.find_shared(&spot.key()).await?;
        demand.takes(&list, asked, self.fresh).then(|| Ok(Found { list: Arc::new(list), discovered: false }))
    }

    /// One piece of material that a list names, if it is still kept whole, here or by the fleet.
    pub async fn read(&self, digest: Digest) -> Option<Material> {
        let content = match self.kept(digest).await {
            Some(content) => content,
            None => self.read_from_fleet(digest).await?,
        };
        Material::decode(content.bytes()).ok()
    }

    /// The bytes of this digest, if they are kept here.
    async fn kept(&self, digest: Digest) -> Option<Verified> {
        self.blobs.read(&digest, Material::ENCODED_LIMIT).await.ok().flatten()
    }

    /// The bytes of this digest, whatever else somebody put in their place.
    async fn read_from_fleet(&self, digest: Digest) -> Option<Verified> {
        let encoded = self.fleet.as_ref()?.bytes.find(&digest).await?;
        let content = Verified::check(digest, STANDARD.decode(encoded).ok()?.into()).ok()?;
        self.blobs.keep(&content).await;
        Some(content)
    }

    /// Forgets a list that names material which is gone, so that it is discovered again.
    pub async fn forget(&self, spot: &Spot) {
        self.lists.forget(&spot.key()).await;
    }

    /// How long a list is believed to be all there is.
    pub(crate) fn fresh(&self) -> Duration {
        self.fresh
    }

    /// Where lists were found, and what became of discoveries.
    pub fn stats(&self) -> (MemoStats, FlightStats) {
        (self.lists.stats(), self.discoveries.stats())
    }

    /// What is in memory of lists.
    pub fn held(&self) -> MemoryStats {
        self.lists.held()
    }

    /// What the registry says now, to this replica.
    async fn ask(&self, spot: &Spot) -> Result<Found, Undecided> {
        let outcome = Phase::Discover.time(self.fetch(spot)).await;
        self.metrics.discovery(&outcome);
        if let Err(undecided) = &outcome {
            let (image, digest, error) = (&spot.place.name, &spot.digest, with_causes(undecided));
            tracing::warn!(%image, %digest, %error, "signatures could not be found out");
        }
        outcome.map(|list| Found { list, discovered: true })
    }

    async fn fetch(&self, spot: &Spot) -> Result<Arc<MaterialList>, Undecided> {
        let (since, found_at) = (self.lists.since(&spot.key()), crate::clock::seconds_since_1970());
        let found = search(spot).await?;
        let mut digests = Vec::with_capacity(found.materials.len());
        for material in found.materials {
            let content = Verified::of(material.encode());
            self.blobs.keep(&content).await;
            digests.push(content.digest());
            self.share(&content).await;
        }
        let beyond = found.beyond.map(|limit| limit.to_string());
        let list = MaterialList { materials: digests, found_at, beyond };
        if list.materials.is_empty() {
            self.lists.keep_for_since(since, spot.key(), list.clone(), self.fresh).await;
        } else {
            self.lists.keep_since(since, spot.key(), list.clone()).await;
        }
        Ok(Arc::new(list))
    }

    /// Leaves material to the fleet. What is large is discovered again by whoever needs it.
    async fn share(&self, content: &Verified) {
        if let Some(fleet) = &self.fleet
            && content.bytes().len() < cache::MAX_VALUE / 4 * 3
        {
            fleet.bytes.keep(content.digest(), STANDARD.encode(content.bytes())).await;
        }
    }
}
