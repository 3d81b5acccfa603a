//! What refers to a manifest: signatures, attestations, bills of materials.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, Uri, header};
use oci::{Descriptor, Digest, Endpoint as Path, MANIFEST_LIMIT, Manifest, MediaType, Repository, Verified};

use crate::body;
use crate::error::FetchError;
use crate::origin::Origin;
use crate::redirect;
use crate::site::Site;
use crate::status::{check, check_encoding};
use crate::upstream::{Answer, Kind, Upstream, ask};

/// What a registry answers who is asked for the manifests that refer to another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Referrers {
    /// These do, it says.
    Listed {
        /// A page of them. Their artifact types are what whoever pushed them wrote, or what the registry made of it.
        manifests: Vec<Descriptor>,
        /// The page after it, if there is one. Nothing says that there is an end.
        next: Option<NextPage>,
    },
    /// It has no such list. There may be one under the fallback tag.
    NotOffered,
}

/// Where a list goes on: at the same origin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NextPage(Uri);

impl Upstream {
    /// The first page of the manifests that refer to this one, from the
    /// [referrers API](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers), unfiltered.
    ///
    /// # Errors
    /// Among others: the list goes on at another origin, or is no index.
    pub async fn referrers(&self, repository: &Repository, digest: &Digest) -> Result<Referrers, FetchError> {
        let path = &Path::Referrers(repository.clone(), *digest);
        let patience = self.patience();
        let asking = async |site: Arc<Site>| {
            let uri = site.uri(path)?;
            let answer = ask(&site, &Method::GET, repository, &uri, Kind::Referrers).await?;
            let referrers = if is_not_offered(answer.parts.status) {
                body::discard(answer.body).await;
                Referrers::NotOffered
            } else {
                listed(answer, &uri, patience).await?
            };
            // A mirror that knows of none may not have been told.
            if site.mirror && referrers.are_none() { Err(FetchError::NotFound) } else { Ok(referrers) }
        };
        match self.sites.ask(asking).await {
            Err(FetchError::NotFound) => Ok(Referrers::NotOffered),
            outcome => outcome,
        }
    }

    /// The page of a list that another one named.
    ///
    /// # Errors
    /// As [`Upstream::referrers`].
    pub async fn more_referrers(
        &self,
        repository: &Repository,
        page: &NextPage,
    ) -> Result<Referrers, FetchError> {
        let answer = self.answer(repository, page.0.clone(), Kind::Referrers).await?;
        listed(answer, &page.0, self.patience()).await
    }
}

impl Referrers {
    fn are_none(&self) -> bool {
        match self {
            Self::Listed { manifests, next } => manifests.is_empty() && next.is_none(),
            Self::NotOffered => true,
        }
    }
}

async fn listed(answer: Answer, from: &Uri, patience: Duration) -> Result<Referrers, FetchError> {
    let next = next(&answer.parts.headers, from)?;
    Ok(Referrers::Listed { manifests: page(answer, patience).await?, next })
}

async fn page(answer: Answer, patience: Duration) -> Result<Vec<Descriptor>, FetchError> {
    check(&answer.parts, answer.voice)?;
    check_encoding(&answer.parts.headers)?;
    let bytes = body::document(answer.body, MANIFEST_LIMIT as u64, patience).await?;
    let index = MediaType::new(MediaType::OCI_INDEX);
    match Manifest::parse(&Verified::of(bytes), Some(&index)) {
        Ok(Manifest::Index(index)) => Ok(index.manifests),
        Ok(Manifest::Image(_)) => Err(FetchError::Refused("its list of referrers is an image".to_owned())),
        Err(error) => Err(FetchError::Refused(format!("its list of referrers is malformed: {error}"))),
    }
}

/// Where the list goes on. Only at the same origin: what is shown there is shown to nobody else.
fn next(headers: &HeaderMap, from: &Uri) -> Result<Option<NextPage>, FetchError> {
    let links = headers.get_all(header::LINK).iter().filter_map(|value| value.to_str().ok());
    let Some(target) = links.flat_map(|value| value.split(',')).find_map(next_of) else {
        return Ok(None);
    };
    let next = redirect::resolve(target, from);
    match next.filter(|next| Origin::of(next).is_some_and(|origin| Some(origin) == Origin::of(from))) {
        Some(next) => Ok(Some(NextPage(next))),
        None => Err(FetchError::Refused("its list of referrers goes on elsewhere".to_owned())),
    }
}

/// The specification has 404 for this; registries that know no such path also say that they cannot, or may not.
pub(crate) fn is_not_offered(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 404 | 405 | 501)
}

/// The target of a link (RFC 8288) whose relation is `next`.
pub(crate) fn next_of(link: &str) -> Option<&str> {
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let is_next = parameters.split(';').any(|parameter| {
        let parameter = parameter.trim();
        matches!(parameter, r#"rel="next""# | "rel=next")
    });
    is_next.then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_the_link_that_says_so() {
        assert_eq!(next_of(r#"</v2/a/referrers/x?page=2>; rel="next""#), Some("/v2/a/referrers/x?page=2"));
        assert_eq!(next_of(" <https://a/b>;rel=next"), Some("https://a/b"));
        assert_eq!(next_of(r#"</v2/a>; rel="prev""#), None);
        assert_eq!(next_of("nonsense"), None);
    }
}
