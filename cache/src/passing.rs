//! Content that passes through without being kept: where the disk takes nothing.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, TryStream, TryStreamExt, stream};
use oci::{Digest, Hasher, WrongContent};

use crate::{BoxError, FillError, HOLD_BACK, ReadError};

/// These bytes of content that a source gives whole, hashed on the way and kept nowhere. As of content that is kept, the
/// last [`HOLD_BACK`] bytes come when all of it was checked, or an error in their place. Each who asks needs a source of
/// their own; what leaves lets go of it.
pub fn pass_through<Source>(
    source: Source,
    digest: Digest,
    size: u64,
    range: Range<u64>,
) -> impl Stream<Item = Result<Bytes, ReadError>> + Send + 'static
where
    Source: TryStream<Ok = Bytes> + Send + 'static,
    Source::Error: Into<BoxError> + 'static,
{
    let source = source.map_err(Into::into).into_stream();
    let passing = Passing {
        source: Box::pin(source),
        hasher: Some(Hasher::new(digest.algorithm())),
        digest,
        size,
        range,
        come: 0,
        held: VecDeque::new(),
        held_bytes: 0,
    };
    stream::try_unfold(passing, |mut passing| async move {
        let next = passing.next().await?;
        Ok(next.map(|bytes| (bytes, passing)))
    })
}

struct Passing {
    source: Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>,
    /// Gone once all came and was right.
    hasher: Option<Hasher>,
    digest: Digest,
    size: u64,
    range: Range<u64>,
    come: u64,
    held: VecDeque<Bytes>,
    held_bytes: u64,
}

impl Passing {
    async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        if self.range.end > self.size {
            return Err(ReadError::OutOfRange { size: self.size });
        }
        loop {
            if let Some(bytes) = self.released() {
                return Ok(Some(bytes));
            }
            if self.hasher.is_none() {
                return Ok(None);
            }
            self.take().await.map_err(|error| ReadError::Fill(Arc::new(error)))?;
        }
    }

    /// What may be given by now.
    fn released(&mut self) -> Option<Bytes> {
        let held_back = if self.hasher.is_some() { HOLD_BACK } else { 0 };
        let free = usize::try_from(self.held_bytes.saturating_sub(held_back)).unwrap_or(usize::MAX);
        if free == 0 {
            return None;
        }
        let mut first = self.held.pop_front()?;
        if first.len() > free {
            self.held.push_front(first.split_off(free));
        }
        self.held_bytes -= first.len() as u64;
        Some(first)
    }

    /// Takes what comes next, or finds that all came and is right.
    async fn take(&mut self) -> Result<(), FillError> {
        let Some(mut bytes) = self.source.try_next().await.map_err(FillError::Source)? else {
            return self.check();
        };
        let begin = self.come;
        self.come += bytes.len() as u64;
        if self.come > self.size {
            return Err(FillError::TooLong { want: self.size });
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&bytes);
        }
        let within =
            |offset: u64| usize::try_from(offset.clamp(begin, self.come) - begin).unwrap_or(usize::MAX);
        let part = within(self.range.start)..within(self.range.end);
        if !part.is_empty() {
            bytes = bytes.slice(part);
            self.held_bytes += bytes.len() as u64;
            self.held.push_back(bytes);
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), FillError> {
        if self.come < self.size {
            return Err(FillError::TooShort { want: self.size, got: self.come });
        }
        match self.hasher.take().map(Hasher::finish) {
            Some(got) if got != self.digest => Err(WrongContent { want: self.digest, got }.into()),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::StreamExt;
    use proptest::prelude::*;

    use super::*;

    const HELD: usize = HOLD_BACK as usize;

    fn content(length: usize) -> Vec<u8> {
        (0..length as u32 / 4 + 1).flat_map(u32::to_be_bytes).take(length).collect()
    }

    /// What is given, and whether it ends well.
    fn given(bytes: &[u8], piece: usize, digest: Digest, size: u64, range: Range<u64>) -> (Vec<u8>, bool) {
        let pieces: Vec<_> =
            bytes.chunks(piece).map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece))).collect();
        let passing = Box::pin(pass_through(stream::iter(pieces), digest, size, range));
        let items = futures_util::FutureExt::now_or_never(passing.collect::<Vec<_>>()).unwrap();
        let is_well = items.iter().all(Result::is_ok);
        (items.into_iter().flatten().flatten().collect(), is_well)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_right_comes_as_it_was_asked_for(
            size in 0..3 * HELD, piece in 1000..100_000_usize, from in 0..3 * HELD, to in 0..3 * HELD
        ) {
            let bytes = content(size);
            let (from, to) = (from.min(to).min(size), from.max(to).min(size));
            let (all, well) = given(&bytes, piece, Digest::of(&bytes), size as u64, from as u64..to as u64);
            prop_assert!(well && all == bytes[from..to]);
        }

        #[test]
        fn what_is_wrong_never_comes_whole(size in 1..3 * HELD, piece in 1000..100_000_usize, wrong in 0..3_u8) {
            let bytes = content(size);
            let (digest, want) = match wrong {
                0 => (Digest::of(b"other"), size as u64),
                1 => (Digest::of(&bytes), size as u64 + 1),
                _ => (Digest::of(&bytes), size as u64 - 1),
            };
            let (all, well) = given(&bytes, piece, digest, want, 0..want);
            prop_assert!(!well || want == 0);
            prop_assert!(all.len() <= size.saturating_sub(HELD), "{} of {size}", all.len());
        }
    }

    #[test]
    fn bytes_that_are_not_there_are_an_error() {
        assert!(!given(b"abc", 3, Digest::of(b"abc"), 3, 1..4).1);
    }
}
