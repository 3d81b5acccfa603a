//! The admission door: the Kubernetes webhook, answered from the same memory as pulls.

mod images;
mod message;
mod mutate;
mod policies;
mod review;
mod validate;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::policies::NoMatch;
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;

use crate::config::Mutate;
use crate::content::Content;
use crate::decision::Decisions;
use crate::metrics::Metrics;
use crate::place::Upstreams;
use crate::reply::{Body, text, whole};
use crate::verdicts::Verdicts;

pub use images::{Image, InvalidObject, Workload};
pub(crate) use review::AdmissionRequest;
use review::Answer;

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
    decisions: Arc<Decisions>,
    metrics: Arc<Metrics>,
    mutate: Mutate,
    no_match: NoMatch,
}

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
    /// A door over these parts.
    pub fn new(
        verdicts: Arc<Verdicts>,
        content: Arc<Content>,
        upstreams: Arc<Upstreams>,
        decisions: Arc<Decisions>,
        metrics: Arc<Metrics>,
        mutate: Mutate,
        no_match: NoMatch,
    ) -> Self {
        Self { verdicts, content, upstreams, decisions, metrics, mutate, no_match }
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
        let question = match AdmissionRequest::parse(&body) {
            Ok(question) => question,
            Err(error) => return text(StatusCode::BAD_REQUEST, error.to_string()),
        };
        let decision = self.decisions.next();
        let answer = match act {
            Act::Mutate => self.mutate(&question, deadline).await,
            Act::Validate => self.validate(&question, deadline).await,
            Act::ValidatePolicy => policies::validate(&question),
            Act::DefaultPolicy | Act::ConvertPolicies => policies::default(&question),
        };
        let answer = answer.named(decision);
        self.metrics.reviewed(act, answer.allowed(), started.elapsed());
        log(act, &question, &answer, started);
        json(answer.encode())
    }
}

/// One event a request.
fn log(act: Act, question: &AdmissionRequest<'_>, answer: &Answer<'_>, started: Instant) {
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
                operation = &*question.operation,
                allowed = answer.allowed(),
                says = answer.message(),
                decision = answer.decision(),
                microseconds = started.elapsed().as_micros() as u64,
                "review"
            )
        };
    }
    if answer.allowed() {
        event!(tracing::Level::INFO);
    } else {
        event!(tracing::Level::WARN);
    }
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
