//! The admission door: the Kubernetes webhook, answered from the same memory as pulls.

mod before;
mod fields;
mod images;
mod message;
mod mutate;
mod passing;
mod policies;
mod review;
mod reviewed;
mod rights;
mod under_way;
mod validate;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::policies::NoMatch;
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use tracing::Instrument as _;

use crate::callers::Callers;
use crate::config::{self, Mutate};
use crate::content::Content;
use crate::core::Core;
use crate::decision::Decisions;
use crate::kubernetes::PullSecrets;
use crate::metrics::Metrics;
use crate::place::Upstreams;
use crate::records::{self, Asked, Outcome, Record, Records, kept};
use crate::reply::{Body, text, whole};
use crate::telemetry;
use crate::verdicts::Verdicts;

pub(crate) use images::POD_SPEC;
pub use images::{Image, Images, InvalidObject, Kinds, Workload};
pub use passing::Passing;
use review::{AdmissionRequest, Answer};
use reviewed::Reviewed;
use under_way::UnderWay;

/// The most bytes of a review: etcd's limit for an object, twice (the old one comes along), and some air.
const REVIEW_LIMIT: usize = 8 * 1024 * 1024;

/// How long the API server waits where it does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of the API server's time is left for the answer to reach it.
const MARGIN: Duration = Duration::from_millis(500);

/// The admission door.
pub struct AdmissionDoor {
    verdicts: Arc<Verdicts>,
    content: Arc<Content>,
    upstreams: Arc<Upstreams>,
    callers: Arc<Callers>,
    /// What reads the pull secrets of Pods, where that is configured.
    pull_secrets: Option<Arc<PullSecrets>>,
    decisions: Arc<Decisions>,
    records: Arc<Records>,
    metrics: Arc<Metrics>,
    kinds: Kinds,
    mutate: Mutate,
    /// Whether images are made to be fetched through the gateway.
    rewrite: bool,
    /// Whether everything is let pass, and what would be said only kept.
    observe: bool,
    no_match: NoMatch,
    under_way: UnderWay,
    /// Those that are being read, and those under way.
    arrived: Arc<Semaphore>,
}

/// How many times more reviews may be read at once than be under way: those that are too many are read too, so that they
/// can be told.
const READ: u32 = 4;

/// What is asked of a review.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Act {
    /// Replace tags by digests.
    Mutate,
    /// Decide.
    Validate,
    /// Check a policy.
    ValidatePolicy,
    /// Fill in a policy.
    DefaultPolicy,
    /// Convert policies between versions.
    ConvertPolicies,
}

impl Act {
    /// A stable name, for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mutate => "mutate",
            Self::Validate => "validate",
            Self::ValidatePolicy => "validate-policy",
            Self::DefaultPolicy => "default-policy",
            Self::ConvertPolicies => "convert-policies",
        }
    }

    /// What did not come to pass where it is denied, as messages begin.
    fn noun(self) -> &'static str {
        match self {
            Self::Mutate => "mutation",
            Self::Validate | Self::ValidatePolicy => "validation",
            Self::DefaultPolicy => "defaulting",
            Self::ConvertPolicies => "conversion",
        }
    }

    /// What is asked at a path.
    fn at(path: &str) -> Option<Self> {
        match path {
            "/admission/mutate" => Some(Self::Mutate),
            "/admission/validate" => Some(Self::Validate),
            "/admission/policies/validate" => Some(Self::ValidatePolicy),
            "/admission/policies/default" => Some(Self::DefaultPolicy),
            "/admission/policies/convert" => Some(Self::ConvertPolicies),
            _ => None,
        }
    }
}

impl AdmissionDoor {
    /// A door over these parts, with these settings and for what no policy matches.
    pub(crate) fn new(
        core: &Core,
        decisions: Arc<Decisions>,
        records: Arc<Records>,
        settings: &config::Admission,
        no_match: NoMatch,
    ) -> Self {
        Self {
            verdicts: core.verdicts.clone(),
            content: core.content.clone(),
            upstreams: core.upstreams.clone(),
            callers: core.callers.clone(),
            pull_secrets: core.pull_secrets.clone(),
            decisions,
            records,
            metrics: core.metrics.clone(),
            kinds: Kinds::new(&settings.kinds),
            mutate: settings.mutate,
            rewrite: settings.rewrite.is_some(),
            observe: settings.observe,
            no_match,
            under_way: UnderWay::new(settings.reviews),
            arrived: Arc::new(Semaphore::new(settings.reviews.saturating_mul(READ) as usize)),
        }
    }

