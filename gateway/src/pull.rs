//! The pull door: a registry that serves what policies allow.

mod accept;
mod blob;
mod by_right;
mod conditional;
mod cut;
mod gate;
mod prefetch;
mod query;
mod range;
mod referrers;
mod refusal;
mod respond;
mod tags;

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use oci::{Digest, Endpoint, Repository, TagOrDigest};
use tracing::Instrument as _;

use crate::callers::{Caller, Callers};
use crate::content::{Content, ContentError, Known};
use crate::decision::{Decision, Decisions};
use crate::hostname::Hostname;
use crate::metrics::Metrics;
use crate::place::{Place, Upstreams};
use crate::records::{self, Came, Records, kept};
use crate::reply::{Body, names, whole};
use crate::tags::Resolved;
use crate::telemetry;
use crate::verdicts::{Ruling, Source};

use self::query::Query;
pub(crate) use cut::Revocations;
pub(crate) use gate::{Gate, Ground, Permit};
pub(crate) use prefetch::Prefetch;
pub(crate) use refusal::Refusal;

/// The pull door.
pub(crate) struct PullDoor {
    gate: Gate,
    content: Arc<Content>,
    upstreams: Arc<Upstreams>,
    decisions: Arc<Decisions>,
    records: Arc<Records>,
    revocations: Revocations,
    prefetch: Prefetch,
    callers: Arc<Callers>,
    metrics: Arc<Metrics>,
    /// What whoever is denied something is told besides.
    told: Option<Arc<str>>,
}

/// How something of a repository was asked for.
struct Pull<'a> {
    place: Place,
    /// Who pulls, where the registry is asked by their own right.
    caller: Option<Caller>,
    /// The repository as the client spells it, with whatever stands before it.
    name: &'a Repository,
    path: &'a str,
    query: Query<'a>,
    head: bool,
    headers: &'a HeaderMap,
    decision: Decision,
}

/// What a request turned out to be, for the log and the metrics.
struct Outcome {
    response: Response<Body>,
    kind: Kind,
    reason: &'static str,
    source: Option<Source>,
    /// What came of the image, where policies were asked about one.
    came: Option<Came>,
}

/// What is answered with content.
struct Answered {
    response: Response<Body>,
    reason: &'static str,
    source: Source,
    /// What was said of the image, where policies were asked about one.
    ruling: Option<Ruling>,
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
    /// The tags of a repository.
    Tags,
    /// What refers to a manifest.
    Referrers,
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
            Self::Tags => "tags",
            Self::Referrers => "referrers",
            Self::Other => "other",
        }
    }
}

impl PullDoor {
    /// A door over these parts.
    #[expect(clippy::too_many_arguments, reason = "the parts of the door, put together once")]
    pub(crate) fn new(
        gate: Gate,
        content: Arc<Content>,
        upstreams: Arc<Upstreams>,
        decisions: Arc<Decisions>,
        records: Arc<Records>,
        revocations: Revocations,
        prefetch: Prefetch,
        callers: Arc<Callers>,
        metrics: Arc<Metrics>,
        told: Option<Arc<str>>,
    ) -> Self {
        Self { gate, content, upstreams, decisions, records, revocations, prefetch, callers, metrics, told }
    }

