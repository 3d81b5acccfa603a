//! What an operator may do: look at what is remembered, and have it forgotten.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use serde::{Deserialize, Serialize};

use super::access::Operator;
use crate::memory::{Memory, Purged, Subject, Target};
use crate::reply::{Body, text, whole};
use crate::tenants::{Tenant, Tenants};
use crate::undecided::with_causes;

/// `GET /cache?image=…` or `?digest=…`, or without either how much is remembered. Of which tenant, where there are some, says
/// `tenant=…`.
pub(super) const CACHE: &str = "/cache";

/// `GET /storage`: what is kept, and whose it is; of one tenant, where there are some, which `tenant=…` names.
pub(super) const STORAGE: &str = "/storage";

/// `GET /tenants`: what each of them uses.
pub(super) const TENANTS: &str = "/tenants";

/// `POST /purge` of one of `{"image": …}`, `{"digest": …}`, `{"tenant": …}` and `{"all": true}`, and `"bytes": true`. An image or
/// a digest is one tenant's, where there are some, and `"tenant"` says whose.
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
pub(super) async fn answer<B>(tenants: &Arc<Tenants>, _: Operator, request: Request<B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes, Error: std::error::Error + Send + Sync + 'static>,
{
    let answered = match (request.uri().path(), request.method()) {
        (CACHE, &Method::GET) => look(tenants, request.uri().query().unwrap_or_default()).await,
        (TENANTS, &Method::GET) => Ok(json(StatusCode::OK, &tenants.usage())),
        (PURGE, &Method::POST) => purge(tenants, request.into_body()).await,
        (STORAGE, &Method::GET) => kept(tenants, request.uri().query().unwrap_or_default()).await,
        (CACHE | STORAGE | TENANTS, _) => Err((StatusCode::METHOD_NOT_ALLOWED, "only GET".to_owned())),
        (_, _) => Err((StatusCode::METHOD_NOT_ALLOWED, "only POST".to_owned())),
    };
    answered.unwrap_or_else(|(status, why)| text(status, why))
}

async fn look(tenants: &Tenants, query: &str) -> Result<Response<Body>, Refusal> {
    let (tenant, subject) = looked_at(query).map_err(wrong)?;
    let memory = memory_of(tenants, tenant.as_deref()).await?;
    let Some(subject) = subject else { return Ok(json(StatusCode::OK, &memory.summary())) };
    let report = memory.inspect(subject).await;
    Ok(json(if report.is_empty() { StatusCode::NOT_FOUND } else { StatusCode::OK }, &report))
}

async fn kept(tenants: &Tenants, query: &str) -> Result<Response<Body>, Refusal> {
    let (tenant, subject) = looked_at(query).map_err(wrong)?;
    if subject.is_some() {
        return Err(wrong("what is kept is told of a whole tenant".to_owned()));
    }
    Ok(json(StatusCode::OK, &memory_of(tenants, tenant.as_deref()).await?.usage().await))
}

/// What a tenant remembers. There is no need to say which where there is one.
async fn memory_of(tenants: &Tenants, name: Option<&str>) -> Result<Memory, Refusal> {
    match (name, tenants.are_apart()) {
        (None | Some("default"), false) => Ok(tenants.everybody().memory()),
        (None, true) => Err(wrong("there are tenants: say whose with tenant".to_owned())),
        (Some(name), _) => {
            let tenant = tenants.named(name).ok_or_else(|| wrong(format!("there is no tenant {name:?}")))?;
            memory(tenants, &tenant).await
        }
    }
}

async fn memory(tenants: &Tenants, tenant: &Tenant) -> Result<Memory, Refusal> {
    let served = tenants.served(tenant).await;
    let served = served.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")))?;
    Ok(served.memory())
}

/// Whose memory is looked at, and what in it, if not all of it.
fn looked_at(query: &str) -> Result<(Option<String>, Option<Subject>), String> {
    let mut asked = HashMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_encoding::percent_decode_str(value).decode_utf8();
        let value = value.map_err(|_| format!("{key} is not UTF-8"))?.into_owned();
        if asked.insert(key, value).is_some() {
            return Err(format!("{key} is given twice"));
        }
    }
    let (image, digest, tenant) = (asked.remove("image"), asked.remove("digest"), asked.remove("tenant"));
    match (image, digest, asked.is_empty()) {
        (Some(image), None, true) => Ok((tenant, Some(of_image(&image)?))),
        (None, Some(digest), true) => Ok((tenant, Some(of_digest(&digest)?))),
        (None, None, true) => Ok((tenant, None)),
        _ => Err("one of image and digest is wanted".to_owned()),
    }
}

