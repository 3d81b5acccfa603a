//! The tags of a repository.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use oci::{Endpoint as Path, MANIFEST_LIMIT, Repository, Tag};
use serde::Deserialize;

use crate::body;
use crate::error::FetchError;
use crate::page::PageQuery;
use crate::site::Site;
use crate::status::{check, check_encoding};
use crate::upstream::{Answer, Kind, Upstream, ask};

/// A page of the tags of a repository.
#[derive(Clone, Debug)]
pub struct TagsPage {
    /// What the registry sent, of at most [`MANIFEST_LIMIT`] bytes.
    pub content: Bytes,
    /// What it calls the repository.
    pub name: String,
    /// The tags, in its order. It may have heeded the query or not.
    pub tags: Vec<Tag>,
    /// The page after it, if there is one. Nothing says that there is an end.
    pub next: Option<PageQuery>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    name: String,
    /// `null` where there are none, as some registries have it.
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl Upstream {
    /// A page of the [tags](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags) of a
    /// repository.
    ///
    /// # Errors
    /// Among others: what the registry sends is no such list, or names what is no tag.
    pub async fn tags(&self, repository: &Repository, query: &PageQuery) -> Result<TagsPage, FetchError> {
        let path = &Path::Tags(repository.clone());
        let asking = async |site: Arc<Site>| {
            let uri = query.uri(&site, path)?;
            let answer = ask(&site, &Method::GET, repository, &uri, Kind::Tags).await?;
            page(answer, site.client.body_timeout()).await
        };
        self.sites.ask(asking).await
    }
}

async fn page(answer: Answer, patience: Duration) -> Result<TagsPage, FetchError> {
    check(&answer.parts, answer.voice)?;
    check_encoding(&answer.parts.headers)?;
    let next = PageQuery::next(&answer.parts.headers)?;
    let content = body::document(answer.body, MANIFEST_LIMIT as u64, patience).await?;
    let refused = |what: String| FetchError::Refused(format!("its list of tags {what}"));
    let document: Document =
        serde_json::from_slice(&content).map_err(|error| refused(format!("is malformed: {error}")))?;
    let tag = |text: String| text.parse().map_err(|_| refused(format!("names {text:.140?}, which is none")));
    let tags = document.tags.unwrap_or_default().into_iter().map(tag).collect::<Result<_, _>>()?;
    Ok(TagsPage { content, name: document.name, tags, next })
}
