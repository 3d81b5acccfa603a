//! What an operator may do: look at what is remembered, and have it forgotten.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use serde::{Deserialize, Serialize};

use super::access::Operator;
use crate::memory::{Memory, Subject, Target};
use crate::reply::{Body, text, whole};
use crate::undecided::with_causes;

/// `GET /cache?image=…` or `?digest=…`, or without either how much is remembered.
pub(super) const CACHE: &str = "/cache";

/// `GET /storage`: what is kept, and whose it is.
pub(super) const STORAGE: &str = "/storage";

/// `POST /purge` of one of `{"image": …}`, `{"digest": …}`, `{"tenant": …}` and `{"all": true}`, and `"bytes": true`.
pub(super) const PURGE: &str = "/purge";

/// The most bytes that are read of what an operator asks for, and how long that may take.
const LIMIT: usize = 16 * 1024;
const DEADLINE: Duration = Duration::from_secs(5);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Purge {
    image: Option<String>,
    digest: Option<String>,
    tenant: Option<String>,
    all: bool,
    bytes: bool,
}

/// Why something was not done, and the status that says so.
type Refusal = (StatusCode, String);

/// Answers an operator.
pub(super) async fn answer<B>(memory: &Memory, _: Operator, request: Request<B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes, Error: std::error::Error + Send + Sync + 'static>,
{
    let answered = match (request.uri().path(), request.method()) {
        (CACHE, &Method::GET) => look(memory, request.uri().query().unwrap_or_default()).await,
        (PURGE, &Method::POST) => purge(memory, request.into_body()).await,
        (STORAGE, &Method::GET) => Ok(json(StatusCode::OK, &memory.usage().await)),
        (CACHE | STORAGE, _) => Err((StatusCode::METHOD_NOT_ALLOWED, "only GET".to_owned())),
        (_, _) => Err((StatusCode::METHOD_NOT_ALLOWED, "only POST".to_owned())),
    };
    answered.unwrap_or_else(|(status, why)| text(status, why))
}

async fn look(memory: &Memory, query: &str) -> Result<Response<Body>, Refusal> {
    if query.is_empty() {
        return Ok(json(StatusCode::OK, &memory.summary()));
    }
    let report = memory.inspect(subject(query).map_err(wrong)?).await;
    Ok(json(if report.is_empty() { StatusCode::NOT_FOUND } else { StatusCode::OK }, &report))
}

fn subject(query: &str) -> Result<Subject, String> {
    let mut asked = HashMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_encoding::percent_decode_str(value).decode_utf8();
        let value = value.map_err(|_| format!("{key} is not UTF-8"))?.into_owned();
        if asked.insert(key, value).is_some() {
            return Err(format!("{key} is given twice"));
        }
    }
    let (image, digest) = (asked.remove("image"), asked.remove("digest"));
    match (image, digest, asked.is_empty()) {
        (Some(image), None, true) => of_image(&image),
        (None, Some(digest), true) => of_digest(&digest),
        _ => Err("one of image and digest is wanted".to_owned()),
    }
}

async fn purge<B>(memory: &Memory, body: B) -> Result<Response<Body>, Refusal>
where
    B: http_body::Body<Data = Bytes, Error: std::error::Error + Send + Sync + 'static>,
{
    let body = tokio::time::timeout(DEADLINE, Limited::new(body, LIMIT).collect()).await;
    let body =
        body.map_err(|_| (StatusCode::REQUEST_TIMEOUT, "the request did not come in time".to_owned()))?;
    let body = body.map_err(|error| (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()))?.to_bytes();
    let asked: Purge = serde_json::from_slice(&body).map_err(|error| wrong(error.to_string()))?;
    let bytes = asked.bytes;
    let target = target(asked).map_err(wrong)?;
    // Once begun it is finished, also when the operator does not wait for it.
    let memory = memory.clone();
    let purged = tokio::spawn(async move { memory.purge(target, bytes).await }).await;
    let purged = purged.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(json(StatusCode::OK, &purged.map_err(|error| wrong(error.to_string()))?))
}

fn target(asked: Purge) -> Result<Target, String> {
    match (asked.image, asked.digest, asked.tenant, asked.all) {
        (Some(image), None, None, false) => Ok(Target::Of(of_image(&image)?)),
        (None, Some(digest), None, false) => Ok(Target::Of(of_digest(&digest)?)),
        (None, None, Some(tenant), false) => Target::tenant(&tenant).map_err(|error| error.to_string()),
        (None, None, None, true) => Ok(Target::All),
        _ => Err("one of image, digest, tenant and all is wanted".to_owned()),
    }
}

fn of_image(image: &str) -> Result<Subject, String> {
    image.parse().map_err(|error| format!("{image:?}: {}", with_causes(&error)))
}

fn of_digest(digest: &str) -> Result<Subject, String> {
    Subject::of_digest(digest).map_err(|error| format!("{digest:?}: {}", with_causes(&error)))
}

fn wrong(why: String) -> Refusal {
    (StatusCode::BAD_REQUEST, why)
}

fn json(status: StatusCode, answer: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(answer) {
        Ok(body) => {
            let mut response = Response::new(whole(body));
            *response.status_mut() = status;
            let format = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, format);
            response
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_asked_about_and_named_as_it_should_be() {
        assert!(subject("image=ghcr.io%2Facme%2Fapp%3Av1").is_ok());
        for query in
            ["", "image=a&digest=b", "image=a&image=b", "imgae=a", "image=a&b=c", "image=%ff", "image="]
        {
            assert!(subject(query).is_err(), "{query:?}");
        }
    }

    #[test]
    fn one_thing_is_forgotten_and_only_a_tenant_that_there_is() {
        let target = |text: &str| target(serde_json::from_str(text).unwrap());
        assert_eq!(target(r#"{"all": true}"#), Ok(Target::All));
        assert_eq!(target(r#"{"tenant": "default", "bytes": true}"#), Ok(Target::Tenant));
        assert!(target(r#"{"image": "ghcr.io/acme/app"}"#).is_ok());
        for text in [
            "{}",
            r#"{"all": false}"#,
            r#"{"all": true, "image": "a"}"#,
            r#"{"tenant": "acme"}"#,
            r#"{"digest": "sha256:1"}"#,
            r#"{"image": "A"}"#,
        ] {
            assert!(target(text).is_err(), "{text}");
        }
    }
}
