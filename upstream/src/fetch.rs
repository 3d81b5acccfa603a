//! One document at one URL: what is neither a registry's nor found by name.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, Uri};

use crate::address::Reach;
use crate::body;
use crate::client::{Ask, Client, Manners, SECOND_TRIES, Way};
use crate::error::{Awaited, BuildError, FetchError, Outage};
use crate::origin::{InvalidOrigin, Origin, Scheme};
use crate::proxy::Proxy;
use crate::redirect;
use crate::settings::Timeouts;
use crate::status::{Voice, check, check_encoding};

/// Fetches documents. It trusts the system's authorities, shows nobody a credential, follows redirects within one
/// origin alone, and goes through a proxy if there is one.
pub struct Fetcher {
    client: Client,
}

/// Where a document is: an `https` or `http` URL with a host, and without a user or a fragment.
#[derive(Clone, Eq, PartialEq)]
pub struct Url {
    origin: Origin,
    uri: Uri,
}

/// The longest URL, in bytes.
const LENGTH_LIMIT: usize = 2048;

impl Fetcher {
    /// A fetcher with connections of its own, through the proxy that the environment names.
    ///
    /// # Errors
    /// [`BuildError`] where TLS cannot be set up, or the environment names a proxy that cannot be used.
    pub fn new() -> Result<Self, BuildError> {
        let proxy = Proxy::from_environment(|name| std::env::var(name).ok()).map_err(BuildError::Proxy)?;
        let client = Client::new(Manners {
            authorities: &[],
            identity: None,
            proxy,
            timeouts: Timeouts::default(),
            second_tries: SECOND_TRIES,
        })?;
        Ok(Self { client })
    }

    /// The document at a URL, of at most so many bytes, and within this time whatever happens. The future may be
    /// dropped at any time.
    ///
    /// # Errors
    /// [`FetchError`]. It is [`NotFound`](FetchError::NotFound) where the server itself says so, and
    /// [`Unauthorized`](FetchError::Unauthorized) where it says what object stores say of what they do not have.
    pub async fn get(&self, url: &Url, limit: u64, deadline: Duration) -> Result<Bytes, FetchError> {
        match tokio::time::timeout(deadline, self.follow(url, limit)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Outage::TimedOut(Awaited::Body).into()),
        }
    }

    async fn follow(&self, url: &Url, limit: u64) -> Result<Bytes, FetchError> {
        let mut uri = url.uri.clone();
        for _ in 0..=redirect::LIMIT {
            let ask = Ask::new(Method::GET, uri.clone(), "*/*");
            // Whoever configured the URL may have it anywhere.
            let sent = self.client.send(Way::Elsewhere(Reach::Anywhere), &ask, || {});
            let (parts, answer) = sent.await?.into_parts();
            if !redirect::is_redirect(parts.status) {
                if parts.status == StatusCode::GONE {
                    return Err(FetchError::NotFound);
                }
                check(&parts, Voice::Registry)?;
                check_encoding(&parts.headers)?;
                return body::document(answer, limit, self.client.body_timeout()).await;
            }
            let target = redirect::location(&parts.headers, &uri)?;
            if Origin::of(&target).as_ref() != Some(&url.origin) {
                return Err(FetchError::Refused("it redirects to another origin".to_owned()));
            }
            uri = target;
        }
        Err(FetchError::Refused("it redirects again and again".to_owned()))
    }
}

impl Url {
    /// How it is spoken to.
    pub fn scheme(&self) -> Scheme {
        self.origin.scheme()
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The URL of something below this one. The path is taken as it is, so its parts are escaped already.
    ///
    /// # Errors
    /// [`InvalidOrigin`] where that makes no URL, or this one ends in a query, below which there is nothing.
    pub fn below(&self, path: &str) -> Result<Self, InvalidOrigin> {
        if self.uri.query().is_some() {
            return Err(InvalidOrigin::Excess);
        }
        let folder = self.uri.path().trim_end_matches('/');
        format!("{}{folder}/{path}", self.origin).parse()
    }
}

impl FromStr for Url {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        if !text.starts_with("https://") && !text.starts_with("http://") {
            return Err(InvalidOrigin::Scheme);
        }
        if text.len() > LENGTH_LIMIT || text.contains(['#', '\\']) {
            return Err(InvalidOrigin::Excess);
        }
        let uri: Uri = text.parse().map_err(|_| InvalidOrigin::Malformed)?;
        let origin = Origin::of(&uri).ok_or(InvalidOrigin::Malformed)?;
        Ok(Self { origin, uri })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

impl fmt::Debug for Url {
    // A query may hold what is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.uri.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::registry::{Fault, Registry};