    /// Answers one request. Dropping the future ends nothing that others wait for.
    pub(crate) async fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        let started = Instant::now();
        let decision = self.decisions.next();
        let span = telemetry::request(request.headers(), "pull");
        let mut outcome = self.outcome(request, decision).instrument(span.clone()).await;
        let status = outcome.response.status();
        span.record("decision", tracing::field::display(decision)).record("status", status.as_u16());
        self.metrics.pulled(outcome.kind, status, outcome.source, started.elapsed());
        log(request, &outcome, decision, started);
        if let Some(came) = outcome.came.take() {
            self.records.keep(record(request, status, decision, came, started));
        }
        outcome.response
    }

    async fn outcome<B>(&self, request: &Request<B>, decision: Decision) -> Outcome {
        let refused = |kind, refusal: &Refusal| Outcome {
            response: refusal.respond(decision, self.told.as_deref()),
            kind,
            reason: refusal.reason(),
            source: None,
            came: refusal.came(),
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return refused(Kind::Other, &Refusal::Method);
        }
        let endpoint = match Endpoint::parse(request.uri().path()) {
            Ok(endpoint) => endpoint,
            Err(error) => return refused(Kind::Other, &Refusal::Endpoint(error)),
        };
        let (kind, name) = match &endpoint {
            Endpoint::Base if by_right::has_to_log_in(&self.upstreams, request) => {
                return refused(Kind::Base, &Refusal::NoLogin);
            }
            Endpoint::Base => {
                let response = base();
                return Outcome { response, kind: Kind::Base, reason: "base", source: None, came: None };
            }
            Endpoint::Manifest(name, _) => (Kind::Manifest, name),
            Endpoint::Blob(name, _) => (Kind::Blob, name),
            Endpoint::Referrers(name, _) => (Kind::Referrers, name),
            Endpoint::Tags(name) => (Kind::Tags, name),
        };
        let answered = match self.pull(request, name, decision) {
            Ok(pull) => self.by_right(&pull, &endpoint).await,
            Err(refusal) => Err(refusal),
        };
        match answered {
            Ok(Answered { response, reason, source, ruling }) => {
                Outcome { response, kind, reason, source: Some(source), came: ruling.map(Came::Ruled) }
            }
            Err(refusal) => refused(kind, &refusal),
        }
    }

    fn pull<'a, B>(
        &self,
        request: &'a Request<B>,
        name: &'a Repository,
        decision: Decision,
    ) -> Result<Pull<'a>, Refusal> {
        let query = Query::parse(request.uri().query().unwrap_or_default())?;
        let called = Hostname::called(request);
        let routed = self.upstreams.route(query.namespace(), called.as_ref(), name);
        let place = routed.inspect_err(|why| self.metrics.unrouted(why)).map_err(Refusal::Unrouted)?;
        let (place, caller) = by_right::by_right(&self.upstreams, place, request)?;
        Ok(Pull {
            place,
            caller,
            name,
            path: request.uri().path(),
            query,
            head: request.method() == Method::HEAD,
            headers: request.headers(),
            decision,
        })
    }

    /// What is asked for, once it is proven that whoever pulls by a right of their own has it. Where the registry refuses
    /// then what is not at hand, that was their right or somebody else's, who asked for the same first: it is proven anew,
    /// once.
    async fn by_right(&self, pull: &Pull<'_>, endpoint: &Endpoint) -> Result<Answered, Refusal> {
        let Some(caller) = pull.caller else { return self.content(pull, endpoint).await };
        by_right::prove(&self.callers, caller, &pull.place, endpoint).await?;
        match self.content(pull, endpoint).await {
            // Lists are asked of the registry in their own right, whatever was proven.
            Err(refusal) if !matches!(refusal, Refusal::List(_)) && refusal.is_by_registry() => {
                self.callers.doubt(caller);
                by_right::prove(&self.callers, caller, &pull.place, endpoint).await?;
                self.content(pull, endpoint).await
            }
            answered => answered,
        }
    }

    async fn content(&self, pull: &Pull<'_>, endpoint: &Endpoint) -> Result<Answered, Refusal> {
        let (response, reason, source) = match endpoint {
            Endpoint::Manifest(_, version) => return self.manifest(pull, version).await,
            Endpoint::Blob(_, digest) => self.blob(pull, *digest).await?,
            Endpoint::Referrers(_, digest) => {
                (self.referrers(pull, *digest).await?, "list", Source::Registry)
            }
            Endpoint::Tags(_) => (self.tags(pull).await?, "list", Source::Registry),
            Endpoint::Base => (base(), "base", Source::Memory),
        };
        Ok(Answered { response, reason, source, ruling: None })
    }

    async fn manifest(&self, pull: &Pull<'_>, version: &TagOrDigest) -> Result<Answered, Refusal> {
        let resolved = match version {
            TagOrDigest::Digest(digest) => Resolved { digest: *digest, stale: None },
            TagOrDigest::Tag(tag) => Box::pin(self.content.resolve(&pull.place, tag)).await?,
        };
        self.confirm(pull, resolved.digest).await?;
        let (mut known, mut source) = self.known(pull, resolved.digest).await?;
        if let TagOrDigest::Tag(tag) = version
            && let Some(images) = accept::instead_of(known.manifest.media_type(), pull.headers)
        {
            let (upstream, repository) = (&pull.place.upstream, &pull.place.name.repository);
            let resolved = upstream.resolve_image(repository, tag, images).await;
            (known, source) = self.known(pull, resolved.map_err(ContentError::Fetch)?).await?;
        }
        let permit = self.gate.manifest(&pull.place, version, &known).await?;
        // Links that nobody used leave in time, and this client is about to use them.
        self.content.link(&pull.place, &known).await;
        if !pull.head && self.content.pulled(&known) {
            self.prefetch.begin(&self.gate, &self.content, &pull.place, &known);
        }
        let source = if source == Source::Memory { permit.source() } else { source };
        let (reason, ruling) = (respond::reason(&permit), permit.ruling().cloned());
        let mut response = respond::manifest(pull, &known, permit, source, self.gate.no_match());
        if let Some(age) = resolved.stale {
            respond::mark_stale(&mut response, age);
        }
        Ok(Answered { response, reason, source, ruling })
    }

    /// That what not everybody may read is still given to whoever asks here.
    async fn confirm(&self, pull: &Pull<'_>, manifest: Digest) -> Result<(), ContentError> {
        if self.upstreams.asks_who(&pull.place.name.host) {
            return self.content.confirm(&pull.place, manifest).await;
        }
        Ok(())
    }

    async fn known(&self, pull: &Pull<'_>, digest: Digest) -> Result<(Arc<Known>, Source), ContentError> {
        match self.content.manifest_in_memory(&pull.place, digest).await {
            Some(known) => Ok((known, Source::Memory)),
            None => Ok((Box::pin(self.content.manifest(&pull.place, digest)).await?, Source::Registry)),
        }
    }
}

fn base() -> Response<Body> {
    let mut response = Response::new(whole("{}"));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(&names::API_VERSION, HeaderValue::from_static("registry/2.0"));
    response
}

/// What there is to keep of a decision.
fn record<B>(
    request: &Request<B>,
    status: StatusCode,
    id: Decision,
    came: Came,
    started: Instant,
) -> records::Record {
    let outcome = match &came {
        Came::Ruled(ruling) if ruling.allows() => records::Outcome::Allowed,
        Came::Ruled(_) | Came::Refused => records::Outcome::Denied,
        Came::Undecided { .. } => records::Outcome::Undecided,
    };
    let (path, took): (Arc<str>, _) = (kept(request.uri().path()), started.elapsed());
    let pull = records::Pull {
        method: request.method().clone(),
        path: path.clone(),
        query: request.uri().query().map(kept).unwrap_or_default(),
        status: status.as_u16(),
    };
    records::Record {
        tenant: None,
        id,
        at: crate::clock::now(),
        took,
        asked: records::Asked::Pull(pull),
        outcome,
        observed: false,
        message: None,
        images: vec![records::Image { path: String::new(), asked: path, took, came }],
    }
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
