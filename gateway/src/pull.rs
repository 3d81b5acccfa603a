//! The pull door: a registry that serves what policies allow.

mod blob;
mod gate;
mod range;
mod refusal;
mod respond;

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use oci::{Endpoint, TagOrDigest};

use crate::content::Content;
use crate::decision::{Decision, Decisions};
use crate::metrics::Metrics;
use crate::place::{Place, Upstreams};
use crate::reply::{Body, whole};
use crate::verdicts::Source;

pub(crate) use gate::{Gate, Ground, Permit};
pub(crate) use refusal::Refusal;

/// The pull door.
pub(crate) struct PullDoor {
    gate: Gate,
    content: Arc<Content>,
    upstreams: Arc<Upstreams>,
    decisions: Arc<Decisions>,
    metrics: Arc<Metrics>,
}

/// How a manifest or a blob was asked for.
struct Pull<'a> {
    place: Place,
    head: bool,
    headers: &'a HeaderMap,
    /// Whether the registry was named by `ns`, which is then echoed as `OCI-Namespace`.
    by_namespace: bool,
    decision: Decision,
}

/// What a request turned out to be, for the log and the metrics.
struct Outcome {
    response: Response<Body>,
    kind: Kind,
    reason: &'static str,
    source: Option<Source>,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Whether this is a registry.
    Base,
    /// A manifest.
    Manifest,
    /// A blob.
    Blob,
    /// Anything else.
    Other,
}

impl Kind {
    /// A stable name, for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Manifest => "manifest",
            Self::Blob => "blob",
            Self::Other => "other",
        }
    }
}

impl PullDoor {
    /// A door over these parts.
    pub(crate) fn new(
        gate: Gate,
        content: Arc<Content>,
        upstreams: Arc<Upstreams>,
        decisions: Arc<Decisions>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { gate, content, upstreams, decisions, metrics }
    }

    /// Answers one request. Dropping the future ends nothing that others wait for.
    pub(crate) async fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        let started = Instant::now();
        let decision = self.decisions.next();
        let outcome = self.outcome(request, decision).await;
        let status = outcome.response.status();
        self.metrics.pulled(outcome.kind, status, outcome.source, started.elapsed());
        log(request, &outcome, decision, started);
        outcome.response
    }

    async fn outcome<B>(&self, request: &Request<B>, decision: Decision) -> Outcome {
        let refused = |kind, refusal: &Refusal| Outcome {
            response: refusal.respond(decision),
            kind,
            reason: refusal.reason(),
            source: None,
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return refused(Kind::Other, &Refusal::Method);
        }
        let endpoint = match Endpoint::parse(request.uri().path()) {
            Ok(endpoint) => endpoint,
            Err(error) => return refused(Kind::Other, &Refusal::Endpoint(error)),
        };
        let (kind, answered) = match endpoint {
            Endpoint::Base => {
                return Outcome { response: base(), kind: Kind::Base, reason: "base", source: None };
            }
            Endpoint::Manifest(name, version) => (
                Kind::Manifest,
                match self.pull(request, &name, decision) {
                    Ok(pull) => self.manifest(&pull, version).await,
                    Err(refusal) => Err(refusal),
                },
            ),
            Endpoint::Blob(name, digest) => (
                Kind::Blob,
                match self.pull(request, &name, decision) {
                    Ok(pull) => self.blob(&pull, digest).await,
                    Err(refusal) => Err(refusal),
                },
            ),
            Endpoint::Referrers(..) => (
                Kind::Other,
                Err(Refusal::NotOffered(
                    "the referrers API is not offered; use the fallback tag of the digest",
                )),
            ),
            Endpoint::Tags(_) => (Kind::Other, Err(Refusal::NotOffered("tags are not listed here"))),
        };
        match answered {
            Ok((response, reason, source)) => Outcome { response, kind, reason, source: Some(source) },
            Err(refusal) => refused(kind, &refusal),
        }
    }

    fn pull<'a, B>(
        &self,
        request: &'a Request<B>,
        name: &oci::Repository,
        decision: Decision,
    ) -> Result<Pull<'a>, Refusal> {
        let namespace = namespace(request.uri().query().unwrap_or_default())?;
        let ns = namespace.as_deref();
        let routed = self.upstreams.route(ns, name).inspect_err(|why| self.metrics.unrouted(why));
        let place = routed.map_err(Refusal::Unrouted)?;
        Ok(Pull {
            place,
            head: request.method() == Method::HEAD,
            headers: request.headers(),
            by_namespace: namespace.is_some(),
            decision,
        })
    }

    async fn manifest(
        &self,
        pull: &Pull<'_>,
        version: TagOrDigest,
    ) -> Result<(Response<Body>, &'static str, Source), Refusal> {
        let digest = match &version {
            TagOrDigest::Digest(digest) => *digest,
            TagOrDigest::Tag(tag) => self.content.resolve(&pull.place, tag).await?,
        };
        let (known, source) = match self.content.manifest_in_memory(&pull.place, digest).await {
            Some(known) => (known, Source::Memory),
            None => (self.content.manifest(&pull.place, digest).await?, Source::Registry),
        };
        let permit = self.gate.manifest(&pull.place, &version, &known).await?;
        // Links that nobody used leave in time, and this client is about to use them.
        self.content.link(&pull.place, &known).await;
        let source = if source == Source::Memory { permit.source() } else { source };
        let reason = respond::reason(&permit);
        Ok((respond::manifest(pull, &known, permit, source, self.gate.no_match()), reason, source))
    }
}

/// `ns`, once. A second one, or one that needs decoding beyond what a host can need, is refused rather than guessed at.
fn namespace(query: &str) -> Result<Option<String>, Refusal> {
    let mut values = query.split('&').filter_map(|pair| pair.strip_prefix("ns="));
    let first = values.next();
    if values.next().is_some() {
        return Err(Refusal::Query("ns is given twice"));
    }
    first
        .map(|value| {
            percent_encoding::percent_decode_str(value)
                .decode_utf8()
                .map(std::borrow::Cow::into_owned)
                .map_err(|_| Refusal::Query("ns is not UTF-8"))
        })
        .transpose()
}

fn base() -> Response<Body> {
    let mut response = Response::new(whole("{}"));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("docker-distribution-api-version", HeaderValue::from_static("registry/2.0"));
    response
}

/// One event a request.
fn log<B>(request: &Request<B>, outcome: &Outcome, decision: Decision, started: Instant) {
    let status = outcome.response.status();
    macro_rules! event {
        ($level:expr) => {
            tracing::event!(
                target: "countersign::pull",
                $level,
                method = %request.method(),
                path = request.uri().path(),
                query = request.uri().query(),
                status = status.as_u16(),
                reason = outcome.reason,
                source = outcome.source.map(Source::as_str),
                decision = %decision,
                microseconds = started.elapsed().as_micros() as u64,
                "pull"
            )
        };
    }
    if status == StatusCode::FORBIDDEN || status.is_server_error() {
        event!(tracing::Level::WARN);
    } else {
        event!(tracing::Level::INFO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ns_is_given_once_or_not_at_all() {
        assert_eq!(namespace("").unwrap(), None);
        assert_eq!(namespace("ns=ghcr.io").unwrap().as_deref(), Some("ghcr.io"));
        assert_eq!(namespace("a=b&ns=localhost%3A5000").unwrap().as_deref(), Some("localhost:5000"));
        assert!(namespace("ns=a&ns=b").is_err());
        assert!(namespace("ns=%ff").is_err());
    }
}
