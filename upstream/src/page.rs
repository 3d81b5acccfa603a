//! Lists that come in pages.

use std::fmt;
use std::str::FromStr;

use http::{HeaderMap, Uri, header};
use oci::Endpoint as Path;
use thiserror::Error;

use crate::error::FetchError;
use crate::referrers::next_of;
use crate::site::Site;

/// How much of a list is wanted, and from where on: the query of a URL, in whatever words the registry has for that
/// (`last`, `next_page`, `nextToken`).
///
/// It goes to a path at an endpoint that were not taken from it, so all that it can lead to is another page.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PageQuery(String);

/// Why a string is no [`PageQuery`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("not the query of a URL, or longer than {LONGEST} characters")]
pub struct InvalidPageQuery;

/// The longest query, in bytes. The tokens of registries run to some hundreds.
const LONGEST: usize = 2048;

impl PageQuery {
    /// The query as text, without the question mark; empty where nothing is said.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL of this page of a list, at one endpoint.
    pub(crate) fn uri(&self, site: &Site, path: &Path) -> Result<Uri, FetchError> {
        let uri = site.uri(path)?;
        if self.0.is_empty() {
            return Ok(uri);
        }
        let no_url = |_| FetchError::Refused("there is no URL for this page".to_owned());
        format!("{uri}?{self}").parse().map_err(no_url)
    }

    /// The page that an answer names as the next one.
    ///
    /// Of the link only the query is taken: registries behind other hosts and paths get those wrong, and what is shown
    /// to the endpoint is shown to nobody else.
    pub(crate) fn next(headers: &HeaderMap) -> Result<Option<Self>, FetchError> {
        let links = headers.get_all(header::LINK).iter().filter_map(|value| value.to_str().ok());
        let Some(target) = links.flat_map(|value| value.split(',')).find_map(next_of) else {
            return Ok(None);
        };
        let query = target.split_once('?').map(|(_, query)| query.parse());
        match query {
            Some(Ok(query)) => Ok(Some(query)),
            Some(Err(_)) | None => Err(FetchError::Refused("its list goes on nowhere".to_owned())),
        }
    }
}

impl FromStr for PageQuery {
    type Err = InvalidPageQuery;

    fn from_str(text: &str) -> Result<Self, InvalidPageQuery> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte);
        if text.len() <= LONGEST && text.bytes().all(known) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPageQuery)
        }
    }
}

impl fmt::Display for PageQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(link: &'static str) -> Result<Option<PageQuery>, FetchError> {
        PageQuery::next(&HeaderMap::from_iter([(header::LINK, link.parse().unwrap())]))
    }

    #[test]
    fn of_the_next_page_the_query_is_taken_and_no_more() {
        for link in [
            "</v2/a/tags/list?last=b&n=2>; rel=\"next\"",
            "<https://elsewhere.example/v2/other/tags/list?last=b&n=2>; rel=\"next\"",
        ] {
            assert_eq!(next(link).unwrap().unwrap().as_str(), "last=b&n=2", "{link}");
        }
        assert!(next("</v2/a>; rel=\"prev\"").unwrap().is_none());
        assert!(next("</v2/a/tags/list>; rel=\"next\"").is_err());
    }

    #[test]
    fn a_query_has_no_room_for_anything_else() {
        assert!("last=%2B&artifactType=a%2Fb".parse::<PageQuery>().is_ok());
        for text in ["a b", "a#b", "a\r\nb", "ä", "a\"b", &"a".repeat(2049)] {
            assert!(text.parse::<PageQuery>().is_err(), "{text:?}");
        }
    }
}
