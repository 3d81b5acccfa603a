//! Answers that carry content. Each takes the permit that lets it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use policies::NoMatch;
use upstream::PageQuery;

use super::{Ground, Permit, Pull, conditional};
use crate::content::Known;
use crate::reply::{Body, header_value, names, whole};
use crate::verdicts::Source;

/// A stable name for the ground of a permit.
pub(super) fn reason(permit: &Permit) -> &'static str {
    match permit.ground() {
        Ground::Judged(allowed) => allowed.ground().as_str(),
        Ground::Descent(_) => "index-allowed",
        Ground::Artefact => "signature",
        Ground::ReferrersList => "referrers-list",
    }
}

/// A manifest, in exactly the bytes that were hashed.
pub(super) fn manifest(
    pull: &Pull<'_>,
    known: &Known,
    permit: Permit,
    source: Source,
    no_match: NoMatch,
) -> Response<Body> {
    if conditional::is_had(pull.headers, &known.head.entity_tag) {
        return not_modified(
            pull,
            known.head.digest.clone(),
            &known.head.entity_tag,
            permit,
            source,
            no_match,
        );
    }
    let bytes = known.content.bytes().clone();
    let length = bytes.len();
    let mut response = Response::new(if pull.head { whole("") } else { whole(bytes) });
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, known.head.media_type.clone());
    headers.insert(header::CONTENT_LENGTH, length.into());
    headers.insert(header::ETAG, known.head.entity_tag.clone());
    content_headers(headers, pull, known.head.digest.clone(), source);
    ground(headers, &permit, no_match);
    drop(permit);
    response
}

/// That the client has it already. It may still have it.
pub(super) fn not_modified(
    pull: &Pull<'_>,
    digest: HeaderValue,
    entity_tag: &HeaderValue,
    permit: Permit,
    source: Source,
    no_match: NoMatch,
) -> Response<Body> {
    let mut response = Response::new(whole(""));
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    headers.insert(header::ETAG, entity_tag.clone());
    content_headers(headers, pull, digest, source);
    ground(headers, &permit, no_match);
    drop(permit);
    response
}

/// A list of names.
pub(super) struct List {
    pub(super) media_type: &'static str,
    pub(super) bytes: Bytes,
    /// Where it goes on, as the upstream says.
    pub(super) next: Option<PageQuery>,
    /// Whether it is of one artifact type, because that was asked for.
    pub(super) filtered: bool,
}

/// A list. It needs no permit, since it opens nothing that it names.
pub(super) fn list(pull: &Pull<'_>, list: List) -> Response<Body> {
    let length = list.bytes.len();
    let mut response = Response::new(if pull.head { whole("") } else { whole(list.bytes) });
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(list.media_type));
    headers.insert(header::CONTENT_LENGTH, length.into());
    if let Some(next) = &list.next
        && let Ok(link) = HeaderValue::from_str(&pull.query.link(pull.path, next))
    {
        headers.insert(header::LINK, link);
    }
    if list.filtered {
        headers.insert(&names::FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
    }
    headers.insert(&names::REASON, HeaderValue::from_static("list"));
    shared_headers(headers, pull, Source::Registry);
    response
}

/// What every answer with content says of it.
pub(super) fn content_headers(headers: &mut HeaderMap, pull: &Pull<'_>, digest: HeaderValue, source: Source) {
    headers.insert(&names::CONTENT_DIGEST, digest);
    shared_headers(headers, pull, source);
}

fn shared_headers(headers: &mut HeaderMap, pull: &Pull<'_>, source: Source) {
    headers.insert(&names::CACHE, HeaderValue::from_static(source.as_str()));
    headers.insert(&names::DECISION, pull.decision.header());
    if let Some(namespace) = pull.query.namespace() {
        headers.insert(&names::NAMESPACE, header_value(namespace));
    }
}

/// Says that the tag which led here was taken for what it meant this long ago.
pub(super) fn mark_stale(response: &mut Response<Body>, age: Duration) {
    let headers = response.headers_mut();
    headers.insert(&names::STALE, age.as_secs().into());
    let text = "110 - \"the registry cannot be asked, this is what the tag last meant\"";
    headers.append(header::WARNING, HeaderValue::from_static(text));
}

/// Why it may be had, and what would have been denied.
pub(super) fn ground(headers: &mut HeaderMap, permit: &Permit, no_match: NoMatch) {
    headers.insert(&names::REASON, HeaderValue::from_static(reason(permit)));
    let (Ground::Judged(allowed) | Ground::Descent(allowed)) = permit.ground() else {
        return;
    };
    for failure in allowed.warnings() {
        let text = format!("299 - \"failed policy: {}\"", failure.policy);
        headers.append(header::WARNING, header_value(&text));
    }
    for exempted in allowed.exempted() {
        headers.append(
            header::WARNING,
            header_value(&format!("299 - \"exempted from policy: {}\"", exempted.policy)),
        );
    }
    if matches!((allowed.ground(), no_match), (policies::Ground::NoMatch, NoMatch::Warn)) {
        headers.append(header::WARNING, HeaderValue::from_static("299 - \"no matching policies\""));
    }
}
