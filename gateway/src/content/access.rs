//! Access to what not everybody may read: proven by the registry, and believed for minutes.

use std::time::Duration;

use moka::sync::Cache;
use oci::{Digest, Name, TagOrDigest};
use upstream::FetchError;

use super::{Content, ContentError};
use crate::place::Place;
use crate::undecided::with_causes;

/// The repositories that were lately given to us.
pub(super) struct Access {
    proven: Option<Cache<Name, ()>>,
}

/// How many repositories are remembered.
const REPOSITORIES: u64 = 100_000;

impl Access {
    /// Believed for so long; not at all, for no time.
    pub(super) fn believed(lasts: Duration) -> Self {
        let cache = |lasts| Cache::builder().max_capacity(REPOSITORIES).time_to_live(lasts).build();
        Self { proven: (!lasts.is_zero()).then(|| cache(lasts)) }
    }

    pub(super) fn is_proven(&self, repository: &Name) -> bool {
        self.proven.as_ref().is_some_and(|proven| proven.contains_key(repository))
    }

    pub(super) fn prove(&self, repository: &Name) {
        if let Some(proven) = &self.proven {
            proven.insert(repository.clone(), ());
        }
    }

    pub(super) fn forget(&self, repository: &Name) {
        if let Some(proven) = &self.proven {
            proven.invalidate(repository);
        }
    }
}

impl Content {
    /// That a registry which asks who we are still gives us this repository: it is asked for this manifest of it, unless it
    /// gave something lately. Where it cannot be asked, what is known stays available.
    ///
    /// # Errors
    /// That it refuses, or does not have it any more, which some registries say instead. What is known of the repository is
    /// forgotten then.
    pub(crate) async fn confirm(&self, place: &Place, manifest: Digest) -> Result<(), ContentError> {
        // What is not at hand is asked for anyway.
        if self.access.is_proven(&place.name) || self.manifest_at_hand(place, manifest).await.is_none() {
            return Ok(());
        }
        let asked = place.upstream.manifest(&place.name.repository, &TagOrDigest::Digest(manifest)).await;
        match asked {
            Ok(_) => {
                self.access.prove(&place.name);
                Ok(())
            }
            Err(error @ (FetchError::Unauthorized | FetchError::NotFound)) => {
                self.forget(place).await;
                Err(error.into())
            }
            Err(error) => {
                let error = with_causes(&error);
                tracing::warn!(image = %place.name, %error, "a registry could not be asked whether it still gives this");
                Ok(())
            }
        }
    }
}
