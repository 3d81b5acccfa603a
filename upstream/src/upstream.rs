//! One registry, and what can be had from it.

use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, Uri, header};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpInfo;
use oci::{
    Digest, Endpoint as Path, Host, MANIFEST_ACCEPT, MANIFEST_LIMIT, MediaType, Repository, Tag, TagOrDigest,
    Verified,
};

use crate::address::{Class, Reach};
use crate::body::{self, Body};
use crate::challenge;
use crate::client::{Ask, Client};
use crate::error::{BuildError, FetchError};
use crate::grant::{Grant, Grants};
use crate::images::Images;
use crate::origin::{Origin, Realm};
use crate::redirect;
use crate::settings::Settings;
use crate::status::{Voice, check, check_encoding};
use crate::tls;

/// A registry that content is fetched from.
///
/// Every future may be dropped at any time. None ends by itself before the registry does or the time limits run
/// out, second tries included, so callers put a deadline around them.
pub struct Upstream {
    host: Host,
    pub(crate) endpoint: Origin,
    realms: Vec<Realm>,
    redirects: Vec<Origin>,
    pub(crate) client: Client,
    grants: Grants,
}

/// A manifest, checked against its digest.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The bytes as they came, and their digest: the one that was asked for, or the `sha256` of what a tag led to.
    pub content: Verified,
    /// The media type that it was sent as. The registry says so, and nothing vouches for it.
    pub media_type: Option<MediaType>,
}

/// An answer, after redirects.
pub(crate) struct Answer {
    pub(crate) parts: Parts,
    pub(crate) body: Incoming,
    pub(crate) voice: Voice,
}

/// What kind of content is asked for.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Manifest,
    Images(Images),
    Blob,
    Referrers,
    Tags,
}

impl Kind {
    fn accept(self) -> &'static str {
        match self {
            Self::Manifest => MANIFEST_ACCEPT,
            Self::Images(images) => images.accept(),
            Self::Tags => "application/json",
            Self::Blob => "*/*",
            Self::Referrers => MediaType::OCI_INDEX,
        }
    }

    /// Who speaks at another origin. Blobs are redirected to storage; a manifest is redirected to another registry,
    /// as `registry.k8s.io` does, which then knows whether it exists.
    fn voice_elsewhere(self) -> Voice {
        match self {
            Self::Manifest | Self::Images(_) | Self::Referrers | Self::Tags => Voice::Registry,
            Self::Blob => Voice::Storage,
        }
    }
}

impl Upstream {
    /// Makes ready to fetch. Opens no connection yet.
    ///
    /// # Errors
    /// TLS cannot be set up with these certificate authorities.
    pub fn new(settings: Settings) -> Result<Self, BuildError> {
        let tls = tls::config(settings.ca.as_deref().unwrap_or_default())?;
        let mut realms = settings.realms;
        realms.extend(settings.endpoint.own_realm());
        Ok(Self {
            host: settings.host,
            endpoint: settings.endpoint.origin().clone(),
            realms,
            redirects: settings.redirects,
            client: Client::new(&tls, settings.timeouts),
            grants: Grants::new(settings.credentials),
        })
    }

    /// The registry, as image references name it.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The digest that a tag leads to, without fetching the manifest where the registry allows it.
    ///
    /// Mostly it is what the registry says in a header, so it is a **hint** of which manifest to ask for next and
    /// proves nothing: only a manifest that was fetched by this digest has it.
    pub async fn resolve(&self, repository: &Repository, tag: &Tag) -> Result<Digest, FetchError> {
        let version = TagOrDigest::Tag(tag.clone());
        let path = Path::Manifest(repository.clone(), version.clone());
        let (_, response) = self.open(Method::HEAD, repository, self.uri(&path)?, Kind::Manifest).await?;
        let (parts, _) = response.into_parts();
        // Not every registry answers HEAD, and some redirect it where it would have to be signed anew.
        let unanswered = redirect::is_redirect(parts.status) || matches!(parts.status.as_u16(), 405 | 501);
        if !unanswered {
            check(&parts, Voice::Registry)?;
            if let Some(digest) = claimed_digest(&parts.headers) {
                return Ok(digest);
            }
        }
        Ok(self.manifest(repository, &version).await?.content.digest())
    }

    /// A manifest by tag or digest.
    ///
    /// # Errors
    /// Among others: it is larger than [`MANIFEST_LIMIT`], or does not have the digest it was asked for by.
    pub async fn manifest(
        &self,
        repository: &Repository,
        version: &TagOrDigest,
    ) -> Result<Fetched, FetchError> {
        let path = Path::Manifest(repository.clone(), version.clone());
        let answer = self.fetch(repository, &path, Kind::Manifest).await?;
        let patience = self.client.body_timeout();
        let bytes = body::document(answer.body, MANIFEST_LIMIT as u64, patience).await?;
        let content = match version {
            TagOrDigest::Tag(_) => Verified::of(bytes),
            TagOrDigest::Digest(digest) => Verified::check(*digest, bytes)?,
        };
        let media_type = media_type(&answer.parts.headers);
        Ok(Fetched { content, media_type })
    }

