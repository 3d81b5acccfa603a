//! Whoever pulls by a right of their own, and shows it by logging in.

use http::Request;
use oci::Endpoint;
use upstream::FetchError;

use super::refusal::Refusal;
use crate::callers::{Caller, Callers};
use crate::content::ContentError;
use crate::login::{Login, ToldByLogin};
use crate::place::{Place, Upstreams};

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
            let (place, caller) = Caller::of(place, &username, &password);
            Ok((place, Some(caller)))
        }
        Some(Login::Basic { .. } | Login::Bearer(_)) | None => Err(Refusal::NoLogin),
    }
}

/// That the registry gives this caller what they ask for.
///
/// # Errors
/// Whatever it says instead.
pub(super) async fn prove(
    callers: &Callers,
    caller: Caller,
    place: &Place,
    asked: &Endpoint,
) -> Result<(), Refusal> {
    callers.prove(caller, place, asked).await.map_err(|error| match (error, asked) {
        (FetchError::NotFound, Endpoint::Blob(..)) => Refusal::UnknownBlob,
        (error, _) => ContentError::Fetch(error).into(),
    })
}

/// Whether a client has to be told that it may have to log in: most ask only once, before anything else.
pub(super) fn has_to_log_in<B>(upstreams: &Upstreams, request: &Request<B>) -> bool {
    upstreams.any_passes_through() && Login::shown(request.headers()).is_none()
}
