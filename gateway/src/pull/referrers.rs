//! What refers to a manifest, listed for whoever asks.
//!
//! A list discloses names and opens nothing: each manifest that it names is judged when it is pulled. It is therefore
//! given of every image, also of one that is denied, or nobody could find out through this door why that is, nor
//! look for the signature that it lacks.

use http::Response;
use oci::{Digest, MediaType, ReferrersList, Tag, TagOrDigest};
use upstream::{FetchError, PageQuery, ReferrersPage};

use super::respond::List;
use super::{Pull, PullDoor, Refusal, respond};
use crate::reply::Body;

impl PullDoor {
    /// A page of the referrers, asked of the upstream each time; a registry without such lists has them under the
    /// fallback tag.
    pub(super) async fn referrers(&self, pull: &Pull<'_>, digest: Digest) -> Result<Response<Body>, Refusal> {
        let artifact_type = pull.query.parameter("artifactType")?;
        let page = pull.query.page()?;
        let (list, next) = found(pull, digest, &page).await.map_err(Refusal::List)?;
        let list = match &artifact_type {
            // Whether or not the upstream filtered, the client is told that it was done.
            Some(artifact_type) => list.of_type(artifact_type),
            None => list,
        };
        let list = List {
            media_type: MediaType::OCI_INDEX,
            bytes: list.bytes().clone(),
            next,
            filtered: artifact_type.is_some(),
        };
        Ok(respond::list(pull, list))
    }
}

async fn found(
    pull: &Pull<'_>,
    digest: Digest,
    page: &PageQuery,
) -> Result<(ReferrersList, Option<PageQuery>), FetchError> {
    let (upstream, repository) = (&pull.place.upstream, &pull.place.name.repository);
    match upstream.referrers_page(repository, &digest, page).await? {
        ReferrersPage::Listed { list, next } => Ok((list, next)),
        ReferrersPage::NotOffered => Ok((under_fallback_tag(pull, &digest).await?, None)),
    }
}

async fn under_fallback_tag(pull: &Pull<'_>, digest: &Digest) -> Result<ReferrersList, FetchError> {
    let Some(tag) = Tag::referrers_fallback(digest) else { return Ok(ReferrersList::empty()) };
    let (upstream, repository) = (&pull.place.upstream, &pull.place.name.repository);
    match upstream.manifest(repository, &TagOrDigest::Tag(tag)).await {
        Ok(fetched) => ReferrersList::parse(fetched.content.bytes().clone()).map_err(|error| {
            FetchError::Refused(format!("what it has under the fallback tag is no list: {error}"))
        }),
        Err(FetchError::NotFound) => Ok(ReferrersList::empty()),
        Err(error) => Err(error),
    }
}
