//! Blobs that go on where they broke off.
//!
//! The rest is asked for at the registry and not at the URL that it redirected to: those are good for minutes. Any of the
//! endpoints may give it, since whoever reads hashes the whole.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use oci::{Digest, Endpoint as Path, Hasher, Repository, WrongContent};

use crate::body::{Body, Pieces};
use crate::error::{FetchError, Outage};
use crate::origin::Origin;
use crate::pace::Permit;
use crate::site::{Answer, Question, Site};
use crate::sites::Sites;
use crate::status::{check, check_encoding};
use crate::upstream::Kind;

/// How often a body may break off before so much of it came that it is worth going on.
const ATTEMPTS: u32 = 4;
const WORTHWHILE: u64 = 16 * 1024 * 1024;

/// A blob, from the first endpoint that has it.
pub(crate) async fn body(
    sites: &Arc<Sites>,
    repository: &Repository,
    digest: &Digest,
) -> Result<Body, FetchError> {
    let source = Source { sites: sites.clone(), repository: repository.clone(), digest: *digest };
    let part = source.part(0, None, None).await?;
    // Whoever reads hashes it. Where there is a choice it matters besides who was wrong.
    let hasher = sites.are_several().then(|| Hasher::new(digest.algorithm()));
    let transfer = Transfer {
        hasher,
        givers: vec![part.site.clone()],
        size: part.size,
        came: 0,
        came_before: 0,
        attempts: 0,
        maker: part.maker.clone(),
        part: Some(part),
        source,
    };
    let size = transfer.size;
    let stream = stream::unfold(transfer, |mut transfer| async move {
        transfer.next().await.map(|piece| (piece, transfer))
    });
    Ok(Body { size, stream: stream.boxed() })
}

/// What is fetched, and where from.
struct Source {
    sites: Arc<Sites>,
    repository: Repository,
    digest: Digest,
}

/// The rest of a blob, as one answer gives it.
struct Part {
    site: Arc<Site>,
    pieces: Pieces,
    /// How many of its bytes we have already, since it would not leave them out.
    skip: u64,
    /// How large the whole is, if that was said.
    size: Option<u64>,
    maker: Option<Maker>,
    _permit: Permit,
}

/// What a server calls this content. Only its own word counts against it: another one may call it otherwise.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Maker {
    origin: Origin,
    etag: HeaderValue,
}

/// A blob on its way.
struct Transfer {
    source: Source,
    size: Option<u64>,
    /// How many bytes were handed out, and how many had been when it last broke off.
    came: u64,
    came_before: u64,
    attempts: u32,
    maker: Option<Maker>,
    hasher: Option<Hasher>,
    /// The endpoints that gave any of it.
    givers: Vec<Arc<Site>>,
    /// Where they come from. Nothing comes after an end or an error.
    part: Option<Part>,
}

impl Transfer {
    async fn next(&mut self) -> Option<Result<Bytes, FetchError>> {
        loop {
            match self.part.as_mut()?.next().await {
                Ok(Some(piece)) => {
                    self.came += piece.len() as u64;
                    if let Some(hasher) = &mut self.hasher {
                        hasher.update(&piece);
                    }
                    if self.size.is_some_and(|size| self.came > size) {
                        self.part = None;
                        return Some(Err(FetchError::Refused("it sent more than it announced".to_owned())));
                    }
                    return Some(Ok(piece));
                }
                Ok(None) if self.size.is_none_or(|size| self.came == size) => {
                    self.part = None;
                    return self.check().await.err().map(Err);
                }
                ended => {
                    let error = ended.err().unwrap_or_else(|| Outage::Short.into());
                    let broken = self.part.take()?;
                    match self.go_on(broken, error).await {
                        Ok(part) => {
                            self.givers.push(part.site.clone());
                            self.part = Some(part);
                        }
                        Err(error) => return Some(Err(error)),
                    }
                }
            }
        }
    }

    /// Whether it was what it should be, where that decides who is asked the next time.
    async fn check(&mut self) -> Result<(), FetchError> {
        let Some(got) = self.hasher.take().map(Hasher::finish) else { return Ok(()) };
        let want = self.source.digest;
        if got == want {
            return Ok(());
        }
        for site in &self.givers {
            tracing::warn!(endpoint = %site.origin, digest = %want, "an endpoint sent other bytes than were asked for");
            site.doubt(want).await;
        }
        Err(WrongContent { want, got }.into())
    }

