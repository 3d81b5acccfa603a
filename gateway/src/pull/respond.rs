//! Answers that carry content. Each takes the permit that lets it.

use http::{HeaderMap, HeaderValue, Response, header};
use policies::NoMatch;

use super::{Ground, Permit, Pull};
use crate::content::Known;
use crate::reply::{Body, header_value, whole};
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
    let bytes = known.content.bytes().clone();
    let length = bytes.len();
    let mut response = Response::new(if pull.head { whole("") } else { whole(bytes) });
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, known.head.media_type.clone());
    headers.insert(header::CONTENT_LENGTH, length.into());
    shared_headers(headers, pull, known.head.digest.clone(), source);
    ground(headers, &permit, no_match);
    drop(permit);
    response
}

/// What every answer with content says of it.
pub(super) fn shared_headers(headers: &mut HeaderMap, pull: &Pull<'_>, digest: HeaderValue, source: Source) {
    headers.insert("docker-content-digest", digest);
    headers.insert("countersign-cache", HeaderValue::from_static(source.as_str()));
    headers.insert("countersign-decision", pull.decision.header());
    if pull.by_namespace {
        headers.insert("oci-namespace", header_value(pull.place.name.host.as_str()));
    }
}

/// Why it may be had, and what would have been denied.
pub(super) fn ground(headers: &mut HeaderMap, permit: &Permit, no_match: NoMatch) {
    headers.insert("countersign-reason", HeaderValue::from_static(reason(permit)));
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
        headers.insert(header::WARNING, HeaderValue::from_static("299 - \"no matching policies\""));
    }
}
