//! From a request to its answer.

use std::io;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::{certificate, proposal, token};
use crate::authority::Authority;

/// How long a request may be, in bytes.
const LIMIT: usize = 1 << 20;

/// Why there is no answer but this.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// Nobody is known by the token.
    Unknown(&'static str),
    /// What is asked for cannot be given.
    Bad(&'static str),
    /// There is no such service.
    NoService,
}

/// Answers a request by the clock of this machine.
pub(super) async fn respond(
    authority: Arc<Authority>,
    request: Request<Incoming>,
) -> io::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, LIMIT).collect().await else {
        return Ok(text(StatusCode::PAYLOAD_TOO_LARGE, "the request is longer than 1 MiB or was cut off"));
    };
    let body = body.to_bytes();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?.as_secs();
    let answer = match (parts.method, parts.uri.path()) {
        (Method::POST, "/api/v2/signingCert") => certified(&authority, &parts.headers, &body, now),
        (Method::POST, "/api/v1/log/entries") => recorded(&authority, &body, now),
        (Method::POST, "/api/v2/log/entries") => recorded_in_second(&authority, &body, now),
        (Method::POST, "/api/v1/timestamp") => stamped(&authority, &body, now),
        _ => Err(Refusal::NoService),
    };
    Ok(answer.unwrap_or_else(|refusal| match refusal {
        Refusal::Unknown(why) => text(StatusCode::UNAUTHORIZED, why),
        Refusal::Bad(why) => text(StatusCode::BAD_REQUEST, why),
        Refusal::NoService => text(StatusCode::NOT_FOUND, "no such service"),
    }))
}

type Answer = Result<Response<Full<Bytes>>, Refusal>;

fn certified(authority: &Authority, headers: &HeaderMap, body: &[u8], now: u64) -> Answer {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = bearer.and_then(|value| value.strip_prefix("Bearer ")).ok_or(Refusal::Unknown("no token"))?;
    let holder = token::holder(token)?;
    let key = certificate::key_of(body, &holder.proves_with)?;
    let certificates = authority.certify(&key, &holder.identity, now);
    let chain = json!({"signedCertificateEmbeddedSct": {"chain": {"certificates": certificates}}});
    Ok(document(StatusCode::OK, &chain))
}

fn recorded(authority: &Authority, body: &[u8], now: u64) -> Answer {
    let (record, body) = proposal::first(body)?;
    let (name, entry) = authority.record(record, body, now);
    let mut answer = document(StatusCode::CREATED, &json!({&name: entry}));
    let location = HeaderValue::try_from(format!("/api/v1/log/entries/{name}"));
    let name = HeaderValue::try_from(name);
    answer.headers_mut().extend(name.ok().map(|name| (header::ETAG, name)));
    answer.headers_mut().extend(location.ok().map(|location| (header::LOCATION, location)));
    Ok(answer)
}

fn recorded_in_second(authority: &Authority, body: &[u8], now: u64) -> Answer {
    let (record, body) = proposal::second(body)?;
    Ok(document(StatusCode::CREATED, &authority.record_in_second(record, body, now)))
}

fn stamped(authority: &Authority, body: &[u8], now: u64) -> Answer {
    let stamp = authority.stamp(body, now).ok_or(Refusal::Bad("not a plain question about a SHA-256"))?;
    Ok(typed(StatusCode::CREATED, "application/timestamp-reply", stamp))
}

fn document(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    typed(status, "application/json", value.to_string())
}

fn text(status: StatusCode, why: &'static str) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", why)
}

fn typed(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
