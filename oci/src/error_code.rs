//! How a registry says no.

use serde::Serialize;

/// An error code of the [distribution specification](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// The blob is not known here.
    BlobUnknown,
    /// The digest does not parse.
    DigestInvalid,
    /// The manifest is not one.
    ManifestInvalid,
    /// The manifest is not known here.
    ManifestUnknown,
    /// The repository name or tag does not parse, or contradicts itself.
    NameInvalid,
    /// The repository, or its registry, is not known here.
    NameUnknown,
    /// How many entries a page of a list is to have is no number. Not in the specification; what its reference
    /// implementation says.
    PaginationNumberInvalid,
    /// What was asked for may not be had.
    Denied,
    /// Whoever asks has to log in.
    Unauthorized,
    /// The operation is not offered.
    Unsupported,
    /// Too much was asked for.
    #[serde(rename = "TOOMANYREQUESTS")]
    TooManyRequests,
    /// It could not be told. Not in the specification, which has no code for a failure of the registry itself.
    Unavailable,
}

/// The body of an error response: `{"errors":[{"code":…,"message":…,"detail":…}]}`.
#[derive(Debug, Serialize)]
pub struct ErrorBody<D> {
    errors: [Entry<D>; 1],
}

#[derive(Debug, Serialize)]
struct Entry<D> {
    code: ErrorCode,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<D>,
}

impl<D: Serialize> ErrorBody<D> {
    /// A body with one error in it.
    pub fn new(code: ErrorCode, message: impl Into<String>, detail: Option<D>) -> Self {
        Self { errors: [Entry { code, message: message.into(), detail }] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_spelled_as_in_the_specification() {
        let spelled = |code| serde_json::to_value(code).unwrap();
        assert_eq!(spelled(ErrorCode::BlobUnknown), "BLOB_UNKNOWN");
        assert_eq!(spelled(ErrorCode::Denied), "DENIED");
        assert_eq!(spelled(ErrorCode::TooManyRequests), "TOOMANYREQUESTS");
    }

    #[test]
    fn a_body_leaves_out_what_it_does_not_say() {
        let body = ErrorBody::<()>::new(ErrorCode::NameUnknown, "no such upstream", None);
        assert_eq!(
            serde_json::to_string(&body).unwrap(),
            r#"{"errors":[{"code":"NAME_UNKNOWN","message":"no such upstream"}]}"#
        );
    }
}
