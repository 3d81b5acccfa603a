//! Lists of referrers for clients: as the registry wrote them.

use oci::{Digest, Endpoint as Path, MANIFEST_LIMIT, ReferrersList, Repository};

use crate::body;
use crate::error::FetchError;
use crate::page::PageQuery;
use crate::referrers::is_not_offered;
use crate::status::{check, check_encoding};
use crate::upstream::{Kind, Upstream};

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
        let uri = self.page_uri(&Path::Referrers(repository.clone(), *digest), query)?;
        let answer = self.answer(repository, uri, Kind::Referrers).await?;
        if is_not_offered(answer.parts.status) {
            body::discard(answer.body).await;
            return Ok(ReferrersPage::NotOffered);
        }
        check(&answer.parts, answer.voice)?;
        check_encoding(&answer.parts.headers)?;
        let next = PageQuery::next(&answer.parts.headers)?;
        let bytes = body::document(answer.body, MANIFEST_LIMIT as u64, self.client.body_timeout()).await?;
        let malformed = |error| FetchError::Refused(format!("its list of referrers is malformed: {error}"));
        Ok(ReferrersPage::Listed { list: ReferrersList::parse(bytes).map_err(malformed)?, next })
    }
}
