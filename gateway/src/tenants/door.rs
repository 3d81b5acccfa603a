//! The doors, in front of those of each tenant: who is it, may it ask more, and where is it answered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use metrics::counter;
use oci::{ErrorBody, ErrorCode};
use serde_json::{Value, json};
use tracing::Instrument as _;

use super::known::{Recognised, Stranger, Unowned};
use super::signs::Signs;
use super::{Apart, Tenant, Tenants};
use crate::admission::about;
use crate::config::PathPrefix;
use crate::login::ToldByLogin;
use crate::peer::Peer;
use crate::reply::{Body, header_value, names, whole};

/// The most bytes of a review that are read before it is known whose it is: as many as the door behind would read on for.
const REVIEW: usize = 32 * 1024 * 1024;

/// How long a review may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

impl Tenants {
    /// Answers at the pull door.
    pub(crate) async fn pull<B>(&self, mut request: Request<B>, peer: Arc<Peer>) -> Response<Body> {
        let Some(apart) = &self.apart else {
            return self.everybody.pull.answer(&request).await;
        };
        let recognised = apart.known.load().of_caller(&Signs::of(&request, &peer));
        let Recognised { tenant, prefix, by_login } = match recognised {
            Ok(recognised) => recognised,
            Err(stranger) => return turned_away(&request, &stranger),
        };
        if by_login {
            request.extensions_mut().insert(ToldByLogin);
        }
        let span = tracing::info_span!("tenant", name = tenant.name().name());
        // On the heap, as it holds the request once more.
        Box::pin(self.pull_of(apart, &tenant, prefix.as_ref(), request)).instrument(span).await
    }

    async fn pull_of<B>(
        &self,
        apart: &Apart,
        tenant: &Tenant,
        prefix: Option<&PathPrefix>,
        mut request: Request<B>,
    ) -> Response<Body> {
        let name = tenant.name().name();
        let counts = apart.live.counts_of(name);
        let served = match self.served(tenant).await {
            Ok(served) => served,
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "nothing answers for this tenant");
                return refused(
                    StatusCode::SERVICE_UNAVAILABLE,
                    ErrorCode::Unavailable,
                    "internal",
                    "the gateway failed",
                );
            }
        };
        if let Err(wait) = served.pulls.take() {
            counts.limited();
            counter!("countersign_tenant_over_quota_total", "tenant" => tenant.label(), "door" => "pull")
                .increment(1);
            let mut answer = refused(
                StatusCode::TOO_MANY_REQUESTS,
                ErrorCode::TooManyRequests,
                "quota",
                "more requests a second than this tenant may make",
            );
            answer.headers_mut().insert(header::RETRY_AFTER, wait.as_secs().max(1).into());
            return answer;
        }
        if let Some(prefix) = prefix
            && !strip(prefix, &mut request)
        {
            return refused(
                StatusCode::NOT_FOUND,
                ErrorCode::NameUnknown,
                "unknown-registry",
                "no such repository",
            );
        }
        let mut answer = served.pull.answer(&request).await;
        if let Some(prefix) = prefix {
            lead_back(prefix, &mut answer);
        }
        counts.pulled(answer.status());
        let status = answer.status().as_str().to_owned();
        counter!("countersign_tenant_pulls_total", "tenant" => tenant.label(), "status" => status)
            .increment(1);
        answer
    }

    /// Answers at the admission door.
    pub(crate) async fn review<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes, Error: std::error::Error + Send + Sync + 'static>,
    {
        let concerns_images = matches!(request.uri().path(), "/admission/mutate" | "/admission/validate");
        let Some(apart) = self.apart.as_ref().filter(|_| concerns_images && request.method() == Method::POST)
        else {
            return self.everybody.admission.answer(request).await;
        };
        let (parts, body) = request.into_parts();
        let body = match tokio::time::timeout(ARRIVAL, Limited::new(body, REVIEW).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_)) | Err(_) => {
                return crate::reply::text(StatusCode::BAD_REQUEST, "the review did not arrive whole");
            }
        };
        let again = |body: Bytes| Request::from_parts(parts, Full::new(body));
        // What is no review is answered as such by whoever is asked.
        let Some((uid, namespace)) = about(&body) else {
            return self.everybody.admission.answer(again(body)).await;
        };
        let known = apart.known.load_full();
        if let (Some(labelled), Some(namespace)) = (known.labelled(), &namespace) {
            labelled.seen(namespace).await;
        }
        let tenant = match known.of_namespace(namespace.as_deref()) {
            Ok(tenant) => tenant,
            Err(unowned) => return nobodys(&uid, namespace.as_deref().unwrap_or_default(), &unowned),
        };
        let span = tracing::info_span!("tenant", name = tenant.name().name());
        self.review_of(apart, &tenant, &uid, again(body.clone())).instrument(span).await
    }

    async fn review_of(
        &self,
        apart: &Apart,
        tenant: &Tenant,
        uid: &str,
        request: Request<Full<Bytes>>,
    ) -> Response<Body> {
        let counts = apart.live.counts_of(tenant.name().name());
        let served = match self.served(tenant).await {
            Ok(served) => served,
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "nothing answers for this tenant");
                return denied(uid, 503, "the gateway failed");
            }
        };
        if served.reviews.take().is_err() {
            counts.limited();
            counter!("countersign_tenant_over_quota_total", "tenant" => tenant.label(), "door" => "admission")
                .increment(1);
            return denied(uid, 429, "more requests a second than this tenant may make");
        }
        let answer = served.admission.answer(request).await;
        let (answer, allowed) = told(answer, served.told.as_deref()).await;
        counts.reviewed(allowed);
        let allowed = if allowed { "true" } else { "false" };
        counter!("countersign_tenant_reviews_total", "tenant" => tenant.label(), "allowed" => allowed)
            .increment(1);
        answer
    }
}