    /// Answers one request.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes>,
    {
        let started = Instant::now();
        let Some(act) = Act::at(request.uri().path()) else {
            return text(
                StatusCode::NOT_FOUND,
                "this webhook answers /admission/{mutate,validate} and /admission/policies/{validate,default,convert}",
            );
        };
        if request.method() != Method::POST {
            return text(StatusCode::METHOD_NOT_ALLOWED, "a review is sent by POST");
        }
        if !is_json(request.headers().get(header::CONTENT_TYPE)) {
            return text(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a review is sent as application/json");
        }
        let Ok(_arrived) = self.arrived.try_acquire() else {
            self.metrics.shed("unread");
            return text(StatusCode::SERVICE_UNAVAILABLE, "more reviews arrive than can be read");
        };
        let span = telemetry::request(request.headers(), act.as_str());
        let deadline = started + timeout(request.uri().query()).saturating_sub(MARGIN);
        let body = match tokio::time::timeout_at(deadline.into(), read(request.into_body())).await {
            Ok(Ok(body)) => body,
            Ok(Err(Unread::TooLarge)) => {
                let message = format!("the review is larger than {REVIEW_LIMIT} bytes");
                return text(StatusCode::PAYLOAD_TOO_LARGE, message);
            }
            Ok(Err(Unread::BrokenOff)) | Err(_) => {
                return text(StatusCode::BAD_REQUEST, "the review did not arrive whole");
            }
        };
        if act == Act::ConvertPolicies {
            return match policies::convert(&body) {
                Ok(answer) => json(answer),
                Err(why) => text(StatusCode::BAD_REQUEST, why),
            };
        }
        match AdmissionRequest::parse(&body) {
            Ok(question) => {
                let review = self.review(act, &question, started, deadline);
                let answer = review.instrument(span.clone()).await;
                span.record("decision", answer.decision());
                json(answer.encode())
            }
            Err(error) => text(StatusCode::BAD_REQUEST, error.to_string()),
        }
    }

    /// Answers one review, and keeps what there is to keep of it.
    async fn review<'a>(
        &self,
        act: Act,
        question: &'a AdmissionRequest<'_>,
        started: Instant,
        deadline: Instant,
    ) -> Answer<'a> {
        let mut reviewed = self.reviewed(act, question, deadline).await;
        let outcome = reviewed.answer.outcome();
        let mut reason = reviewed.passing.map(Passing::as_str);
        reason = reason.or_else(|| records::reason(outcome, &reviewed.images));
        let observed = self.observe && act == Act::Validate;
        // What is only tried out is told, and leaves no trace.
        if question.is_dry_run() {
            self.metrics.tried(act);
        } else {
            let decision = self.decisions.next();
            reviewed.answer = reviewed.answer.named(decision, reason);
            self.count(act, outcome, reviewed.passing, observed, started);
            if keeps(act, outcome, reviewed.passing) {
                let record = Record {
                    tenant: None,
                    id: decision,
                    at: crate::clock::now(),
                    took: started.elapsed(),
                    asked: asked(act, question, reviewed.generate_name.as_deref()),
                    outcome,
                    observed,
                    message: reviewed.answer.message().map(Into::into),
                    images: std::mem::take(&mut reviewed.images),
                };
                self.records.keep(record);
            }
        }
        log(act, question, &reviewed, reason, observed, started);
        if observed { reviewed.answer.observed() } else { reviewed.answer }
    }

    async fn reviewed<'a>(
        &self,
        act: Act,
        question: &'a AdmissionRequest<'_>,
        deadline: Instant,
    ) -> Reviewed<'a> {
        match act {
            Act::ValidatePolicy => return Reviewed::of(policies::validate(question)),
            Act::DefaultPolicy | Act::ConvertPolicies => return Reviewed::of(policies::default(question)),
            Act::Mutate | Act::Validate => {}
        }
        let place = match self.under_way.enter(question.namespace.as_deref().unwrap_or_default()) {
            Ok(place) => place,
            Err(crowded) => {
                self.metrics.shed(crowded.as_str());
                let most = self.under_way.most();
                let message =
                    format!("{} failed: the gateway is busy: it answers {most} reviews at once", act.noun());
                return Reviewed::of(Answer::undecided(&question.uid, message, Vec::new()));
            }
        };
        let reviewed = match act {
            Act::Mutate => self.mutate(question, deadline).await,
            Act::Validate | Act::ValidatePolicy | Act::DefaultPolicy | Act::ConvertPolicies => {
                self.validate(question, deadline).await
            }
        };
        drop(place);
        reviewed
    }

    fn count(&self, act: Act, outcome: Outcome, passing: Option<Passing>, observed: bool, started: Instant) {
        let allowed = observed || outcome == Outcome::Allowed;
        self.metrics.reviewed(act, allowed, started.elapsed());
        if let Some(passing) = passing {
            self.metrics.passed(passing);
        }
        if observed {
            self.metrics.observed(outcome);
        }
    }
}

