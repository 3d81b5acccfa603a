//! Where the bytes of a fill come from: the object store, and the caller's source where that does not give them all.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt, TryStream, TryStreamExt};

use crate::{BoxError, Bucket};

type Pieces<'a> = BoxStream<'a, Result<Bytes, BoxError>>;

/// What the object store gives, and from where it breaks off what the caller's source does: all are hashed together, so
/// that it does not matter who gave what.
pub(super) fn with_fallback<'a, Fetch, Fetching, Source, Error>(
    bucket: Arc<Bucket>,
    pieces: Pieces<'static>,
    size: u64,
    fetch: Fetch,
) -> impl Stream<Item = Result<Bytes, BoxError>> + Send + 'a
where
    Fetch: FnOnce() -> Fetching + Send + 'a,
    Fetching: Future<Output = Result<Source, Error>> + Send + 'a,
    Source: TryStream<Ok = Bytes> + Send + 'static,
    Source::Error: Into<BoxError> + Send,
    Error: Into<BoxError> + Send,
{
    let begin = State { pieces, given: 0, skip: 0, fetch: Some((bucket, fetch)) };
    stream::try_unfold(begin, move |mut state| async move {
        loop {
            match (state.pieces.try_next().await, state.fetch.take()) {
                (Ok(Some(mut bytes)), fetch) => {
                    state.fetch = fetch;
                    let skipped = state.skip.min(bytes.len() as u64);
                    state.skip -= skipped;
                    bytes.advance(usize::try_from(skipped).unwrap_or(usize::MAX));
                    state.given += bytes.len() as u64;
                    if !bytes.is_empty() {
                        return Ok(Some((bytes, state)));
                    }
                }
                // It gave all of it, or the caller's source has ended.
                (Ok(None), None) => return Ok(None),
                (Ok(None), Some(_)) if state.given == size => return Ok(None),
                (Err(error), None) => return Err(error),
                (broken, Some((bucket, fetch))) => {
                    match broken {
                        Err(error) => bucket.trouble(&*error),
                        Ok(_) => bucket.trouble(&std::io::Error::from(std::io::ErrorKind::UnexpectedEof)),
                    }
                    let source = fetch().await.map_err(Into::into)?;
                    state.pieces = source.map_err(Into::into).into_stream().boxed();
                    state.skip = state.given;
                }
            }
        }
    })
}

struct State<Fetch> {
    pieces: Pieces<'static>,
    /// How many bytes were given.
    given: u64,
    /// How many that come next were given already.
    skip: u64,
    /// Whom to ask when the object store breaks off; nobody, once that was done.
    fetch: Option<(Arc<Bucket>, Fetch)>,
}