/// Takes a prefix off the path. Where nothing is left that a door could be asked for, it was none.
fn strip<B>(prefix: &PathPrefix, request: &mut Request<B>) -> bool {
    let uri = request.uri();
    let Some(rest) = uri.path().strip_prefix("/v2/").and_then(|repository| prefix.strip(repository)) else {
        return false;
    };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = uri.clone().into_parts();
    let Ok(path) = format!("/v2/{rest}{query}").parse() else { return false };
    parts.path_and_query = Some(path);
    let Ok(uri) = Uri::from_parts(parts) else { return false };
    *request.uri_mut() = uri;
    true
}

/// Puts it before where the next page of a list is.
fn lead_back(prefix: &PathPrefix, answer: &mut Response<Body>) {
    let next = answer.headers().get(header::LINK).and_then(|link| link.to_str().ok());
    if let Some(rest) = next.and_then(|link| link.strip_prefix("</v2/")) {
        let link = header_value(&format!("</v2/{prefix}/{rest}"));
        answer.headers_mut().insert(header::LINK, link);
    }
}

/// Tells whoever is denied what this tenant's people are told besides. Also whether it was allowed.
async fn told(answer: Response<Body>, told: Option<&str>) -> (Response<Body>, bool) {
    let (parts, body) = answer.into_parts();
    // It is ours, and in memory.
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let mut review: Value = serde_json::from_slice(&body).unwrap_or_default();
    let allowed = review["response"]["allowed"] == true;
    let message = review["response"]["status"]["message"].as_str();
    let body = match (told, message) {
        (Some(told), Some(message)) if !allowed => {
            review["response"]["status"]["message"] = format!("{message}\n{told}").into();
            serde_json::to_vec(&review).map(Bytes::from).unwrap_or(body)
        }
        _ => body,
    };
    (Response::from_parts(parts, whole(body)), allowed)
}

/// The answer to a review of what is of no tenant. Who may see it may see the namespaces of tenants too.
fn nobodys(uid: &str, namespace: &str, unowned: &Unowned) -> Response<Body> {
    let (reason, code, message) = match unowned {
        Unowned::Unknown => ("unknown", 403, "is of no tenant of this gateway".to_owned()),
        Unowned::Several(of) => {
            let of: Vec<&str> = of.iter().map(|tenant| tenant.name()).collect();
            ("several-tenants", 403, format!("is of several tenants of this gateway: {}", of.join(", ")))
        }
        Unowned::Untold(why) => {
            ("untold-tenant", 503, format!("could be of any tenant of this gateway: {why}"))
        }
    };
    counter!("countersign_strangers_total", "door" => "admission", "reason" => reason).increment(1);
    tracing::warn!(namespace, uid, reason, message, "a review is of no tenant");
    denied(uid, code, &format!("namespace {namespace:?} {message}"))
}

/// The answer to whoever is of no tenant. It does not say whom their signs are of.
fn turned_away<B>(request: &Request<B>, stranger: &Stranger) -> Response<Body> {
    let (reason, may_log_in, message) = match stranger {
        Stranger::Unknown { may_log_in } => {
            ("unknown-tenant", *may_log_in, "whoever sends this request is of no tenant of this gateway")
        }
        Stranger::Unproven { may_log_in, .. } => {
            ("unproven-tenant", *may_log_in, "this request does not show all that its tenant is told by")
        }
        Stranger::Contradiction(..) => {
            ("contradicting-tenants", false, "what this request shows is of different tenants")
        }
        Stranger::Several(_) => {
            ("several-tenants", false, "the namespace that this request is for is of several tenants")
        }
        Stranger::Token(_) => ("refused-token", true, "the token that this request shows is not believed"),
        Stranger::Untold(_) => {
            ("untold-tenant", false, "whose the namespace is that this request is for cannot be told now")
        }
    };
    counter!("countersign_strangers_total", "door" => "pull", "reason" => reason).increment(1);
    tracing::warn!(method = %request.method(), path = request.uri().path(), ?stranger, reason, "a pull is of no tenant");
    if matches!(stranger, Stranger::Untold(_)) {
        return refused(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, reason, message);
    }
    if !may_log_in {
        return refused(StatusCode::FORBIDDEN, ErrorCode::Denied, reason, message);
    }
    let mut answer = refused(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, reason, message);
    let challenge = HeaderValue::from_static("Basic realm=\"countersign\"");
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    answer
}

fn refused(status: StatusCode, code: ErrorCode, reason: &'static str, message: &str) -> Response<Body> {
    let body = serde_json::to_vec(&ErrorBody::<Value>::new(code, message, None)).unwrap_or_default();
    let mut answer = Response::new(whole(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(&names::REASON, HeaderValue::from_static(reason));
    answer
}

fn denied(uid: &str, code: u16, message: &str) -> Response<Body> {
    let reason = match code {
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        _ => "Forbidden",
    };
    let review = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {
            "uid": uid,
            "allowed": false,
            "status": {"status": "Failure", "reason": reason, "code": code, "message": message},
        },
    });
    let mut answer = Response::new(whole(review.to_string()));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
