//! How the pull door says no: the only place where an error becomes a registry's error body.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Response, StatusCode, header};
use oci::{ErrorBody, ErrorCode, InvalidEndpoint};
use policies::{AuthorityFailure, Cause, Denial, PolicyFailure, Reason, Verdict};
use serde_json::{Value, json};
use upstream::FetchError;

use crate::content::ContentError;
use crate::decision::Decision;
use crate::place::Unrouted;
use crate::records::Came;
use crate::reply::{Body, header_value, names, whole};
use crate::undecided::Undecided;
use crate::verdicts::Ruling;

/// Why a pull got nothing.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// This door only reads.
    Method,
    /// The path is none of a registry's.
    Endpoint(InvalidEndpoint),
    /// The query contradicts itself.
    Query(&'static str),
    /// How many entries of a list are wanted is no number.
    PageSize,
    /// The request names no registry that is configured.
    Unrouted(Unrouted),
    /// The registry is asked by the right of whoever pulls, and they show none.
    NoLogin,
    /// Policies say no.
    Denied(Ruling),
    /// It could not be told whether policies allow it.
    Undecided(Undecided),
    /// The manifest, or what the tag means, could not be had.
    Content(ContentError),
    /// A list could not be had.
    List(FetchError),
    /// Nothing that is allowed names this blob.
    UnknownBlob,
    /// The blob could not be had.
    Blob(Arc<cache::FillError>),
    /// A signature artefact names this blob, and it is no signature.
    NoSignature,
    /// The blob has no such range.
    Range {
        /// How large it is.
        size: u64,
    },
}

impl From<Undecided> for Refusal {
    fn from(undecided: Undecided) -> Self {
        Self::Undecided(undecided)
    }
}

impl From<ContentError> for Refusal {
    fn from(error: ContentError) -> Self {
        Self::Content(error)
    }
}

/// How long a client is asked to wait where nobody knows better.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A refusal in the terms of the protocol.
struct Answer {
    status: StatusCode,
    code: ErrorCode,
    /// A stable name, for the header, the log and metrics.
    reason: &'static str,
    message: String,
    detail: Option<Value>,
    retry_after: Option<Duration>,
}

impl Answer {
    fn new(status: StatusCode, code: ErrorCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, reason, message: message.into(), detail: None, retry_after: None }
    }

    fn unavailable(reason: &'static str, message: impl Into<String>, retry_after: Option<Duration>) -> Self {
        let retry_after = Some(retry_after.unwrap_or(RETRY_AFTER));
        Self {
            retry_after,
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, reason, message)
        }
    }
}