/// Whether a review is a decision to keep: what passes unjudged is none, and mutation decides nothing unless it says no.
fn keeps(act: Act, outcome: Outcome, passing: Option<Passing>) -> bool {
    match act {
        Act::Validate => passing.is_none(),
        Act::Mutate => outcome != Outcome::Allowed,
        Act::ValidatePolicy | Act::DefaultPolicy | Act::ConvertPolicies => false,
    }
}

/// What was asked, for the records.
fn asked(act: Act, question: &AdmissionRequest<'_>, generate_name: Option<&str>) -> Asked {
    Asked::Review(records::Review {
        act: act.as_str(),
        uid: kept(&question.uid),
        operation: question.operation.as_str(),
        part: kept(question.part()),
        group: kept(&question.kind.group),
        version: kept(&question.kind.version),
        kind: kept(&question.kind.kind),
        namespace: kept(question.namespace.as_deref().unwrap_or_default()),
        name: kept(question.name.as_deref().unwrap_or_default()),
        generate_name: kept(generate_name.unwrap_or_default()),
    })
}

/// One event a request.
fn log(
    act: Act,
    question: &AdmissionRequest<'_>,
    reviewed: &Reviewed<'_>,
    reason: Option<&'static str>,
    observed: bool,
    started: Instant,
) {
    let answer = &reviewed.answer;
    macro_rules! event {
        ($level:expr) => {
            tracing::event!(
                target: "countersign::admission",
                $level,
                act = act.as_str(),
                uid = &*question.uid,
                kind = &*question.kind.kind,
                namespace = question.namespace.as_deref(),
                name = question.name.as_deref(),
                operation = question.operation.as_str(),
                dry_run = question.is_dry_run(),
                observed,
                allowed = answer.outcome() == Outcome::Allowed,
                reason,
                says = answer.message(),
                decision = answer.decision(),
                microseconds = started.elapsed().as_micros() as u64,
                "review"
            )
        };
    }
    if answer.outcome() == Outcome::Allowed {
        event!(tracing::Level::INFO);
    } else {
        event!(tracing::Level::WARN);
    }
}

/// The name of the question that a review asks, and the namespace that it is about; nothing where it is none, which the
/// door says.
pub(crate) fn about(body: &Bytes) -> Option<(String, Option<String>)> {
    let request = AdmissionRequest::parse(body).ok()?;
    Some((request.uid.to_string(), request.namespace.as_deref().map(str::to_owned)))
}

/// Why a review was not read.
enum Unread {
    TooLarge,
    BrokenOff,
}

/// Reads a body. One that is too large is read on for a while, so that its sender comes to reading the answer.
async fn read<B>(body: B) -> Result<Bytes, Unread>
where
    B: http_body::Body<Data = Bytes>,
{
    let mut body = std::pin::pin!(body);
    let mut whole = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Unread::BrokenOff)?.into_data() else { continue };
        length += data.len();
        if length <= REVIEW_LIMIT {
            whole.extend_from_slice(&data);
        } else if length > 4 * REVIEW_LIMIT {
            break;
        }
    }
    if length <= REVIEW_LIMIT { Ok(whole.freeze()) } else { Err(Unread::TooLarge) }
}

fn is_json(content_type: Option<&HeaderValue>) -> bool {
    content_type
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
}

/// The API server says how long it will wait as `?timeout=10s`.
fn timeout(query: Option<&str>) -> Duration {
    query
        .and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("timeout=")))
        .and_then(|text| text.parse::<jiff::SignedDuration>().ok())
        .and_then(|timeout| Duration::try_from(timeout).ok())
        .map_or(DEFAULT_TIMEOUT, |timeout| timeout.min(Duration::from_secs(30)))
}

fn json(body: Bytes) -> Response<Body> {
    let mut response = Response::new(whole(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_servers_timeout_is_understood() {
        assert_eq!(timeout(Some("timeout=3s")), Duration::from_secs(3));
        assert_eq!(timeout(Some("a=b&timeout=1m30s")), Duration::from_secs(30));
        assert_eq!(timeout(Some("timeout=-1s")), DEFAULT_TIMEOUT);
        assert_eq!(timeout(Some("timeout=soon")), DEFAULT_TIMEOUT);
        assert_eq!(timeout(None), DEFAULT_TIMEOUT);
    }
}
