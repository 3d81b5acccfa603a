//! Lists of referrers for clients: as the registry wrote them.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use oci::{Digest, Endpoint as Path, MANIFEST_LIMIT, ReferrersList, Repository};

use crate::body;
use crate::error::FetchError;
use crate::page::PageQuery;
use crate::referrers::is_not_offered;
use crate::site::Site;
use crate::status::{check, check_encoding};
use crate::upstream::{Answer, Kind, Upstream, ask};

/// A page of the manifests that refer to another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ReferrersPage {
    /// These do, it says. It may have heeded the query or not.
    Listed {
        /// The page, of at most [`MANIFEST_LIMIT`] bytes.
        list: ReferrersList,
        /// The page after it, if there is one. Nothing says that there is an end.
        next: Option<PageQuery>,
    },
    /// It has no such list. There may be one under the fallback tag.
    NotOffered,
}

impl Upstream {
    /// A page of the manifests that refer to this one, with everything that the registry says of them.
    ///
    /// # Errors
    /// Among others: what the registry sends is no index.
    pub async fn referrers_page(
        &self,
        repository: &Repository,
        digest: &Digest,
        query: &PageQuery,
    ) -> Result<ReferrersPage, FetchError> {
        let path = &Path::Referrers(repository.clone(), *digest);
        let asking = async |site: Arc<Site>| {
            let uri = query.uri(&site, path)?;
            let answer = ask(&site, &Method::GET, repository, &uri, Kind::Referrers).await?;
            let page = if is_not_offered(answer.parts.status) {
                body::discard(answer.body).await;
                ReferrersPage::NotOffered
            } else {
                page(answer, site.client.body_timeout()).await?
            };
            // A mirror that knows of none may not have been told.
            if site.mirror && page.has_none() { Err(FetchError::NotFound) } else { Ok(page) }
        };
        match self.sites.ask(asking).await {
            Err(FetchError::NotFound) => Ok(ReferrersPage::NotOffered),
            outcome => outcome,
        }
    }
}

impl ReferrersPage {
    fn has_none(&self) -> bool {
        match self {
            Self::Listed { list, next } => list.is_empty() && next.is_none(),
            Self::NotOffered => true,
        }
    }
}

async fn page(answer: Answer, patience: Duration) -> Result<ReferrersPage, FetchError> {
    check(&answer.parts, answer.voice)?;
    check_encoding(&answer.parts.headers)?;
    let next = PageQuery::next(&answer.parts.headers)?;
    let bytes = body::document(answer.body, MANIFEST_LIMIT as u64, patience).await?;
    let malformed = |error| FetchError::Refused(format!("its list of referrers is malformed: {error}"));
    Ok(ReferrersPage::Listed { list: ReferrersList::parse(bytes).map_err(malformed)?, next })
}