    /// A blob, unchecked and as it arrives. See [`Body`] for what is left to the caller.
    pub async fn blob(&self, repository: &Repository, digest: &Digest) -> Result<Body, FetchError> {
        let path = Path::Blob(repository.clone(), *digest);
        let answer = self.fetch(repository, &path, Kind::Blob).await?;
        Ok(Body::new(answer.body, self.client.body_timeout()))
    }

    /// A blob of at most `limit` bytes, checked.
    pub async fn small_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        limit: u64,
    ) -> Result<Verified, FetchError> {
        let bytes = self.blob(repository, digest).await?.collect(limit).await?;
        Ok(Verified::check(*digest, bytes)?)
    }

    /// A successful answer to GET, from wherever it was redirected to.
    pub(crate) async fn fetch(
        &self,
        repository: &Repository,
        path: &Path,
        kind: Kind,
    ) -> Result<Answer, FetchError> {
        let answer = self.answer(repository, self.uri(path)?, kind).await?;
        check(&answer.parts, answer.voice)?;
        check_encoding(&answer.parts.headers)?;
        Ok(answer)
    }

    /// The answer to GET of a URL at the endpoint, whatever its status, from wherever it was redirected to.
    pub(crate) async fn answer(
        &self,
        repository: &Repository,
        uri: Uri,
        kind: Kind,
    ) -> Result<Answer, FetchError> {
        let (ask, response) = self.open(Method::GET, repository, uri, kind).await?;
        self.follow(ask, response, kind).await
    }

    /// Asks the endpoint, showing what it wants to be shown.
    pub(crate) async fn open(
        &self,
        method: Method,
        repository: &Repository,
        uri: Uri,
        kind: Kind,
    ) -> Result<(Ask, Response<Incoming>), FetchError> {
        let grant = self.grants.at_hand(repository).await;
        let mut ask = Ask {
            method,
            uri,
            accept: kind.accept(),
            authorization: grant.as_ref().map(|grant| grant.header().clone()),
        };
        let response = self.client.send(Reach::Anywhere, &ask).await?;
        if response.status() != http::StatusCode::UNAUTHORIZED {
            return Ok((ask, response));
        }
        let grant = self.renew(repository, grant, response).await?;
        ask.authorization = Some(grant.header().clone());
        let response = self.client.send(Reach::Anywhere, &ask).await?;
        if response.status() == http::StatusCode::UNAUTHORIZED {
            self.grants.forget(repository, &grant).await;
        }
        Ok((ask, response))
    }

    /// What a registry wants that refused what it was shown.
    async fn renew(
        &self,
        repository: &Repository,
        refused: Option<Grant>,
        refusal: Response<Incoming>,
    ) -> Result<Grant, FetchError> {
        if let Some(refused) = &refused {
            self.grants.forget(repository, refused).await;
        }
        let (parts, body) = refusal.into_parts();
        body::discard(body).await;
        let challenge = challenge::choose(&parts.headers, &self.endpoint, &self.realms)?;
        self.grants.obtain(&self.client, repository, challenge).await
    }

    /// Follows redirects. Once the endpoint's origin is left, it is not shown to anybody what the endpoint was.
    async fn follow(
        &self,
        mut ask: Ask,
        mut response: Response<Incoming>,
        kind: Kind,
    ) -> Result<Answer, FetchError> {
        let peer = peer(&response);
        let mut voice = Voice::Registry;
        for _ in 0..redirect::LIMIT {
            let (parts, body) = response.into_parts();
            if !redirect::is_redirect(parts.status) {
                return Ok(Answer { parts, body, voice });
            }
            body::discard(body).await;
            ask.uri = redirect::location(&parts.headers, &ask.uri)?;
            let target = Origin::of(&ask.uri)
                .ok_or_else(|| FetchError::Refused("it redirects to what is no URL".to_owned()))?;
            let reach = redirect::reach(&target, &self.endpoint, &self.redirects, peer)?;
            if target != self.endpoint {
                ask.authorization = None;
                voice = kind.voice_elsewhere();
            }
            response = self.client.send(reach, &ask).await?;
        }
        let (parts, body) = response.into_parts();
        if redirect::is_redirect(parts.status) {
            return Err(FetchError::Refused("it redirects too often".to_owned()));
        }
        Ok(Answer { parts, body, voice })
    }

    pub(crate) fn uri(&self, path: &Path) -> Result<Uri, FetchError> {
        format!("{}{path}", self.endpoint)
            .parse()
            .map_err(|_| FetchError::Refused("there is no URL for this content".to_owned()))
    }
}

/// The kind of network that an answer came from.
fn peer(response: &Response<Incoming>) -> Class {
    response
        .extensions()
        .get::<HttpInfo>()
        .map_or(Class::Public, |connection| Class::of(connection.remote_addr().ip()))
}

fn text(value: Option<&HeaderValue>) -> Option<&str> {
    value?.to_str().ok()
}

/// What the registry says the digest is. Images are known by their `sha256` here, so another one is of no use.
pub(crate) fn claimed_digest(headers: &HeaderMap) -> Option<Digest> {
    let digest: Digest = text(headers.get("docker-content-digest"))?.parse().ok()?;
    (digest.algorithm() == oci::Algorithm::Sha256).then_some(digest)
}

fn media_type(headers: &HeaderMap) -> Option<MediaType> {
    text(headers.get(header::CONTENT_TYPE)).filter(|value| value.len() <= 255).map(MediaType::new)
}
