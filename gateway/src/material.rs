//! What is known of the signatures of an image: found in its registry, and kept.

use std::sync::Arc;
use std::time::Duration;

use cache::{Blobs, Flights, Index, Memo};
use oci::{Digest, Name, Verified};
use serde::{Deserialize, Serialize};
use verify::Material;

use crate::metrics::Metrics;
use crate::place::Place;
use crate::search::search;
use crate::undecided::{Undecided, with_causes};

/// How long it is believed that an image has no signature, or none that helps.
pub(crate) const FRESH: Duration = Duration::from_secs(30);

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
    /// Whether this is too old to say no by.
    pub fn is_stale(&self, now: u64) -> bool {
        now.saturating_sub(self.found_at) > FRESH.as_secs()
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

impl Spot {
    fn key(&self) -> ListKey {
        (self.place.name.clone(), self.digest, self.tag_prefix.as_deref().unwrap_or_default().to_owned())
    }
}

/// Material lists and the material itself, found in registries and kept.
pub struct Materials {
    blobs: Arc<Blobs>,
    lists: Memo<ListKey, MaterialList>,
    discoveries: Flights<ListKey, Result<Arc<MaterialList>, Undecided>>,
    metrics: Arc<Metrics>,
}

impl Materials {
    /// Material kept in these stores.
    pub fn new(blobs: Arc<Blobs>, index: &Arc<Index>, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            blobs,
            lists: Memo::new("material-lists", cache::Limits { entries: 100_000 }, Some(index.clone())),
            discoveries: Flights::new(),
            metrics,
        })
    }

    /// What is known of a digest, from memory or else from the registry.
    pub async fn find(self: &Arc<Self>, spot: &Spot) -> Result<Found, Undecided> {
        match self.lists.find(&spot.key()).await {
            Some(list) => Ok(Found { list: Arc::new(list), discovered: false }),
            None => self.discover(spot).await,
        }
    }

    /// What the registry says now. All who ask at once share one discovery, which no client's leaving ends.
    pub async fn discover(self: &Arc<Self>, spot: &Spot) -> Result<Found, Undecided> {
        let (this, asked) = (self.clone(), spot.clone());
        let began = crate::clock::seconds_since_1970();
        let work = move || async move {
            // Another discovery may have ended between the look and this one's beginning.
            if let Some(list) = this.lists.find(&asked.key()).await
                && list.found_at >= began
            {
                return Ok(Arc::new(list));
            }
            let outcome = this.fetch(&asked).await;
            this.metrics.discovery(&outcome);
            if let Err(undecided) = &outcome {
                let (image, digest, error) = (&asked.place.name, &asked.digest, with_causes(undecided));
                tracing::warn!(%image, %digest, %error, "signatures could not be found out");
            }
            outcome
        };
        let list = self.discoveries.run(spot.key(), work).await??;
        Ok(Found { list, discovered: true })
    }

    /// One piece of material that a list names, if it is still kept whole.
    pub async fn read(&self, digest: Digest) -> Option<Material> {
        let content = self.blobs.read(&digest, Material::ENCODED_LIMIT).await.ok().flatten()?;
        Material::decode(content.bytes()).ok()
    }

    /// Forgets a list that names material which is gone, so that it is discovered again.
    pub async fn forget(&self, spot: &Spot) {
        self.lists.forget(&spot.key()).await;
    }

    async fn fetch(&self, spot: &Spot) -> Result<Arc<MaterialList>, Undecided> {
        let found_at = crate::clock::seconds_since_1970();
        let found = search(spot).await?;
        let mut digests = Vec::with_capacity(found.materials.len());
        for material in found.materials {
            let content = Verified::of(material.encode());
            self.blobs.keep(&content).await.map_err(|error| Undecided::Internal(error.to_string()))?;
            digests.push(content.digest());
        }
        let beyond = found.beyond.map(|limit| limit.to_string());
        let list = MaterialList { materials: digests, found_at, beyond };
        if list.materials.is_empty() {
            self.lists.keep_for(spot.key(), list.clone(), FRESH).await;
        } else {
            self.lists.keep(spot.key(), list.clone()).await;
        }
        Ok(Arc::new(list))
    }
}
