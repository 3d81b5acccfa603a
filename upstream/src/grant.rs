//! What a registry is shown, and how long that is good for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderValue, Method, Uri};
use moka::Expiry;
use moka::future::Cache;
use oci::Repository;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;

use crate::Credentials;
use crate::address::Reach;
use crate::body;
use crate::challenge::Challenge;
use crate::client::{Ask, Client};
use crate::error::FetchError;
use crate::status::{Voice, check};

/// The grants of one upstream and one credential, by repository. All who need the same one at once share one request
/// for it; if whoever makes that request gives up, another one takes over.
pub(crate) struct Grants {
    credentials: Option<Credentials>,
    remembered: Cache<Repository, Grant>,
}

/// An `Authorization`, and until when it is worth trying.
#[derive(Clone)]
pub(crate) struct Grant {
    header: HeaderValue,
    until: Instant,
}

/// What a token endpoint answers, as the
/// [token specification](https://distribution.github.io/distribution/spec/auth/token/#token-response-fields) says.
#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Value,
}

/// How many bytes an answer with a token may have.
const ANSWER_LIMIT: u64 = 64 * 1024;
/// How many grants are remembered.
const GRANT_LIMIT: u64 = 10_000;
/// How long a token lasts that does not say, in seconds.
const DEFAULT_LIFETIME: u64 = 60;
/// The longest that anything is remembered, in seconds.
const LONGEST_LIFETIME: u64 = 60 * 60;

/// Everything but what RFC 3986 calls unreserved.
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Grants {
    pub(crate) fn new(credentials: Option<Credentials>) -> Self {
        let remembered = Cache::builder().max_capacity(GRANT_LIMIT).expire_after(UntilItEnds).build();
        Self { credentials, remembered }
    }

    /// The grant for pulling from a repository, if there is one at hand.
    pub(crate) async fn at_hand(&self, repository: &Repository) -> Option<Grant> {
        self.remembered.get(repository).await
    }

    /// Forgets a grant that was refused, unless another one has replaced it.
    pub(crate) async fn forget(&self, repository: &Repository, refused: &Grant) {
        let current = self.remembered.get(repository).await;
        if current.is_some_and(|current| current.header == refused.header) {
            self.remembered.invalidate(repository).await;
        }
    }

    /// The grant that a challenge asks for.
    pub(crate) async fn obtain(
        &self,
        client: &Client,
        repository: &Repository,
        challenge: Challenge,
    ) -> Result<Grant, FetchError> {
        let obtaining = async {
            match challenge {
                Challenge::Basic => self.basic(),
                Challenge::Bearer { realm, service } => {
                    let uri = token_uri(&realm, service.as_deref(), repository)?;
                    self.bearer(client, uri).await
                }
            }
        };
        self.remembered
            .try_get_with(repository.clone(), obtaining)
            .await
            .map_err(|error: Arc<FetchError>| (*error).clone())
    }

    fn basic(&self) -> Result<Grant, FetchError> {
        let credentials = self.credentials.as_ref().ok_or(FetchError::Unauthorized)?;
        Ok(Grant::new(credentials.basic(), LONGEST_LIFETIME))
    }

    async fn bearer(&self, client: &Client, uri: Uri) -> Result<Grant, FetchError> {
        let ask = Ask {
            method: Method::GET,
            uri,
            accept: "application/json",
            authorization: self.credentials.as_ref().map(Credentials::basic),
        };
        let (parts, body) = client.send(Reach::Anywhere, &ask).await?.into_parts();
        check(&parts, Voice::Registry).map_err(about_the_realm)?;
        let patience = client.body_timeout();
        let answer = body::document(body, ANSWER_LIMIT, patience).await.map_err(about_the_realm)?;
        // What the parser says of it could quote a token, so it is not passed on.
        Grant::parse(&answer).ok_or_else(|| FetchError::Refused("its realm gave no token".to_owned()))
    }
}

impl Grant {
    fn new(header: HeaderValue, seconds: u64) -> Self {
        let lifetime = Duration::from_secs(seconds.min(LONGEST_LIFETIME));
        // The margin is for the way, and for clocks that differ in speed.
        let margin = (lifetime / 5).min(Duration::from_secs(30));
        Self { header, until: Instant::now() + (lifetime - margin) }
    }

