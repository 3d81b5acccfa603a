//! Whoever asks by a right of their own: what they show us is proven by the registry, and believed for minutes.
//!
//! Nothing of a repository is told to anybody before the registry gave them something of it, not whether it is known here
//! either: whoever has not proven anything is answered after one question to the registry, whatever it is about. What they
//! show is kept nowhere, and known again by a fingerprint under a key of this process. While a request is under way,
//! and what it has begun, the registry is asked with it: that registry and no other.

use std::time::Duration;

use moka::sync::Cache;
use oci::Endpoint;
use upstream::{Credentials, FetchError};

use crate::login::Fingerprint;
use crate::place::Place;

/// Who was given something of which repository lately.
pub(crate) struct Callers {
    proven: Option<Cache<Fingerprint, ()>>,
}

/// Somebody who asks for what is in a repository by a right of their own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller(Fingerprint);

/// For how many callers and repositories that is remembered.
const PROVEN: u64 = 100_000;

impl Caller {
    /// Whoever shows this user name and password for what is in this place, and the place as they are given it.
    pub(crate) fn of(place: Place, username: &str, password: &str) -> (Place, Self) {
        let caller = Self(Fingerprint::for_repository(&place.name, username, password));
        (place.shown(Credentials::new(username, password)), caller)
    }
}

impl Callers {
    /// What is proven is believed for so long; not at all, for no time.
    pub(crate) fn believed(lasts: Duration) -> Self {
        let cache = |lasts| Cache::builder().max_capacity(PROVEN).time_to_live(lasts).build();
        Self { proven: (!lasts.is_zero()).then(|| cache(lasts)) }
    }

    /// That the registry gives this caller what they ask for, unless it gave them something of the repository lately.
    ///
    /// # Errors
    /// Whatever the registry says instead.
    pub(crate) async fn prove(
        &self,
        caller: Caller,
        place: &Place,
        asked: &Endpoint,
    ) -> Result<(), FetchError> {
        let repository = place.name.repository.clone();
        let path = match asked {
            Endpoint::Manifest(_, version) => Endpoint::Manifest(repository, version.clone()),
            Endpoint::Blob(_, digest) => Endpoint::Blob(repository, *digest),
            // The registry is asked for these each time.
            Endpoint::Base | Endpoint::Tags(_) | Endpoint::Referrers(..) => return Ok(()),
        };
        if self.proven.as_ref().is_some_and(|proven| proven.contains_key(&caller.0)) {
            return Ok(());
        }
        place.upstream.gives(&path).await?;
        if let Some(proven) = &self.proven {
            proven.insert(caller.0, ());
        }
        Ok(())
    }

    /// What was proven is doubted: the registry refused this caller since.
    pub(crate) fn doubt(&self, caller: Caller) {
        if let Some(proven) = &self.proven {
            proven.invalidate(&caller.0);
        }
    }
}
