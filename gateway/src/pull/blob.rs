//! Blobs: streamed to the client while they are hashed and kept.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache::{BoxError, FillError, Filling, Origin, ReadError, pass_through};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::{Response, StatusCode, header};
use oci::{ArtefactLimits, Digest, Verified};
use upstream::FetchError;

use super::cut::Download;
use super::range::{Wanted, wanted};
use super::{Ground, Permit, Pull, PullDoor, Refusal, conditional, respond};
use crate::content::{Content, ContentError};
use crate::place::Place;
use crate::reply::{Body, entity_tag, header_value, stream, whole};
use crate::verdicts::Source;

/// How long a blob waits until it may arrive, where too many of the same tenant's arrive already.
const PATIENCE: Duration = Duration::from_secs(30);

impl PullDoor {
    pub(super) async fn blob(
        &self,
        pull: &Pull<'_>,
        digest: Digest,
    ) -> Result<(Response<Body>, &'static str, Source), Refusal> {
        // From before the gate looks: what is revoked meanwhile is seen by the gate or heard of here.
        let mut revocations = self.revocations.clone();
        revocations.mark_unchanged();
        let (permit, size, parent) = self.gate.blob(&pull.place, digest).await?;
        self.confirm(pull, parent).await?;
        let signature = match permit.ground() {
            Ground::Artefact => Some(self.signature(pull, digest, size).await?),
            Ground::Judged(_) | Ground::Descent(_) | Ground::ReferrersList => None,
        };
        let (reason, tag) = (respond::reason(&permit), entity_tag(digest));
        if conditional::is_had(pull.headers, &tag) {
            let digest = header_value(&digest.to_string());
            let (source, no_match) = (Source::Memory, self.gate.no_match());
            let response = respond::not_modified(pull, digest, &tag, permit, source, no_match);
            return Ok((response, reason, source));
        }
        // Of HEAD a range is not defined.
        let range = conditional::range(pull.headers, &tag).filter(|_| !pull.head);
        let wanted = match wanted(range, size) {
            Wanted::Nothing => return Err(Refusal::Range { size }),
            wanted @ (Wanted::Whole | Wanted::Part(_)) => wanted,
        };
        let (body, source) = match signature {
            _ if pull.head => (whole(""), Source::Memory),
            Some(content) => (whole(content.bytes().slice(as_slice(&part(&wanted, size)))), Source::Memory),
            None => {
                let download = Download::new(self.gate.clone(), pull.place.clone(), digest, &permit);
                let (content, source) = self.stream(pull, digest, size, part(&wanted, size)).await?;
                (stream(download.guard(content, revocations)), source)
            }
        };
        Ok((self.blob_response(pull, digest, size, &wanted, body, permit, source), reason, source))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one response")]
    fn blob_response(
        &self,
        pull: &Pull<'_>,
        digest: Digest,
        size: u64,
        wanted: &Wanted,
        body: Body,
        permit: Permit,
        source: Source,
    ) -> Response<Body> {
        let mut response = Response::new(body);
        let range = part(wanted, size);
        if let Wanted::Part(Range { start, end }) = wanted {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let content_range = format!("bytes {start}-{}/{size}", end - 1);
            response.headers_mut().insert(header::CONTENT_RANGE, header_value(&content_range));
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, header_value("application/octet-stream"));
        headers.insert(header::CONTENT_LENGTH, (range.end - range.start).into());
        headers.insert(header::ACCEPT_RANGES, header_value("bytes"));
        headers.insert(header::ETAG, entity_tag(digest));
        respond::content_headers(headers, pull, header_value(&digest.to_string()), source);
        respond::ground(headers, &permit, self.gate.no_match());
        drop(permit);
        response
    }

    /// The bytes of a blob, from disk or, the first time, from the upstream. All who ask share one fetch; the last
    /// bytes are held back until the whole is known to be what was asked for. Where the disk takes nothing, each who
    /// asks has a fetch of their own, of which nothing is kept.
    async fn stream(
        &self,
        pull: &Pull<'_>,
        digest: Digest,
        size: u64,
        range: Range<u64>,
    ) -> Result<(BoxStream<'static, Result<Bytes, ReadError>>, Source), Refusal> {
        // A manifest that says another size than the content has gets what is wrong said, not a part for the whole.
        if let Some(blob) = self.content.blobs().find(&digest).await.filter(|blob| blob.size() == size) {
            return Ok((blob.read(range).boxed(), Source::Memory));
        }
        let filling = match self.started(pull, digest, size).await {
            Ok(filling) => filling,
            Err(error) if matches!(*error, FillError::Disk(_)) => {
                return Ok((passing(&pull.place, digest, size, range).await?, Source::Registry));
            }
            Err(error) => return Err(Refusal::Blob(error)),
        };
        let source = match filling.origin() {
            Origin::Kept => Source::Memory,
            Origin::Ours | Origin::Joined => Source::Registry,
        };
        Ok((filling.read(range).boxed(), source))
    }

    /// A fill that has begun to arrive.
    async fn started(&self, pull: &Pull<'_>, digest: Digest, size: u64) -> Result<Filling, Arc<FillError>> {
        let fill = || fill(&self.content, &pull.place, digest, size);
        let mut filling = fill();
        if let Err(error) = filling.started().await {
            // Whoever began the fill may not be allowed what we are: our own upstream is asked before we say no.
            let theirs = filling.origin() != Origin::Ours && matches!(*error, FillError::Source(_));
            if !theirs {
                return Err(error);
            }
            filling = fill();
            filling.started().await?;
        }
        Ok(filling)
    }

    /// A part of a signature artefact, read whole and looked at: a manifest that calls a layer of an image a signature,
    /// or says another size than the content has, gets nothing out.
    async fn signature(&self, pull: &Pull<'_>, digest: Digest, size: u64) -> Result<Verified, Refusal> {
        let limit = ArtefactLimits::default().part;
        let blobs = self.content.blobs();
        let kept = blobs.read(&digest, limit).await.ok().flatten();
        let content = match kept {
            Some(content) => content,
            None => {
                let fetched =
                    pull.place.upstream.small_blob(&pull.place.name.repository, &digest, limit).await;
                fetched.map_err(ContentError::Fetch)?
            }
        };
        let is_json = || serde_json::from_slice::<serde::de::IgnoredAny>(content.bytes()).is_ok();
        if content.bytes().len() as u64 != size || !is_json() {
            return Err(Refusal::NoSignature);
        }
        blobs.keep(&content).await;
        Ok(content)
    }
}

/// Has a blob fetched from its place, unless it is here or on its way.
pub(super) fn fill(content: &Content, place: &Place, digest: Digest, size: u64) -> Filling {
    let (place, arriving) = (place.clone(), content.arriving().clone());
    content.blobs().fill(digest, size, move || async move {
        let turn = tokio::time::timeout(PATIENCE, arriving.acquire_owned()).await;
        let turn = turn.map_err(|_| FetchError::TooManyRequests { retry_after: None })?;
        let body = place.upstream.blob(&place.name.repository, &digest).await?;
        // It has its turn until the last of it is read.
        Ok::<_, FetchError>(body.stream.map(move |piece| {
            let _turn = &turn;
            piece
        }))
    })
}

/// The bytes of a blob, fetched for one who asks and kept nowhere. What goes wrong before the first of them can be sent
/// is said in place of them.
async fn passing(
    place: &Place,
    digest: Digest,
    size: u64,
    range: Range<u64>,
) -> Result<BoxStream<'static, Result<Bytes, ReadError>>, Refusal> {
    metrics::counter!("countersign_passed_through_total").increment(1);
    let refused = |error| Refusal::Blob(Arc::new(FillError::Source(BoxError::from(error))));
    let body = place.upstream.blob(&place.name.repository, &digest).await.map_err(refused)?;
    let mut passing = pass_through(body.stream, digest, size, range).boxed();
    let first = match passing.next().await {
        Some(Err(ReadError::Fill(error))) => return Err(Refusal::Blob(error)),
        first => first,
    };
    Ok(futures_util::stream::iter(first).chain(passing).boxed())
}

fn part(wanted: &Wanted, size: u64) -> Range<u64> {
    match wanted {
        Wanted::Part(range) => range.clone(),
        Wanted::Whole | Wanted::Nothing => 0..size,
    }
}

/// The same range of bytes in memory. Signatures are at most megabytes.
fn as_slice(range: &Range<u64>) -> Range<usize> {
    let index = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
    index(range.start)..index(range.end)
}
