//! The question of the API server, read as little as needed, and its answer.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use super::message;
use crate::decision::Decision;
use crate::records::Outcome;

/// The part of an `AdmissionReview` (`admission.k8s.io/v1`) that is a question.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Review<'a> {
    /// `admission.k8s.io/v1`.
    #[serde(borrow)]
    pub api_version: Cow<'a, str>,
    /// `AdmissionReview`.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    /// The question itself.
    #[serde(borrow)]
    pub request: Option<AdmissionRequest<'a>>,
}

/// One question.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AdmissionRequest<'a> {
    /// The name of the question, repeated in the answer.
    #[serde(borrow)]
    pub uid: Cow<'a, str>,
    /// The kind of the object.
    #[serde(borrow)]
    pub kind: GroupVersionKind<'a>,
    /// What is done to it.
    pub operation: Operation,
    /// Which part of the object is written, if not all of it.
    #[serde(borrow, default)]
    pub sub_resource: Option<Cow<'a, str>>,
    /// The namespace, if the object is in one.
    #[serde(borrow, default)]
    pub namespace: Option<Cow<'a, str>>,
    /// The name, if it has one yet.
    #[serde(borrow, default)]
    pub name: Option<Cow<'a, str>>,
    /// The object, left as text: most of it concerns nobody here.
    #[serde(borrow, default)]
    pub object: Option<&'a RawValue>,
    /// The object as it was, where it is updated or deleted.
    #[serde(borrow, default)]
    pub old_object: Option<&'a RawValue>,
    /// Whether the API server only wants to know what would be, and keeps nothing.
    #[serde(default)]
    pub dry_run: Option<bool>,
}

/// What is done to an object.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Operation {
    /// It is made.
    Create,
    /// It is changed.
    Update,
    /// It is removed.
    Delete,
    /// Something of it is opened, such as a shell in a Pod.
    Connect,
}

impl Operation {
    /// As the API server writes it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }

    /// Whether an object is written, rather than removed or opened.
    pub(super) fn writes(self) -> bool {
        matches!(self, Self::Create | Self::Update)
    }
}

/// The group, version and kind of an object.
#[derive(Debug, Deserialize)]
pub(super) struct GroupVersionKind<'a> {
    /// The API group, empty for the core.
    #[serde(borrow, default)]
    pub group: Cow<'a, str>,
    /// The version in the group.
    #[serde(borrow, default)]
    pub version: Cow<'a, str>,
    /// The kind.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
}

/// Why some bytes are no question.
#[derive(Debug, Error)]
pub(super) enum InvalidReview {
    /// They are not the JSON of a review.
    #[error("the body is no AdmissionReview: {0}")]
    Malformed(#[from] serde_json::Error),
    /// They are a review of another version or kind.
    #[error("the body is {api_version} {kind}; this webhook answers admission.k8s.io/v1 AdmissionReview")]
    OtherVersion {
        /// What it says.
        api_version: String,
        /// What it says.
        kind: String,
    },
    /// There is no request in it.
    #[error("the review has no request")]
    NoRequest,
}

impl<'a> AdmissionRequest<'a> {
    /// Reads a review and takes the question out of it.
    pub(super) fn parse(body: &'a Bytes) -> Result<Self, InvalidReview> {
        let review: Review<'a> = serde_json::from_slice(body)?;
        if review.api_version != "admission.k8s.io/v1" || review.kind != "AdmissionReview" {
            return Err(InvalidReview::OtherVersion {
                api_version: review.api_version.into_owned(),
                kind: review.kind.into_owned(),
            });
        }
        review.request.ok_or(InvalidReview::NoRequest)
    }

    /// Which part of the object is written; empty where all of it is.
    pub(super) fn part(&self) -> &str {
        self.sub_resource.as_deref().unwrap_or_default()
    }

    /// Whether nothing that is answered comes to pass.
    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run.unwrap_or_default()
    }
}

/// An answer. It denies unless [`Answer::allow`] made it, which wants a proof for every image, or [`Answer::patched`],
/// which decides nothing: what it leaves is validated.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    /// Kept by the API server in its audit log, under the webhook's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    audit_annotations: Option<AuditAnnotations>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct AuditAnnotations {
    /// By which name it is found in the logs and among the records.
    decision: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// What would have been said, where nothing is but yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    would_be: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Status {
    status: &'static str,
    reason: &'static str,
    code: u16,
    message: String,
}

/// The status code of what could not be told.
const UNAVAILABLE: u16 = 503;

