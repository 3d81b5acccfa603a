//! One endpoint of a registry, and everything that is known about it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::response::Parts;
use http::{HeaderValue, Method, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpInfo;
use jiff::Timestamp;
use moka::future::Cache;
use oci::{Digest, Endpoint as Path, Repository};

use crate::address::Class;
use crate::body;
use crate::breaker::{Admission, Breaker};
use crate::challenge;
use crate::client::{Ask, Client, Manners, SECOND_TRIES, Way, is_overloaded};
use crate::credentials::Credentials;
use crate::error::{BuildError, FetchError, Outage};
use crate::figures::Figures;
use crate::grant::{Grant, Grants};
use crate::origin::Origin;
use crate::pace::{Pace, Permit};
use crate::rate_limit::RateLimit;
use crate::realm::Realm;
use crate::redirect;
use crate::retry_after::retry_after;
use crate::settings::Settings;
use crate::status::Voice;
use crate::upstream::Kind;

/// An endpoint, with its connections, tokens, breaker, pace and figures.
pub(crate) struct Site {
    pub(crate) origin: Origin,
    pub(crate) mirror: bool,
    pub(crate) client: Arc<Client>,
    pub(crate) figures: Arc<Figures>,
    realms: Arc<[Realm]>,
    redirects: Arc<[Origin]>,
    grants: Grants,
    breaker: Arc<Breaker>,
    pace: Arc<Pace>,
    /// The blobs that it sent other bytes for, of late.
    doubted: Cache<Digest, ()>,
}

/// For how many blobs that is remembered, and how long.
const DOUBTS: u64 = 10_000;
const DOUBTED_FOR: Duration = Duration::from_secs(10 * 60);

/// What is asked of an endpoint.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) method: &'a Method,
    pub(crate) repository: &'a Repository,
    /// A URL at the endpoint.
    pub(crate) uri: &'a Uri,
    pub(crate) kind: Kind,
    /// The first byte of the content that is wanted.
    pub(crate) from: u64,
}

/// An answer, after redirects.
pub(crate) struct Answer {
    pub(crate) parts: Parts,
    pub(crate) body: Incoming,
    pub(crate) voice: Voice,
    /// Who gave it in the end.
    pub(crate) origin: Origin,
    /// The right to have it under way, which ends with the answer.
    pub(crate) permit: Permit,
}

impl Site {
    /// Makes ready to ask. Opens no connection yet. An endpoint that is not the only one is not asked a second time: another
    /// one is asked in its place.
    pub(crate) fn new(settings: Settings, alone: bool) -> Result<Self, BuildError> {
        let origin = settings.endpoint.origin().clone();
        let mut realms = settings.realms;
        realms.extend(settings.endpoint.own_realm());
        let client = Client::new(Manners {
            authorities: settings.ca.as_deref().unwrap_or_default(),
            identity: settings.identity.as_ref(),
            proxy: settings.proxy,
            timeouts: settings.timeouts,
            second_tries: if alone { SECOND_TRIES } else { 0 },
        })?;
        Ok(Self {
            figures: Arc::new(Figures::new(&settings.host, &origin)),
            mirror: settings.mirror,
            client: Arc::new(client),
            realms: realms.into(),
            redirects: settings.redirects.into(),
            grants: Grants::new(settings.credentials, origin.clone()),
            breaker: Arc::default(),
            pace: Arc::new(Pace::new(settings.concurrency, settings.timeouts.queue)),
            doubted: Cache::builder().max_capacity(DOUBTS).time_to_live(DOUBTED_FOR).build(),
            origin,
        })
    }

    /// The same endpoint, which is shown these credentials in place of any of ours. Connections, breaker and pace are those
    /// of all; tokens are these credentials' alone, and end with what this returns.
    pub(crate) fn shown(&self, credentials: Credentials) -> Self {
        Self {
            origin: self.origin.clone(),
            mirror: self.mirror,
            client: self.client.clone(),
            figures: self.figures.clone(),
            realms: self.realms.clone(),
            redirects: self.redirects.clone(),
            grants: Grants::lent(credentials, self.origin.clone()),
            breaker: self.breaker.clone(),
            pace: self.pace.clone(),
            doubted: self.doubted.clone(),
        }
    }

