//! What the replicas of a fleet share, and as what.

use std::sync::Arc;
use std::time::Duration;

use cache::{Domain, Index, Lease, LeaseTimes, Shared, Sharing, What};

use crate::config::{Redis, key_of};

/// How long lists of material, facts and links stay in the store that is shared.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Material itself stays a little longer, so that no list outlives what it names.
const MATERIAL_LIFETIME: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// The store that the replicas share their memory through.
#[derive(Clone, Debug)]
pub struct Fleet {
    shared: Arc<Shared>,
}

impl Fleet {
    /// Connects in the background: a store that is away delays nothing. Has to be called within a runtime.
    ///
    /// # Errors
    /// The key of the configuration that is wrong.
    pub fn connect(redis: &Redis, index: &Arc<Index>) -> anyhow::Result<Self> {
        let connected = Shared::connect(redis.settings()?, Some(index.clone()));
        let shared = connected.map_err(|error| {
            let key = key_of(&error);
            anyhow::Error::new(error).context(key)
        })?;
        Ok(Self { shared })
    }

    /// What another domain shares in it.
    pub(crate) fn within(&self, domain: Domain) -> Self {
        Self { shared: self.shared.within(domain) }
    }

    /// The store itself.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// How long links stay.
    pub(crate) fn lifetime(&self) -> Duration {
        LIFETIME
    }

    /// What is checked again by whoever finds it.
    pub(crate) fn lists<K: cache::Key>(&self) -> Sharing<K> {
        Sharing::new(self.shared.clone(), What::Material, LIFETIME)
    }

    /// Bytes that whoever finds them hashes.
    pub(crate) fn material<K: cache::Key>(&self) -> Sharing<K> {
        Sharing::new(self.shared.clone(), What::Material, MATERIAL_LIFETIME)
    }

    /// What is believed where its seal is whole, and was made by this build.
    pub(crate) fn conclusions<K: cache::Key>(&self, build: &str) -> Sharing<K> {
        Sharing::new(self.shared.clone(), What::Conclusions, LIFETIME).of_build(build)
    }

    /// The right to ask a registry for an image's signatures while the others wait.
    pub(crate) fn discoveries(&self) -> Lease {
        Lease::new(self.shared.clone(), "discovery", LeaseTimes::default())
    }
}