    const PATIENCE: Duration = Duration::from_secs(10);

    async fn get(registry: &Registry, limit: u64, deadline: Duration) -> Result<Bytes, FetchError> {
        let url = format!("{}/v2/", registry.url()).parse::<Url>().unwrap();
        Fetcher::new().unwrap().get(&url, limit, deadline).await
    }

    #[tokio::test]
    async fn a_document_is_read_whole_or_not_at_all() {
        let registry = Registry::start().await;
        let whole = get(&registry, 1024, PATIENCE).await.unwrap();
        let size = whole.len() as u64;
        assert!(size > 0);
        assert_eq!(get(&registry, size, PATIENCE).await.unwrap(), whole);
        assert!(matches!(get(&registry, size - 1, PATIENCE).await, Err(FetchError::TooLarge { .. })));
        registry.fault(|_| true, Fault::Endless);
        assert!(matches!(get(&registry, 1024, PATIENCE).await, Err(FetchError::TooLarge { .. })));
    }

    #[tokio::test]
    async fn what_a_status_means_is_told_apart() {
        let registry = Registry::start().await;
        let with = async |fault| {
            registry.clear_faults();
            registry.fault(|_| true, fault);
            get(&registry, 1024, PATIENCE).await.unwrap_err()
        };
        assert!(matches!(with(Fault::Status(404)).await, FetchError::NotFound));
        assert!(matches!(with(Fault::Status(410)).await, FetchError::NotFound));
        assert!(matches!(with(Fault::Status(403)).await, FetchError::Unauthorized));
        assert!(matches!(with(Fault::Status(500)).await, FetchError::Unavailable(_)));
        let elsewhere = Fault::StatusWith(302, vec![("location", "http://127.0.0.1:1/".to_owned())]);
        assert!(matches!(with(elsewhere).await, FetchError::Refused(_)));
        let here = Fault::StatusWith(302, vec![("location", "/v2/".to_owned())]);
        assert!(matches!(with(here.clone()).await, FetchError::Refused(_)));
        registry.clear_faults();
        registry.fault_times(1, |_| true, here);
        assert!(get(&registry, 1024, PATIENCE).await.is_ok());
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_the_deadline() {
        let registry = Registry::start().await;
        registry.fault(|_| true, Fault::Hang);
        let outcome = get(&registry, 1024, Duration::from_millis(50)).await;
        assert!(matches!(outcome, Err(FetchError::Unavailable(_))), "{outcome:?}");
    }

    #[test]
    fn a_url_is_http_with_a_host_and_nothing_to_hide() {
        let url = |text: &str| text.parse::<Url>().map(|url| url.to_string());
        assert_eq!(url("https://a.example/b?c"), Ok("https://a.example/b?c".to_owned()));
        assert_eq!(url("ftp://a.example"), Err(InvalidOrigin::Scheme));
        assert_eq!(url("https://user@a.example"), Err(InvalidOrigin::Malformed));
        assert_eq!(url("https://a.example/#b"), Err(InvalidOrigin::Excess));
        let below = |text: &str| text.parse::<Url>().unwrap().below("x.json").map(|url| url.to_string());
        assert_eq!(below("https://a.example"), Ok("https://a.example/x.json".to_owned()));
        assert_eq!(below("http://a.example:1/b/"), Ok("http://a.example:1/b/x.json".to_owned()));
        assert_eq!(below("https://a.example/?b"), Err(InvalidOrigin::Excess));
    }
}