    /// Whether it is asked as a matter of course.
    pub(crate) fn is_healthy(&self) -> bool {
        self.breaker.is_closed()
    }

    /// Whether it is set aside and it is time to find out whether it is back; whoever is told so does.
    pub(crate) fn wants_probe(&self) -> bool {
        self.breaker.admit(tokio::time::Instant::now()) == Admission::Probe
    }

    /// It sent other bytes than this blob's. Another endpoint is asked for a while.
    pub(crate) async fn doubt(&self, digest: Digest) {
        self.doubted.insert(digest, ()).await;
    }

    /// Whether it sent other bytes than this blob's of late.
    pub(crate) fn is_doubted(&self, digest: &Digest) -> bool {
        self.doubted.contains_key(digest)
    }

    /// The URL of something at this endpoint.
    pub(crate) fn uri(&self, path: &Path) -> Result<Uri, FetchError> {
        format!("{}{path}", self.origin)
            .parse()
            .map_err(|_| FetchError::Refused("there is no URL for this content".to_owned()))
    }

    /// Asks whether anybody is there, in nobody's name.
    pub(crate) async fn probe(&self) {
        let Ok(uri) = self.uri(&Path::Base) else { return };
        let outcome = self.client.send(Way::Endpoint, &Ask::new(Method::GET, uri, "*/*"), || {}).await;
        self.note(&outcome);
    }

    /// The answer to a question, whatever its status, from wherever it was redirected to; `HEAD` is not followed.
    ///
    /// # Errors
    /// None of it says that there is no such content.
    pub(crate) async fn answer(&self, question: Question<'_>) -> Result<Answer, FetchError> {
        let started = Instant::now();
        let Question { method, kind, .. } = question;
        let permit = match self.pace.enter(method, kind).await {
            Ok(permit) => permit,
            Err(held) => {
                self.figures.held_back();
                return Err(held);
            }
        };
        let outcome = self.ask(question, permit).await;
        let status = outcome.as_ref().map(|answer| answer.parts.status.as_u16());
        self.figures.asked(status, started.elapsed());
        outcome
    }

    async fn ask(&self, question: Question<'_>, permit: Permit) -> Result<Answer, FetchError> {
        let Question { method, kind, .. } = question;
        let opened = self.open(question).await;
        self.note(&opened);
        if let Err(FetchError::TooManyRequests { retry_after: Some(wait) }) = &opened {
            self.pace.hold(method, kind, *wait);
        }
        let (ask, response) = opened?;
        if let Some(limit) = RateLimit::of(response.headers()) {
            self.pace.heard(&limit);
            self.figures.limited(&limit);
        }
        let (parts, body, voice, origin) = self.follow(ask, response, kind).await?;
        if parts.status == StatusCode::TOO_MANY_REQUESTS
            && let Some(wait) = retry_after(&parts.headers, Timestamp::now())
        {
            self.pace.hold(method, kind, wait);
        }
        Ok(Answer { parts, body, voice, origin, permit })
    }

    /// Takes note of whether anybody was there.
    fn note<T>(&self, outcome: &Result<T, FetchError>)
    where
        T: Status,
    {
        let is_away = match outcome {
            Ok(answer) => is_overloaded(answer.status()),
            Err(FetchError::Unavailable(outage)) => match **outage {
                Outage::Connect(_) | Outage::Broken(_) | Outage::TimedOut(_) => true,
                Outage::Status(status) => StatusCode::from_u16(status).is_ok_and(is_overloaded),
                Outage::Short | Outage::SetAside | Outage::Crowded | Outage::Credentials(_) => false,
            },
            Err(_) => false,
        };
        if !is_away {
            self.breaker.succeed();
            self.figures.set_aside(false);
        } else if self.breaker.fail(tokio::time::Instant::now()) {
            self.figures.set_aside(true);
            tracing::warn!(endpoint = %self.origin, "an endpoint gives no answers, and is left alone for now");
        }
    }