impl Refusal {
    /// A stable name, for logs and metrics.
    pub(crate) fn reason(&self) -> &'static str {
        self.answer().reason
    }

    /// Whether the registry refuses access, or says what many say in place of that.
    pub(super) fn is_by_registry(&self) -> bool {
        let fetch = match self {
            Self::Content(ContentError::Fetch(error))
            | Self::List(error)
            | Self::Undecided(Undecided::Fetch(error)) => Some(error),
            Self::Blob(error) => error.source_as::<FetchError>(),
            Self::Method
            | Self::Endpoint(_)
            | Self::Query(_)
            | Self::PageSize
            | Self::Unrouted(_)
            | Self::NoLogin
            | Self::Denied(_)
            | Self::Undecided(_)
            | Self::Content(_)
            | Self::UnknownBlob
            | Self::NoSignature
            | Self::Range { .. } => None,
        };
        matches!(fetch, Some(FetchError::Unauthorized | FetchError::NotFound))
    }

    /// What came of the image, where that is a decision to keep: policies said no, or could not be asked.
    pub(crate) fn came(&self) -> Option<Came> {
        match self {
            Self::Denied(ruling) => Some(Came::Ruled(ruling.clone())),
            Self::Undecided(why) => Some(Came::Undecided { subject: None, why: why.clone() }),
            Self::Unrouted(Unrouted::Canary) => Some(Came::Refused),
            Self::Unrouted(
                Unrouted::UnknownUpstream(_) | Unrouted::NoUpstream | Unrouted::Contradiction { .. },
            )
            | Self::Method
            | Self::Endpoint(_)
            | Self::Query(_)
            | Self::PageSize
            | Self::NoLogin
            | Self::Content(_)
            | Self::List(_)
            | Self::UnknownBlob
            | Self::Blob(_)
            | Self::NoSignature
            | Self::Range { .. } => None,
        }
    }

    /// The response that says so, the same for HEAD and GET but for the body that HEAD cannot have. Whoever is denied
    /// something by policies is told this besides.
    pub(crate) fn respond(&self, decision: Decision, told: Option<&str>) -> Response<Body> {
        let mut answer = self.answer();
        if let (Self::Denied(_), Some(told)) = (self, told) {
            answer.message = format!("{}; {told}", answer.message);
        }
        let detail = answer.detail.map(|mut detail| {
            detail["decision"] = decision.to_string().into();
            detail
        });
        let body = serde_json::to_vec(&ErrorBody::new(answer.code, answer.message, detail));
        let mut response = Response::new(whole(body.unwrap_or_default()));
        *response.status_mut() = answer.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(&names::REASON, HeaderValue::from_static(answer.reason));
        headers.insert(&names::DECISION, decision.header());
        if let Some(after) = answer.retry_after {
            headers.insert(header::RETRY_AFTER, after.as_secs().max(1).into());
        }
        if let Self::Range { size } = self {
            headers.insert(header::CONTENT_RANGE, header_value(&format!("bytes */{size}")));
        }
        if let Self::NoLogin = self {
            let challenge = HeaderValue::from_static("Basic realm=\"countersign\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Self::Method = self {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }

    fn answer(&self) -> Answer {
        match self {
            Self::Method => Answer::new(
                StatusCode::METHOD_NOT_ALLOWED,
                ErrorCode::Unsupported,
                "read-only",
                "this registry only serves pulls",
            ),
            Self::Endpoint(error) => endpoint(error),
            Self::PageSize => Answer::new(
                StatusCode::BAD_REQUEST,
                ErrorCode::PaginationNumberInvalid,
                "bad-query",
                "n is not the number of entries that a page is to have",
            ),
            Self::Query(what) => {
                Answer::new(StatusCode::BAD_REQUEST, ErrorCode::NameInvalid, "bad-query", *what)
            }
            Self::Unrouted(unrouted) => unrouted_answer(unrouted),
            Self::NoLogin => Answer::new(
                StatusCode::UNAUTHORIZED,
                ErrorCode::Unauthorized,
                "login-required",
                "this registry is asked with the user name and password of whoever pulls: log in to the gateway with them",
            ),
            Self::Denied(ruling) => denied(&ruling.verdict),
            Self::Undecided(undecided) => Answer::unavailable(
                undecided.as_str(),
                format!("whether this image is allowed could not be told: {undecided}"),
                retry_after_of(undecided),
            ),
            Self::Content(error) => content(error),
            Self::List(error) => fetch(error, ErrorCode::NameUnknown, "repository"),
            Self::UnknownBlob => Answer::new(
                StatusCode::NOT_FOUND,
                ErrorCode::BlobUnknown,
                "unknown-blob",
                "no manifest that was allowed in this repository names this blob; pull the manifest first",
            ),
            Self::Blob(error) => blob(error),
            Self::NoSignature => Answer::new(
                StatusCode::NOT_FOUND,
                ErrorCode::BlobUnknown,
                "no-signature",
                "a manifest names this blob as a signature, and it is none",
            ),
            Self::Range { .. } => Answer::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                ErrorCode::Unsupported,
                "range",
                "the blob has no such range",
            ),
        }
    }
}

fn retry_after_of(undecided: &Undecided) -> Option<Duration> {
    let Undecided::Fetch(FetchError::TooManyRequests { retry_after }) = undecided else {
        return None;
    };
    *retry_after
}

fn endpoint(error: &InvalidEndpoint) -> Answer {
    let (status, code) = match error {
        InvalidEndpoint::Unknown => (StatusCode::NOT_FOUND, ErrorCode::Unsupported),
        InvalidEndpoint::Name(_) | InvalidEndpoint::Tag(_) => {
            (StatusCode::BAD_REQUEST, ErrorCode::NameInvalid)
        }
        InvalidEndpoint::Digest(_) => (StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid),
    };
    Answer::new(status, code, "bad-request", error.to_string())
}

fn unrouted_answer(unrouted: &Unrouted) -> Answer {
    let (status, code, reason) = match unrouted {
        Unrouted::UnknownUpstream(_) | Unrouted::NoUpstream => {
            (StatusCode::NOT_FOUND, ErrorCode::NameUnknown, "unknown-registry")
        }
        Unrouted::Contradiction { .. } => {
            (StatusCode::BAD_REQUEST, ErrorCode::NameInvalid, "unknown-registry")
        }
        Unrouted::Canary => (StatusCode::FORBIDDEN, ErrorCode::Denied, "canary"),
    };
    Answer::new(status, code, reason, unrouted.to_string())
}

fn denied(verdict: &Verdict) -> Answer {
    match verdict {
        Verdict::Deny(denial) => Answer {
            detail: Some(detail(denial)),
            ..Answer::new(
                StatusCode::FORBIDDEN,
                ErrorCode::Denied,
                denial.as_str(),
                on_one_line(&denial.for_person()),
            )
        },
        // A refusal is only ever made of a denial; were it not, it must still be none that lets anything out.
        Verdict::Allow(_) => Answer::unavailable("internal", "the gateway failed", None),
    }
}

/// What a person would read in several lines: runtimes print a message as one.
fn on_one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

/// How many signers a denial names.
const SIGNERS: usize = 16;

fn detail(denial: &Denial) -> Value {
    let mut detail = json!({
        "image": denial.subject().name.to_string(),
        "digest": denial.subject().digest,
        "reason": denial.as_str(),
        "policies": [],
    });
    match denial.cause() {
        Cause::NoMatchingPolicy => {}
        Cause::Revoked(revoked) => detail["revoked"] = json!(revoked),
        Cause::Failed(failures) => {
            let policy = |failure: &PolicyFailure| {
                let authorities: Vec<Value> = failure.authorities().iter().map(authority).collect();
                json!({"name": &*failure.policy, "reason": failure.as_str(), "authorities": authorities})
            };
            detail["policies"] = failures.iter().map(policy).collect();
        }
    }
    detail
}

/// What an authority says: who signed, where that was somebody else, and what revokes those who may.
fn authority(failure: &AuthorityFailure) -> Value {
    let mut value = json!({"name": &*failure.authority, "reason": failure.reason.as_str()});
    match &failure.reason {
        Reason::WrongIdentity { signers } => {
            value["expected"] = failure.expected.iter().take(SIGNERS).cloned().collect();
            value["signers"] = signers.iter().take(SIGNERS).map(|signer| json!(signer)).collect();
        }
        Reason::Revoked { by } => value["revoked"] = by.iter().take(SIGNERS).map(|by| json!(by)).collect(),
        Reason::Unsigned
        | Reason::WrongPredicate { .. }
        | Reason::Flawed { .. }
        | Reason::OtherSubject
        | Reason::NotCompliant { .. }
        | Reason::StaticFail { .. } => {}
    }
    value
}

fn content(error: &ContentError) -> Answer {
    match error {
        ContentError::Fetch(error) => fetch(error, ErrorCode::ManifestUnknown, "manifest"),
        ContentError::Invalid(error) => Answer::new(
            StatusCode::BAD_GATEWAY,
            ErrorCode::ManifestInvalid,
            "manifest-invalid",
            format!("the upstream sent a manifest that is refused: {error}"),
        ),
        ContentError::Lost => Answer::unavailable("internal", error.to_string(), None),
    }
}

fn fetch(error: &FetchError, not_found: ErrorCode, what: &str) -> Answer {
    match error {
        FetchError::NotFound => Answer::new(
            StatusCode::NOT_FOUND,
            not_found,
            "not-found",
            format!("the upstream has no such {what}"),
        ),
        FetchError::Unauthorized => Answer::new(
            StatusCode::FORBIDDEN,
            ErrorCode::Denied,
            "upstream-unauthorized",
            "the upstream refuses access to this repository",
        ),
        FetchError::TooManyRequests { retry_after } => {
            Answer::unavailable("upstream-busy", "the upstream asks to slow down", *retry_after)
        }
        FetchError::Unavailable(_) => {
            Answer::unavailable("upstream-unavailable", "the upstream did not answer", None)
        }
        FetchError::WrongContent(_) | FetchError::TooLarge { .. } | FetchError::Refused(_) => Answer::new(
            StatusCode::BAD_GATEWAY,
            ErrorCode::ManifestInvalid,
            "upstream-wrong",
            format!("what the upstream sent is refused: {error}"),
        ),
    }
}

fn blob(error: &cache::FillError) -> Answer {
    use cache::FillError;

    if let Some(error) = error.source_as::<FetchError>() {
        return fetch(error, ErrorCode::BlobUnknown, "blob");
    }
    match error {
        FillError::Disk(_) | FillError::Changed | FillError::Lost => {
            Answer::unavailable("internal", error.to_string(), None)
        }
        FillError::Source(_)
        | FillError::WrongContent(_)
        | FillError::TooShort { .. }
        | FillError::TooLong { .. } => Answer::new(
            StatusCode::BAD_GATEWAY,
            ErrorCode::BlobUnknown,
            "blob-refused",
            format!("the blob could not be had: {error}"),
        ),
    }
}
