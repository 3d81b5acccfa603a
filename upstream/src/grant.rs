//! What a registry is shown, and how long that is good for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderValue, Method, Uri, header};
use moka::Expiry;
use moka::future::Cache;
use oci::Repository;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::address::Reach;
use crate::body;
use crate::challenge::Challenge;
use crate::client::{Ask, Client, Way, percent_encoded};
use crate::credentials::Credentials;
use crate::error::FetchError;
use crate::keyring::Keyring;
use crate::login::Login;
use crate::origin::Origin;
use crate::status::{Voice, check};

/// The grants of one upstream and one credential, by repository. All who need the same one at once share one request
/// for it; if whoever makes that request gives up, another one takes over.
pub(crate) struct Grants {
    keyring: Keyring,
    endpoint: Origin,
    remembered: Remembered,
}

/// Where grants are.
enum Remembered {
    /// Those of our own credentials, of which there are as many as repositories.
    Kept(Cache<Repository, Grant>),
    /// Those of somebody who asks for something, which end with their asking: seldom more than one.
    Lent(Mutex<HashMap<Repository, Grant>>),
}

/// An `Authorization`, and until when it is worth trying.
#[derive(Clone)]
pub(crate) struct Grant {
    header: HeaderValue,
    until: Instant,
    /// Which credentials it was had for.
    serial: u64,
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

/// Who we are, to a realm that speaks OAuth 2.
const CLIENT_ID: &str = "countersign";

impl Grants {
    pub(crate) fn new(login: Option<Login>, endpoint: Origin) -> Self {
        let kept = Cache::builder().max_capacity(GRANT_LIMIT).expire_after(UntilItEnds).build();
        Self { keyring: Keyring::new(login), endpoint, remembered: Remembered::Kept(kept) }
    }

    /// Those of somebody who shows these, for as long as they ask.
    pub(crate) fn lent(credentials: Credentials, endpoint: Origin) -> Self {
        let keyring = Keyring::new(Some(credentials.into()));
        Self { keyring, endpoint, remembered: Remembered::Lent(Mutex::default()) }
    }

    /// The grant for pulling from a repository, if there is one at hand that is of the credentials there are now.
    pub(crate) async fn at_hand(&self, repository: &Repository) -> Option<Grant> {
        let grant = self.remembered.find(repository).await?;
        if grant.serial == self.keyring.serial().await {
            return Some(grant);
        }
        self.forget(repository, &grant).await;
        None
    }

    /// Forgets a grant that was refused, unless another one has replaced it, and doubts what it was had for.
    pub(crate) async fn refused(&self, repository: &Repository, grant: &Grant) {
        self.forget(repository, grant).await;
        self.keyring.refused().await;
    }

    async fn forget(&self, repository: &Repository, grant: &Grant) {
        let current = self.remembered.find(repository).await;
        if current.is_some_and(|current| current.header == grant.header) {
            self.remembered.forget(repository).await;
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
            let (credentials, serial) = self.keyring.credentials().await?;
            match challenge {
                Challenge::Basic => {
                    let header = credentials.as_ref().and_then(Credentials::basic);
                    Ok(Grant::new(header.ok_or(FetchError::Unauthorized)?, LONGEST_LIFETIME, serial))
                }
                Challenge::Bearer { realm, service } => {
                    let ask = token_request(&realm, service.as_deref(), repository, credentials.as_ref())?;
                    self.bearer(client, &ask, serial).await
                }
            }
        };
        let outcome = self.remembered.find_or(repository, obtaining).await;
        if let Err(FetchError::Unauthorized) = &outcome {
            self.keyring.refused().await;
        }
        outcome
    }

    async fn bearer(&self, client: &Client, ask: &Ask, serial: u64) -> Result<Grant, FetchError> {
        let is_endpoint = Origin::of(&ask.uri).as_ref() == Some(&self.endpoint);
        let way = if is_endpoint { Way::Endpoint } else { Way::Elsewhere(Reach::Anywhere) };
        let (parts, body) = client.send(way, ask, || {}).await?.into_parts();
        check(&parts, Voice::Registry).map_err(about_the_realm)?;
        let patience = client.body_timeout();
        let answer = body::document(body, ANSWER_LIMIT, patience).await.map_err(about_the_realm)?;
        // What the parser says of it could quote a token, so it is not passed on.
        Grant::parse(&answer, serial).ok_or_else(|| FetchError::Refused("its realm gave no token".to_owned()))
    }
}

impl Remembered {
    async fn find(&self, repository: &Repository) -> Option<Grant> {
        match self {
            Self::Kept(kept) => kept.get(repository).await,
            Self::Lent(lent) => lent.lock().await.get(repository).filter(|grant| grant.is_good()).cloned(),
        }
    }