/// Why the API server may go on.
#[derive(Debug)]
pub(super) enum Ground {
    /// Every image of the object was allowed.
    Images(Vec<policies::Allowed>),
    /// The request starts nothing.
    StartsNothing,
    /// The request makes no policy.
    NoPolicy,
    /// The object is a policy, and was read as this set.
    Policy(policies::PolicySet),
    /// Mutation, which decides nothing: what it leaves is validated.
    Mutation,
    /// The operator wants to know what would be said, and not that it is.
    Observed,
}

impl<'a> Answer<'a> {
    /// What an answer is before anything is known.
    fn empty(uid: &'a str) -> Self {
        Self {
            uid,
            allowed: false,
            status: None,
            warnings: Vec::new(),
            patch_type: None,
            patch: None,
            audit_annotations: None,
        }
    }

    /// The same answer under a name, by which it is found in the logs and among the records, and for a reason. A person is
    /// told the name, on a line of its own, where there is more to find than the message says; other messages are known to
    /// the letter.
    #[must_use]
    pub(super) fn named(mut self, decision: Decision, reason: Option<&'static str>) -> Self {
        let decision = decision.to_string();
        if let Some(status) = &mut self.status
            && (status.code == UNAVAILABLE || status.message.contains("failed policy: "))
        {
            status.message = message::with_decision(&status.message, &decision);
        }
        self.audit_annotations = Some(AuditAnnotations { decision, reason, would_be: None });
        self
    }

    /// Yes, where this is what would have been said.
    #[must_use]
    pub(super) fn observed(self) -> Self {
        let would_be = self.outcome().as_str();
        let annotations =
            self.audit_annotations.map(|it| AuditAnnotations { would_be: Some(would_be), ..it });
        Self { audit_annotations: annotations, ..Self::allow(self.uid, Ground::Observed, Vec::new()) }
    }

    /// What it says.
    pub(super) fn outcome(&self) -> Outcome {
        match &self.status {
            None if self.allowed => Outcome::Allowed,
            Some(status) if status.code == UNAVAILABLE => Outcome::Undecided,
            None | Some(_) => Outcome::Denied,
        }
    }

    /// The name it was given.
    pub(crate) fn decision(&self) -> Option<&str> {
        self.audit_annotations.as_ref().map(|annotations| annotations.decision.as_str())
    }

    /// What it says to a person, if it is no.
    pub(crate) fn message(&self) -> Option<&str> {
        self.status.as_ref().map(|status| status.message.as_str())
    }

    /// Lets the API server go on.
    pub(super) fn allow(uid: &'a str, ground: Ground, warnings: Vec<String>) -> Self {
        // A proof is spent on one answer.
        match ground {
            Ground::Images(proofs) => drop(proofs),
            Ground::Policy(read) => drop(read),
            Ground::StartsNothing | Ground::NoPolicy | Ground::Mutation | Ground::Observed => {}
        }
        Self { allowed: true, warnings, ..Self::empty(uid) }
    }

    /// Lets the API server go on with the object changed by these JSON Patch operations.
    pub(super) fn patched(uid: &'a str, patch: &[u8], warnings: Vec<String>) -> Self {
        let patch = (!patch.is_empty()).then(|| base64_of(patch));
        let patch_type = patch.as_ref().map(|_| "JSONPatch");
        Self { allowed: true, warnings, patch_type, patch, ..Self::empty(uid) }
    }

    /// Says no, in policy-controller's terms: 400 and `BadRequest`.
    pub(super) fn deny(uid: &'a str, message: String, warnings: Vec<String>) -> Self {
        let message = message::bounded(message);
        let status = Status { status: "Failure", reason: "BadRequest", code: 400, message };
        Self { status: Some(status), warnings, ..Self::empty(uid) }
    }

    /// Says that it could not be told, which is no.
    pub(super) fn undecided(uid: &'a str, message: String, warnings: Vec<String>) -> Self {
        let message = message::bounded(message);
        let status = Status { status: "Failure", reason: "ServiceUnavailable", code: UNAVAILABLE, message };
        Self { status: Some(status), warnings, ..Self::empty(uid) }
    }

    /// The review that carries this answer.
    pub(super) fn encode(&self) -> Bytes {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Envelope<'a, 'b> {
            api_version: &'static str,
            kind: &'static str,
            response: &'b Answer<'a>,
        }
        let envelope =
            Envelope { api_version: "admission.k8s.io/v1", kind: "AdmissionReview", response: self };
        // An empty body is no review, so a failure to write one denies.
        serde_json::to_vec(&envelope).map(Bytes::from).unwrap_or_default()
    }
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
