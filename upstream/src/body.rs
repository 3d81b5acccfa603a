//! Reading what an upstream sends.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::time::timeout;

use crate::error::{Awaited, FetchError, Outage};

/// A blob on its way. **Nobody has checked it**: whoever reads it hashes it, and bounds it where `size` is missing.
pub struct Body {
    /// How many bytes there will be, if that was announced. A body that turns out shorter ends in an error, and none
    /// is longer.
    pub size: Option<u64>,
    /// The bytes. Nothing comes after an error. Dropping it closes or abandons the transfer.
    pub stream: BoxStream<'static, Result<Bytes, FetchError>>,
}

impl Body {
    /// The body of an answer, with a time limit on every piece.
    pub(crate) fn new(body: Incoming, patience: Duration) -> Self {
        Self { size: body.size_hint().exact(), stream: pieces(body, patience) }
    }

    /// Reads it all, if it has no more than this many bytes.
    pub(crate) async fn collect(mut self, limit: u64) -> Result<Bytes, FetchError> {
        let too_large = FetchError::TooLarge { limit };
        if self.size.is_some_and(|size| size > limit) {
            return Err(too_large);
        }
        let mut bytes = BytesMut::new();
        while let Some(piece) = self.stream.next().await {
            let piece = piece?;
            if (bytes.len() + piece.len()) as u64 > limit {
                return Err(too_large);
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.freeze())
    }
}

/// Reads a small document, all of it within a time limit.
pub(crate) async fn document(body: Incoming, limit: u64, patience: Duration) -> Result<Bytes, FetchError> {
    match timeout(patience, Body::new(body, patience).collect(limit)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Outage::TimedOut(Awaited::Body).into()),
    }
}

/// Reads an answer that says nothing of interest, so that its connection can be used again.
pub(crate) async fn discard(body: Incoming) {
    const LIMIT: u64 = 64 * 1024;
    const PATIENCE: Duration = Duration::from_secs(1);
    // A connection that cannot be used again is closed; no harm is done.
    drop(document(body, LIMIT, PATIENCE).await);
}

fn pieces(body: Incoming, patience: Duration) -> BoxStream<'static, Result<Bytes, FetchError>> {
    stream::unfold(Some(body), move |body| async move {
        let mut body = body?;
        match timeout(patience, next(&mut body)).await {
            Ok(Ok(Some(piece))) => Some((Ok(piece), Some(body))),
            Ok(Ok(None)) => None,
            Ok(Err(error)) => Some((Err(Outage::Broken(Box::new(error)).into()), None)),
            Err(_) => Some((Err(Outage::TimedOut(Awaited::Body).into()), None)),
        }
    })
    .boxed()
}

/// The next bytes. Frames without any are no progress, or they could be sent for ever.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, hyper::Error> {
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(bytes) if !bytes.is_empty() => return Ok(Some(bytes)),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(None)
}