    /// Asks the endpoint, showing what it wants to be shown.
    async fn open(&self, question: Question<'_>) -> Result<(Ask, Response<Incoming>), FetchError> {
        let Question { method, repository, uri, kind, from } = question;
        let grant = self.grants.at_hand(repository).await;
        let mut ask = Ask::new(method.clone(), uri.clone(), kind.accept());
        if from > 0 {
            let range = HeaderValue::try_from(format!("bytes={from}-"));
            ask.set(header::RANGE, range.unwrap_or_else(|_| HeaderValue::from_static("bytes=0-")));
        }
        ask.authorize(grant.as_ref().map(|grant| grant.header().clone()));
        let response = self.send(Way::Endpoint, &ask).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok((ask, response));
        }
        // Seldom, and large.
        let grant = Box::pin(self.renew(repository, grant, response)).await?;
        ask.authorize(Some(grant.header().clone()));
        let response = self.send(Way::Endpoint, &ask).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            self.grants.refused(repository, &grant).await;
        }
        Ok((ask, response))
    }

    async fn send(&self, way: Way, ask: &Ask) -> Result<Response<Incoming>, FetchError> {
        self.client.send(way, ask, || self.figures.retried()).await
    }

    /// What a registry wants that refused what it was shown.
    async fn renew(
        &self,
        repository: &Repository,
        refused: Option<Grant>,
        refusal: Response<Incoming>,
    ) -> Result<Grant, FetchError> {
        if let Some(refused) = &refused {
            self.grants.refused(repository, refused).await;
        }
        let (parts, body) = refusal.into_parts();
        body::discard(body).await;
        let challenge = challenge::choose(&parts.headers, &self.origin, &self.realms)?;
        self.grants.obtain(&self.client, repository, challenge).await
    }

    /// Follows redirects. Once the endpoint's origin is left, it is not shown to anybody what the endpoint was.
    async fn follow(
        &self,
        mut ask: Ask,
        mut response: Response<Incoming>,
        kind: Kind,
    ) -> Result<(Parts, Incoming, Voice, Origin), FetchError> {
        let peer = self.peer(&ask.uri, &response);
        let (mut voice, mut origin) = (Voice::Registry, self.origin.clone());
        for followed in 0.. {
            let (parts, body) = response.into_parts();
            if !redirect::is_redirect(parts.status) || ask.method == Method::HEAD {
                return Ok((parts, body, voice, origin));
            }
            if followed == redirect::LIMIT {
                break;
            }
            body::discard(body).await;
            ask.uri = redirect::location(&parts.headers, &ask.uri)?;
            origin = Origin::of(&ask.uri)
                .ok_or_else(|| FetchError::Refused("it redirects to what is no URL".to_owned()))?;
            let reach = redirect::reach(&origin, &self.origin, &self.redirects, peer)?;
            let mut way = Way::Endpoint;
            if origin != self.origin {
                ask.authorize(None);
                voice = kind.voice_elsewhere();
                way = Way::Elsewhere(reach);
            }
            response = self.send(way, &ask).await?;
        }
        Err(FetchError::Refused("it redirects too often".to_owned()))
    }

    /// The kind of network that the endpoint is in. Of one behind a proxy only its own address tells.
    fn peer(&self, uri: &Uri, response: &Response<Incoming>) -> Class {
        let named = self.origin.address().map(Class::of);
        let connected = || {
            let connection = response.extensions().get::<HttpInfo>()?;
            Some(Class::of(connection.remote_addr().ip()))
        };
        let found = if self.client.is_proxied(uri) { named } else { connected() };
        found.unwrap_or(Class::Public)
    }
}

/// What has a status.
trait Status {
    fn status(&self) -> StatusCode;
}

impl Status for Response<Incoming> {
    fn status(&self) -> StatusCode {
        Self::status(self)
    }
}

impl Status for (Ask, Response<Incoming>) {
    fn status(&self) -> StatusCode {
        self.1.status()
    }
}
