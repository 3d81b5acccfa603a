//! Conversion between versions, as `apiextensions.k8s.io/v1` asks for it.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

/// The part of a `ConversionReview` that is a question.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    api_version: String,
    kind: String,
    request: Question,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Question {
    uid: String,
    #[serde(rename = "desiredAPIVersion")]
    desired_api_version: String,
    objects: Vec<Value>,
}

/// Answers a review: every object in order, or none and why.
///
/// # Errors
/// Why the body is no such review.
pub(in crate::admission) fn convert(body: &Bytes) -> Result<Bytes, String> {
    let review: Review =
        serde_json::from_slice(body).map_err(|error| format!("the body is no ConversionReview: {error}"))?;
    if review.api_version != "apiextensions.k8s.io/v1" || review.kind != "ConversionReview" {
        let (version, kind) = (review.api_version, review.kind);
        return Err(format!(
            "the body is {version} {kind}; this webhook answers apiextensions.k8s.io/v1 ConversionReview"
        ));
    }
    let Question { uid, desired_api_version, objects } = review.request;
    let converted: Result<Vec<_>, _> =
        objects.iter().map(|object| policies::convert(object, &desired_api_version)).collect();
    let response = match converted {
        Ok(objects) => json!({"uid": uid, "convertedObjects": objects, "result": {"status": "Success"}}),
        Err(why) => json!({
            "uid": uid, "convertedObjects": [], "result": {"status": "Failure", "message": why.to_string()},
        }),
    };
    let review =
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": response});
    Ok(review.to_string().into())
}