async fn purge<B>(tenants: &Arc<Tenants>, body: B) -> Result<Response<Body>, Refusal>
where
    B: http_body::Body<Data = Bytes, Error: std::error::Error + Send + Sync + 'static>,
{
    let body = tokio::time::timeout(DEADLINE, Limited::new(body, LIMIT).collect()).await;
    let body =
        body.map_err(|_| (StatusCode::REQUEST_TIMEOUT, "the request did not come in time".to_owned()))?;
    let body = body.map_err(|error| (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()))?.to_bytes();
    let asked: Purge = serde_json::from_slice(&body).map_err(|error| wrong(error.to_string()))?;
    let bytes = asked.bytes;
    let (whose, target) = target(asked).map_err(wrong)?;
    // Once begun it is finished, also when the operator does not wait for it.
    let tenants = tenants.clone();
    let purged =
        tokio::spawn(async move { carry_out(&tenants, whose.as_deref(), target, bytes).await }).await;
    let purged = purged.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(json(StatusCode::OK, &purged?))
}

async fn carry_out(
    tenants: &Tenants,
    whose: Option<&str>,
    target: Target,
    bytes: bool,
) -> Result<Purged, Refusal> {
    if target == Target::All && tenants.are_apart() {
        let mut all = Purged::nothing();
        for tenant in tenants.all() {
            let purged = memory(tenants, &tenant).await?.purge(Target::All, bytes).await;
            all = all.and(purged.map_err(|error| wrong(error.to_string()))?);
        }
        return Ok(all);
    }
    let purged = memory_of(tenants, whose).await?.purge(target, bytes).await;
    purged.map_err(|error| wrong(error.to_string()))
}

/// Whose memory is purged, and of what.
fn target(asked: Purge) -> Result<(Option<String>, Target), String> {
    match (asked.image, asked.digest, asked.tenant, asked.all) {
        (Some(image), None, tenant, false) => Ok((tenant, Target::Of(of_image(&image)?))),
        (None, Some(digest), tenant, false) => Ok((tenant, Target::Of(of_digest(&digest)?))),
        (None, None, Some(tenant), false) => Ok((Some(tenant), Target::Tenant)),
        (None, None, None, true) => Ok((None, Target::All)),
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
        let subject = |query: &str| looked_at(query);
        assert!(subject("image=ghcr.io%2Facme%2Fapp%3Av1").is_ok());
        assert_eq!(subject("tenant=acme"), Ok((Some("acme".to_owned()), None)));
        for query in ["image=a&digest=b", "image=a&image=b", "imgae=a", "image=a&b=c", "image=%ff", "image="]
        {
            assert!(subject(query).is_err(), "{query:?}");
        }
    }

    #[test]
    fn one_thing_is_forgotten_and_it_is_said_whose() {
        let target = |text: &str| target(serde_json::from_str(text).unwrap());
        assert_eq!(target(r#"{"all": true}"#), Ok((None, Target::All)));
        let tenant = target(r#"{"tenant": "default", "bytes": true}"#);
        assert_eq!(tenant, Ok((Some("default".to_owned()), Target::Tenant)));
        let of = target(r#"{"image": "ghcr.io/acme/app", "tenant": "acme"}"#).unwrap();
        assert_eq!(of.0.as_deref(), Some("acme"));
        assert!(target(r#"{"image": "ghcr.io/acme/app"}"#).is_ok());
        for text in [
            "{}",
            r#"{"all": false}"#,
            r#"{"all": true, "image": "a"}"#,
            r#"{"tenant": "acme", "all": true}"#,
            r#"{"digest": "sha256:1"}"#,
            r#"{"image": "A"}"#,
        ] {
            assert!(target(text).is_err(), "{text}");
        }
    }
}
