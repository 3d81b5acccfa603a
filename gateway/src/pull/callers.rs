//! Whoever pulls by a right of their own: what they show us is proven by the registry, and believed for minutes.
//!
//! Nothing of a repository is told to anybody before the registry gave them something of it, not whether it is known here
//! either: whoever has not proven anything is answered after one question to the registry, whatever it is about. What they
//! show is kept nowhere, and known again by a fingerprint under a key of this process. While a request is under way,
//! and what it has begun, the registry is asked with it: that registry and no other.

use std::time::Duration;

use http::Request;
use moka::sync::Cache;
use oci::Endpoint;
use upstream::{Credentials, FetchError};

use super::refusal::Refusal;
use crate::content::ContentError;
use crate::login::{Fingerprint, Login, ToldByLogin};
use crate::place::{Place, Upstreams};

/// Who was given something of which repository lately.
pub(crate) struct Callers {
    proven: Option<Cache<Fingerprint, ()>>,
}

/// Somebody who pulls from a repository by a right of their own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller(Fingerprint);

/// For how many callers and repositories that is remembered.
const PROVEN: u64 = 100_000;

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
    pub(super) async fn prove(&self, caller: Caller, place: &Place, asked: &Endpoint) -> Result<(), Refusal> {
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
        match place.upstream.gives(&path).await {
            Ok(()) => {
                if let Some(proven) = &self.proven {
                    proven.insert(caller.0, ());
                }
                Ok(())
            }
            Err(FetchError::NotFound) if matches!(path, Endpoint::Blob(..)) => Err(Refusal::UnknownBlob),
            Err(error) => Err(ContentError::Fetch(error).into()),
        }
    }

    /// What was proven is doubted: the registry refused this caller since.
    pub(super) fn doubt(&self, caller: Caller) {
        if let Some(proven) = &self.proven {
            proven.invalidate(&caller.0);
        }
    }
}

/// The place as whoever sends this request is given it, and who that is, where it is given by a right of theirs.
///
/// # Errors
/// They show no such right.
pub(super) fn by_right<B>(
    upstreams: &Upstreams,
    place: Place,
    request: &Request<B>,
) -> Result<(Place, Option<Caller>), Refusal> {
    if !upstreams.passes_through(&place.name.host) {
        return Ok((place, None));
    }
    // What somebody logs in with here is no registry's business.
    let told_by_login = request.extensions().get::<ToldByLogin>().is_some();
    match Login::shown(request.headers()).filter(|_| !told_by_login) {
        Some(Login::Basic { username, password }) if !password.is_empty() => {
            let caller = Caller(Fingerprint::for_repository(&place.name, &username, &password));
            Ok((place.shown(Credentials::new(username, password)), Some(caller)))
        }
        Some(Login::Basic { .. } | Login::Bearer(_)) | None => Err(Refusal::NoLogin),
    }
}

/// Whether a client has to be told that it may have to log in: most ask only once, before anything else.
pub(super) fn has_to_log_in<B>(upstreams: &Upstreams, request: &Request<B>) -> bool {
    upstreams.any_passes_through() && Login::shown(request.headers()).is_none()
}
