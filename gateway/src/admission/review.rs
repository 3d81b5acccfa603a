//! The question of the API server, read as little as needed, and its answer.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::decision::Decision;

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
pub struct AdmissionRequest<'a> {
    /// The name of the question, repeated in the answer.
    #[serde(borrow)]
    pub uid: Cow<'a, str>,
    /// The kind of the object.
    #[serde(borrow)]
    pub kind: GroupVersionKind<'a>,
    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`.
    #[serde(borrow)]
    pub operation: Cow<'a, str>,
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
}

/// The group, version and kind of an object.
#[derive(Debug, Deserialize)]
pub struct GroupVersionKind<'a> {
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
pub enum InvalidReview {
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
    pub fn parse(body: &'a Bytes) -> Result<Self, InvalidReview> {
        let review: Review<'a> = serde_json::from_slice(body)?;
        if review.api_version != "admission.k8s.io/v1" || review.kind != "AdmissionReview" {
            return Err(InvalidReview::OtherVersion {
                api_version: review.api_version.into_owned(),
                kind: review.kind.into_owned(),
            });
        }
        review.request.ok_or(InvalidReview::NoRequest)
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

#[derive(Debug, Serialize)]
struct AuditAnnotations {
    decision: String,
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
    /// The request starts nothing: a deletion, or a part of an object that holds no image.
    StartsNothing,
    /// The object is a policy, and was read as this set.
    Policy(policies::PolicySet),
    /// Mutation, which decides nothing: what it leaves is validated.
    Mutation,
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

    /// The same answer under a name, by which it is found in the logs. A person is told it, on a line of its own, where
    /// there is more to find than the message says; other messages are known to the letter.
    #[must_use]
    pub(crate) fn named(mut self, decision: Decision) -> Self {
        if let Some(status) = &mut self.status
            && (status.code == UNAVAILABLE || status.message.contains("failed policy: "))
        {
            status.message.push_str(&format!("\ndecision {decision}"));
        }
        self.audit_annotations = Some(AuditAnnotations { decision: decision.to_string() });
        self
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
            Ground::StartsNothing | Ground::Mutation => {}
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
        let status = Status { status: "Failure", reason: "BadRequest", code: 400, message };
        Self { status: Some(status), warnings, ..Self::empty(uid) }
    }

    /// Says that it could not be told, which is no.
    pub(super) fn undecided(uid: &'a str, message: String, warnings: Vec<String>) -> Self {
        let status = Status { status: "Failure", reason: "ServiceUnavailable", code: UNAVAILABLE, message };
        Self { status: Some(status), warnings, ..Self::empty(uid) }
    }

    /// Whether the API server may go on.
    pub(super) fn allowed(&self) -> bool {
        self.allowed
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
