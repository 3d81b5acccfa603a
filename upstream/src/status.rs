//! What an answer other than success means.

use http::response::Parts;
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;

use crate::error::{FetchError, Outage};
use crate::retry_after::retry_after;

/// Who gave an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Voice {
    /// The registry, which knows what there is.
    Registry,
    /// The object store or content network that it redirected to, which does not: a registry that redirects has said
    /// that the content exists.
    Storage,
}

/// Passes an answer of status 200, and says what another one means.
pub(crate) fn check(answer: &Parts, voice: Voice) -> Result<(), FetchError> {
    let status = answer.status;
    if status == StatusCode::OK {
        return Ok(());
    }
    Err(match (status, voice) {
        (StatusCode::TOO_MANY_REQUESTS, _) => too_many_requests(&answer.headers),
        (_, Voice::Storage) => Outage::Status(status.as_u16()).into(),
        // Somebody else's page about a missing page: a proxy that lost its backend, a portal.
        (StatusCode::NOT_FOUND, Voice::Registry) if is_page(&answer.headers) => {
            Outage::Status(status.as_u16()).into()
        }
        (StatusCode::NOT_FOUND, Voice::Registry) => FetchError::NotFound,
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, Voice::Registry) => FetchError::Unauthorized,
        (status, Voice::Registry) if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
            Outage::Status(status.as_u16()).into()
        }
        (status, Voice::Registry) => FetchError::Refused(format!("status {}", status.as_u16())),
    })
}

pub(crate) fn too_many_requests(headers: &HeaderMap) -> FetchError {
    FetchError::TooManyRequests { retry_after: retry_after(headers, Timestamp::now()) }
}

/// Refuses content that was packed though it was asked for as it is.
pub(crate) fn check_encoding(headers: &HeaderMap) -> Result<(), FetchError> {
    let packed = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if packed {
        return Err(FetchError::Refused("content is encoded".to_owned()));
    }
    Ok(())
}

fn is_page(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(b"text/html"))
}
