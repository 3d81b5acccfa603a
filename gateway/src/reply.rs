//! Bodies of responses, for all listeners.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use http::{HeaderValue, Response, StatusCode, header};
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use oci::Digest;
use thiserror::Error;

/// What a stream of content can fail with.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// That a body broke off. The client sees a connection that ended too early.
#[derive(Debug, Error)]
#[error("the content broke off")]
pub struct BrokenOff(#[source] BoxError);

/// A body: bytes at hand, or a stream of them.
pub struct Body(Kind);

enum Kind {
    Whole(Full<Bytes>),
    Stream(UnsyncBoxBody<Bytes, BrokenOff>),
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match &mut self.0 {
            Kind::Whole(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
            Kind::Stream(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(body) => body.is_end_stream(),
            Kind::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(body) => body.size_hint(),
            Kind::Stream(body) => body.size_hint(),
        }
    }
}

/// The names of headers that `http` has none for, made once: from its text each would be put together anew.
pub(crate) mod names {
    use http::HeaderName;

    pub(crate) static API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
    /// Where the answer came from.
    pub(crate) static CACHE: HeaderName = HeaderName::from_static("countersign-cache");
    pub(crate) static CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
    /// By which the answer is found in the logs.
    pub(crate) static DECISION: HeaderName = HeaderName::from_static("countersign-decision");
    pub(crate) static FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
    pub(crate) static NAMESPACE: HeaderName = HeaderName::from_static("oci-namespace");
    /// Why the answer is what it is.
    pub(crate) static REASON: HeaderName = HeaderName::from_static("countersign-reason");
    /// How many seconds ago the tag meant what it is taken for.
    pub(crate) static STALE: HeaderName = HeaderName::from_static("countersign-stale");
}

/// A body of bytes at hand.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Body(Kind::Whole(Full::new(bytes.into())))
}

/// A body that is sent as it comes.
pub(crate) fn stream<S, E>(content: S) -> Body
where
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    let frames = content.map_ok(Frame::data).map_err(|error| BrokenOff(error.into()));
    Body(Kind::Stream(StreamBody::new(frames.boxed()).boxed_unsync()))
}

/// A short answer in plain text.
pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    let mut text: String = text.into();
    text.push('\n');
    let mut response = Response::new(whole(text));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// A header value of what may hold anything: whatever cannot stand in a header becomes a question mark.
pub(crate) fn header_value(text: &str) -> HeaderValue {
    let printable: String = text
        .chars()
        .map(|character| if character == '\n' { ' ' } else { character })
        .map(|character| if (' '..='~').contains(&character) { character } else { '?' })
        .take(1024)
        .collect();
    HeaderValue::from_str(&printable).unwrap_or_else(|_| HeaderValue::from_static("?"))
}

/// The entity tag of the content of a digest: there is no other content with this one.
pub(crate) fn entity_tag(digest: Digest) -> HeaderValue {
    header_value(&format!("\"{digest}\""))
}
