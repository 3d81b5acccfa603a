//! Reading what an upstream sends.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::BoxStream;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout};

use crate::error::{Awaited, FetchError, Outage};

/// A blob on its way. **Nobody has checked it**: whoever reads it hashes it, and bounds it where `size` is missing.
pub struct Body {
    /// How many bytes there will be, if that was announced. A body that turns out shorter ends in an error, and none
    /// is longer.
    pub size: Option<u64>,
    /// The bytes. Nothing comes after an error. Dropping it closes or abandons the transfer.
    pub stream: BoxStream<'static, Result<Bytes, FetchError>>,
}

/// Reads the body of one answer, a piece at a time.
pub(crate) struct Pieces {
    body: Incoming,
    patience: Duration,
    /// How much longer is waited for the rest of what has to come in `patience`.
    left: Duration,
    /// What came of it so far.
    came: u64,
}

/// How many bytes have to come in every time limit. Who sends a byte now and then does not hold us up for ever.
const LEAST: u64 = 64 * 1024;

impl Pieces {
    pub(crate) fn new(body: Incoming, patience: Duration) -> Self {
        Self { body, patience, left: patience, came: 0 }
    }

    /// How many bytes are still to come, if that was announced.
    pub(crate) fn announced(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// The next bytes, or nothing at the end. Only the time that we wait counts, not that of whoever reads.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        let started = Instant::now();
        let piece = match timeout(self.left, data(&mut self.body)).await {
            Ok(piece) => piece.map_err(|error| Outage::Broken(Box::new(error)))?,
            Err(_) => return Err(Outage::TimedOut(Awaited::Body).into()),
        };
        self.left = self.left.saturating_sub(started.elapsed());
        self.came += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        if self.came >= LEAST {
            (self.came, self.left) = (0, self.patience);
        }
        Ok(piece)
    }

    /// Reads it all, if it has no more than this many bytes.
    async fn collect(mut self, limit: u64) -> Result<Bytes, FetchError> {
        let too_large = FetchError::TooLarge { limit };
        if self.announced().is_some_and(|size| size > limit) {
            return Err(too_large);
        }
        let mut bytes = BytesMut::new();
        while let Some(piece) = self.next().await? {
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
    match timeout(patience, Pieces::new(body, patience).collect(limit)).await {
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

/// The next bytes. Frames without any are no progress, or they could be sent for ever.
async fn data(body: &mut Incoming) -> Result<Option<Bytes>, hyper::Error> {
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(bytes) if !bytes.is_empty() => return Ok(Some(bytes)),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(None)
}