    /// The rest, after what broke off did.
    async fn go_on(&mut self, broken: Part, mut error: FetchError) -> Result<Part, FetchError> {
        let site = broken.site.clone();
        // It takes no room while we wait for some.
        drop(broken);
        if self.came - self.came_before >= WORTHWHILE {
            self.attempts = 0;
        }
        self.came_before = self.came;
        while error.is_transient() && self.attempts < ATTEMPTS {
            tokio::time::sleep(site.client.pause(self.attempts)).await;
            self.attempts += 1;
            match self.source.part(self.came, self.size, self.maker.as_ref()).await {
                Ok(part) => {
                    part.site.figures.resumed();
                    tracing::debug!(digest = %self.source.digest, from = self.came, "a blob goes on");
                    return Ok(part);
                }
                Err(again) => error = again,
            }
        }
        Err(error)
    }
}

impl Source {
    /// The blob from one of its bytes on.
    async fn part(&self, from: u64, size: Option<u64>, maker: Option<&Maker>) -> Result<Part, FetchError> {
        let path = &Path::Blob(self.repository.clone(), self.digest);
        let asking = async |site: Arc<Site>| {
            if site.is_doubted(&self.digest) {
                return Err(FetchError::Refused("it sent other bytes than were asked for before".to_owned()));
            }
            let uri = site.uri(path)?;
            let question = Question {
                method: &Method::GET,
                repository: &self.repository,
                uri: &uri,
                kind: Kind::Blob,
                from,
            };
            let answer = site.answer(question).await?;
            let part = Part::of(answer, site, from)?;
            part.continues(size, maker)?;
            Ok(part)
        };
        self.sites.ask(asking).await
    }
}

impl Part {
    fn of(answer: Answer, site: Arc<Site>, from: u64) -> Result<Self, FetchError> {
        let Answer { mut parts, body, voice, origin, permit } = answer;
        let pieces = Pieces::new(body, site.client.body_timeout());
        let announced = pieces.announced();
        let (skip, size) = if from > 0 && parts.status == StatusCode::PARTIAL_CONTENT {
            let (first, size) = content_range(&parts)
                .ok_or_else(|| FetchError::Refused("it sent a part without saying which".to_owned()))?;
            if first != from {
                return Err(FetchError::Refused("it sent another part than was asked for".to_owned()));
            }
            // As good as a whole, for what is checked of it.
            parts.status = StatusCode::OK;
            (0, size.or_else(|| Some(from + announced?)))
        } else {
            (from, announced)
        };
        check(&parts, voice)?;
        check_encoding(&parts.headers)?;
        let maker = strong_etag(&parts.headers).map(|etag| Maker { origin, etag });
        Ok(Self { site, pieces, skip, size, maker, _permit: permit })
    }

    /// Whether this can be the rest of what came before.
    fn continues(&self, size: Option<u64>, maker: Option<&Maker>) -> Result<(), FetchError> {
        let other_size = size.zip(self.size).is_some_and(|(before, now)| before != now);
        let renamed = maker
            .zip(self.maker.as_ref())
            .is_some_and(|(before, now)| before.origin == now.origin && before.etag != now.etag);
        if other_size || renamed {
            return Err(FetchError::Refused("the content changed while it was fetched".to_owned()));
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        while let Some(mut piece) = self.pieces.next().await? {
            let known = self.skip.min(piece.len() as u64);
            self.skip -= known;
            // No piece is larger than memory.
            let rest = piece.split_off(usize::try_from(known).unwrap_or(usize::MAX));
            if !rest.is_empty() {
                return Ok(Some(rest));
            }
        }
        Ok(None)
    }
}

/// The first byte of a part, and the size of the whole if it is said, of a `Content-Range`
/// ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-14.4)).
fn content_range(parts: &Parts) -> Option<(u64, Option<u64>)> {
    let value = parts.headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (range, size) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let size = if size == "*" { None } else { Some(size.parse().ok()?) };
    // It is the rest that was asked for, up to the end.
    (first <= last && size.is_none_or(|size: u64| last.checked_add(1) == Some(size))).then_some((first, size))
}

fn strong_etag(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(header::ETAG).filter(|etag| etag.as_bytes().starts_with(b"\"")).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(value: &str) -> Option<(u64, Option<u64>)> {
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.headers.insert(header::CONTENT_RANGE, value.parse().unwrap());
        content_range(&parts)
    }

    #[test]
    fn a_range_is_the_rest_and_says_where_it_begins() {
        assert_eq!(range("bytes 3-6/7"), Some((3, Some(7))));
        assert_eq!(range("bytes 3-6/*"), Some((3, None)));
        for other in
            ["bytes 3-5/7", "bytes 6-3/7", "bytes */7", "items 3-6/7", "bytes 3-/7", "3-6/7", "bytes 3-6/x"]
        {
            assert_eq!(range(other), None, "{other}");
        }
        assert_eq!(range("bytes 3-18446744073709551615/7"), None);
    }
}