    fn parse(answer: &[u8]) -> Option<Self> {
        let answer: Answer = serde_json::from_slice(answer).ok()?;
        let some = |token: Option<String>| token.filter(|token| !token.is_empty());
        let token = some(answer.token).or_else(|| some(answer.access_token))?;
        let mut header = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        header.set_sensitive(true);
        Some(Self::new(header, answer.expires_in.as_u64().unwrap_or(DEFAULT_LIFETIME)))
    }

    /// The `Authorization` to send.
    pub(crate) fn header(&self) -> &HeaderValue {
        &self.header
    }
}

/// What is wrong with the realm must not be taken for something that is wrong with the content.
fn about_the_realm(error: FetchError) -> FetchError {
    match error {
        FetchError::NotFound => FetchError::Refused("its realm gives no tokens".to_owned()),
        FetchError::TooLarge { .. } => FetchError::Refused("its realm gave too large an answer".to_owned()),
        FetchError::Unauthorized
        | FetchError::TooManyRequests { .. }
        | FetchError::WrongContent(_)
        | FetchError::Unavailable(_)
        | FetchError::Refused(_) => error,
    }
}

/// Where a token for pulling from this repository is to be had. The scope is ours: a challenge could ask for more.
fn token_uri(realm: &Uri, service: Option<&str>, repository: &Repository) -> Result<Uri, FetchError> {
    let encoded = |value: &str| utf8_percent_encode(value, QUERY_VALUE).to_string();
    let mut query: Vec<String> = realm.query().map(str::to_owned).into_iter().collect();
    query.extend(service.map(|service| format!("service={}", encoded(service))));
    query.push(format!("scope={}", encoded(&format!("repository:{repository}:pull"))));

    let mut parts = realm.clone().into_parts();
    let malformed = || FetchError::Refused("its realm is malformed".to_owned());
    let path = format!("{}?{}", realm.path(), query.join("&"));
    parts.path_and_query = Some(path.parse().map_err(|_| malformed())?);
    Uri::from_parts(parts).map_err(|_| malformed())
}

struct UntilItEnds;

impl Expiry<Repository, Grant> for UntilItEnds {
    fn expire_after_create(&self, _: &Repository, grant: &Grant, now: Instant) -> Option<Duration> {
        Some(grant.until.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_lifetime(answer: &str, seconds: u64) {
        let grant = Grant::parse(answer.as_bytes()).unwrap();
        assert_eq!(grant.header(), "Bearer t", "{answer}");
        let left = grant.until.saturating_duration_since(Instant::now());
        let expected = Duration::from_secs(seconds);
        assert!(left <= expected && left + Duration::from_secs(5) > expected, "{answer}: {left:?}");
    }

    #[test]
    fn a_token_is_used_until_shortly_before_it_ends() {
        check_lifetime(r#"{"token":"t"}"#, 48);
        check_lifetime(r#"{"access_token":"t","expires_in":300}"#, 270);
        check_lifetime(r#"{"token":"","access_token":"t","expires_in":0}"#, 0);
        check_lifetime(r#"{"token":"t","expires_in":99999999999}"#, 3570);
        check_lifetime(r#"{"token":"t","expires_in":-5}"#, 48);
    }

    #[test]
    fn what_is_no_token_gives_no_grant() {
        for answer in ["", "[]", "{}", r#"{"token":""}"#, r#"{"token":"a\nb"}"#, r#"{"token":1}"#] {
            assert!(Grant::parse(answer.as_bytes()).is_none(), "{answer}");
        }
    }

    #[test]
    fn the_scope_is_to_pull_from_this_repository() {
        let repository = "acme/app".parse().unwrap();
        let uri =
            |realm, service| token_uri(&Uri::from_static(realm), service, &repository).unwrap().to_string();
        assert_eq!(
            uri("https://a/token", Some("a b&c")),
            "https://a/token?service=a%20b%26c&scope=repository%3Aacme%2Fapp%3Apull"
        );
        assert_eq!(
            uri("https://a/token?x=y", None),
            "https://a/token?x=y&scope=repository%3Aacme%2Fapp%3Apull"
        );
    }
}