    async fn forget(&self, repository: &Repository) {
        match self {
            Self::Kept(kept) => kept.invalidate(repository).await,
            Self::Lent(lent) => drop(lent.lock().await.remove(repository)),
        }
    }

    /// The one that is there, or else this, for all who ask at once.
    async fn find_or(
        &self,
        repository: &Repository,
        obtaining: impl Future<Output = Result<Grant, FetchError>>,
    ) -> Result<Grant, FetchError> {
        let lent = match self {
            Self::Kept(kept) => {
                let outcome = kept.try_get_with(repository.clone(), obtaining).await;
                return outcome.map_err(|error: Arc<FetchError>| (*error).clone());
            }
            Self::Lent(lent) => lent,
        };
        // Whoever else waits for it is asked for by the same one.
        let mut lent = lent.lock().await;
        if let Some(grant) = lent.get(repository).filter(|grant| grant.is_good()) {
            return Ok(grant.clone());
        }
        let grant = obtaining.await?;
        lent.insert(repository.clone(), grant.clone());
        Ok(grant)
    }
}

impl Grant {
    /// Whether it is still worth trying.
    fn is_good(&self) -> bool {
        self.until > Instant::now()
    }

    fn new(header: HeaderValue, seconds: u64, serial: u64) -> Self {
        let lifetime = Duration::from_secs(seconds.min(LONGEST_LIFETIME));
        // The margin is for the way, and for clocks that differ in speed.
        let margin = (lifetime / 5).min(Duration::from_secs(30));
        Self { header, until: Instant::now() + (lifetime - margin), serial }
    }

    fn parse(answer: &[u8], serial: u64) -> Option<Self> {
        let answer: Answer = serde_json::from_slice(answer).ok()?;
        let some = |token: Option<String>| token.filter(|token| !token.is_empty());
        let token = some(answer.token).or_else(|| some(answer.access_token))?;
        let mut header = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        header.set_sensitive(true);
        Some(Self::new(header, answer.expires_in.as_u64().unwrap_or(DEFAULT_LIFETIME), serial))
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

/// How a token for pulling from this repository is asked for: by GET with a password, or by an
/// [OAuth 2 form](https://distribution.github.io/distribution/spec/auth/oauth/) with a refresh token. The scope is ours: a
/// challenge could ask for more.
fn token_request(
    realm: &Uri,
    service: Option<&str>,
    repository: &Repository,
    credentials: Option<&Credentials>,
) -> Result<Ask, FetchError> {
    let scope = format!("repository:{repository}:pull");
    if let Some(token) = credentials.and_then(Credentials::refresh_token) {
        let mut fields = vec![
            ("grant_type", "refresh_token"),
            ("scope", scope.as_str()),
            ("client_id", CLIENT_ID),
            ("refresh_token", token),
        ];
        fields.extend(service.map(|service| ("service", service)));
        return Ok(Ask::form(realm.clone(), &fields));
    }
    let mut query: Vec<String> = realm.query().map(str::to_owned).into_iter().collect();
    query.extend(service.map(|service| format!("service={}", percent_encoded(service))));
    query.push(format!("scope={}", percent_encoded(&scope)));

    let mut parts = realm.clone().into_parts();
    let malformed = || FetchError::Refused("its realm is malformed".to_owned());
    let path = format!("{}?{}", realm.path(), query.join("&"));
    parts.path_and_query = Some(path.parse().map_err(|_| malformed())?);
    let mut ask = Ask::new(Method::GET, Uri::from_parts(parts).map_err(|_| malformed())?, "application/json");
    if let Some(basic) = credentials.and_then(Credentials::basic) {
        ask.set(header::AUTHORIZATION, basic);
    }
    Ok(ask)
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
        let grant = Grant::parse(answer.as_bytes(), 0).unwrap();
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
            assert!(Grant::parse(answer.as_bytes(), 0).is_none(), "{answer}");
        }
    }

    #[test]
    fn the_scope_is_to_pull_from_this_repository() {
        let repository = "acme/app".parse().unwrap();
        let uri = |realm, service| {
            token_request(&Uri::from_static(realm), service, &repository, None).unwrap().uri.to_string()
        };
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
