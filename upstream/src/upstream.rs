//! One registry, and what can be had from it.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use oci::{
    Digest, Endpoint as Path, Host, MANIFEST_ACCEPT, MANIFEST_LIMIT, MediaType, Repository, Tag, TagOrDigest,
    Verified,
};

use crate::body::{self, Body};
use crate::credentials::Credentials;
use crate::error::{BuildError, FetchError};
use crate::images::Images;
use crate::redirect;
use crate::resume;
use crate::settings::Settings;
use crate::site::{Question, Site};
use crate::sites::Sites;
use crate::status::{Voice, check, check_encoding};

pub(crate) use crate::site::Answer;

/// A registry that content is fetched from, at one endpoint or the first of several that has it.
///
/// Every future may be dropped at any time. None ends by itself before the registry does or the time limits run
/// out, second tries included, so callers put a deadline around them.
pub struct Upstream {
    host: Host,
    pub(crate) sites: Arc<Sites>,
    /// Whether what it is shown is somebody else's.
    by_caller: bool,
}

/// A manifest, checked against its digest.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The bytes as they came, and their digest: the one that was asked for, or the `sha256` of what a tag led to.
    pub content: Verified,
    /// The media type that it was sent as. The registry says so, and nothing vouches for it.
    pub media_type: Option<MediaType>,
}

/// What kind of content is asked for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Kind {
    Manifest,
    Images(Images),
    Blob,
    Referrers,
    Tags,
}

impl Kind {
    /// The kind that registries count this one as.
    pub(crate) fn counted_as(self) -> Self {
        match self {
            Self::Manifest | Self::Images(_) => Self::Manifest,
            Self::Blob | Self::Referrers | Self::Tags => self,
        }
    }

    pub(crate) fn accept(self) -> &'static str {
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
    pub(crate) fn voice_elsewhere(self) -> Voice {
        match self {
            Self::Manifest | Self::Images(_) | Self::Referrers | Self::Tags => Voice::Registry,
            Self::Blob => Voice::Storage,
        }
    }
}

impl Upstream {
    /// Makes ready to fetch from one endpoint. Opens no connection yet.
    ///
    /// # Errors
    /// TLS cannot be set up with these certificates.
    pub fn new(settings: Settings) -> Result<Self, BuildError> {
        Self::with_endpoints(settings, Vec::new())
    }

    /// The same with more endpoints, which are asked in this order where those before them do not have it. The host is that
    /// of the first.
    ///
    /// # Errors
    /// As [`Upstream::new`].
    pub fn with_endpoints(first: Settings, others: Vec<Settings>) -> Result<Self, BuildError> {
        let host = first.host.clone();
        let alone = others.is_empty();
        let others =
            others.into_iter().map(|settings| Site::new(settings, alone)).collect::<Result<_, _>>()?;
        Ok(Self { host, sites: Arc::new(Sites::new(Site::new(first, alone)?, others)), by_caller: false })
    }

    /// The same registry as somebody else is given it, at its first endpoint: it is shown these credentials and none of
    /// ours. They are forgotten with what this returns, and so are the tokens that they are exchanged for.
    #[must_use]
    pub fn shown(&self, credentials: Credentials) -> Self {
        let site = self.sites.first().shown(credentials);
        Self { host: self.host.clone(), sites: Arc::new(Sites::new(site, Vec::new())), by_caller: true }
    }

    /// Whether this is a registry as [somebody else](Self::shown) is given it.
    pub fn is_by_caller(&self) -> bool {
        self.by_caller
    }

    /// That the registry gives something of a repository to whom it is asked by: a manifest, or a blob.
    ///
    /// # Errors
    /// Among others that it refuses, or has no such thing, which many registries say in place of refusing.
    pub async fn gives(&self, path: &Path) -> Result<(), FetchError> {
        self.sites.ask(async |site: Arc<Site>| gives(&site, path).await).await
    }

    /// The registry, as image references name it.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The digest that a tag leads to, without fetching the manifest where the registry allows it.
    ///
    /// Mostly it is what the registry says in a header, so it is a **hint** of which manifest to ask for next and
    /// proves nothing: only a manifest that was fetched by this digest has it. Of several endpoints the first says it that
    /// answers and has the tag.
    pub async fn resolve(&self, repository: &Repository, tag: &Tag) -> Result<Digest, FetchError> {
        let version = TagOrDigest::Tag(tag.clone());
        let path = Path::Manifest(repository.clone(), version.clone());
        let (version, path) = (&version, &path);
        let resolving = async |site: Arc<Site>| {
            let uri = site.uri(path)?;
            let answer = ask(&site, &Method::HEAD, repository, &uri, Kind::Manifest).await?;
            let parts = answer.parts;
            // Another question may follow, which wants the same room.
            drop(answer.permit);
            if !is_unanswered(parts.status) {
                check(&parts, Voice::Registry)?;
                if let Some(digest) = claimed_digest(&parts.headers) {
                    return Ok(digest);
                }
            }
            Ok(manifest(&site, repository, version).await?.content.digest())
        };
        self.sites.ask(resolving).await
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
        self.sites.ask(async |site: Arc<Site>| manifest(&site, repository, version).await).await
    }

    /// A blob, unchecked and as it arrives. Where it breaks off, it goes on with the rest, which is asked for anew. See
    /// [`Body`] for what is left to the caller.
    pub async fn blob(&self, repository: &Repository, digest: &Digest) -> Result<Body, FetchError> {
        resume::body(&self.sites, repository, digest).await
    }

    /// A blob of at most `limit` bytes, checked.
    pub async fn small_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        limit: u64,
    ) -> Result<Verified, FetchError> {
        let path = &Path::Blob(repository.clone(), *digest);
        let fetching = async |site: Arc<Site>| {
            let answer = fetch(&site, repository, path, Kind::Blob).await?;
            let bytes = body::document(answer.body, limit, site.client.body_timeout()).await?;
            Ok(Verified::check(*digest, bytes)?)
        };
        self.sites.ask(fetching).await
    }

    /// The answer to GET of a URL at one of the endpoints, whatever its status, from wherever it was redirected to. No other
    /// endpoint is asked in its place: what a URL means only who gave it knows.
    pub(crate) async fn answer(
        &self,
        repository: &Repository,
        uri: Uri,
        kind: Kind,
    ) -> Result<Answer, FetchError> {
        let origin = crate::Origin::of(&uri);
        let site = origin.and_then(|origin| self.sites.at(&origin));
        let site = site.ok_or_else(|| FetchError::Refused("it goes on elsewhere".to_owned()))?;
        ask(site, &Method::GET, repository, &uri, kind).await
    }

    /// How long is waited for a document.
    pub(crate) fn patience(&self) -> std::time::Duration {
        self.sites.first().client.body_timeout()
    }
}

/// What one endpoint answers, whatever its status.
pub(crate) async fn ask(
    site: &Site,
    method: &Method,
    repository: &Repository,
    uri: &Uri,
    kind: Kind,
) -> Result<Answer, FetchError> {
    site.answer(Question { method, repository, uri, kind, from: 0 }).await
}

/// A successful answer to GET, from wherever it was redirected to.
pub(crate) async fn fetch(
    site: &Site,
    repository: &Repository,
    path: &Path,
    kind: Kind,
) -> Result<Answer, FetchError> {
    let answer = ask(site, &Method::GET, repository, &site.uri(path)?, kind).await?;
    check(&answer.parts, answer.voice)?;
    check_encoding(&answer.parts.headers)?;
    Ok(answer)
}

/// That one endpoint gives this.
async fn gives(site: &Site, path: &Path) -> Result<(), FetchError> {
    let asked = async |repository: &Repository, kind: Kind| {
        let answer = ask(site, &Method::HEAD, repository, &site.uri(path)?, kind).await?;
        Ok::<_, FetchError>(answer.parts)
    };
    match path {
        Path::Manifest(repository, version) => {
            let parts = asked(repository, Kind::Manifest).await?;
            if !is_unanswered(parts.status) {
                return check(&parts, Voice::Registry);
            }
            let fetched = manifest(site, repository, version).await?;
            let is_page = fetched.media_type.is_some_and(|sent| sent.as_str().starts_with("text/"));
            if is_page { Err(FetchError::Refused("it has a page there".to_owned())) } else { Ok(()) }
        }
        Path::Blob(repository, _) => {
            let parts = asked(repository, Kind::Blob).await?;
            // Whoever may have a blob is told where it is.
            if redirect::is_redirect(parts.status) {
                return Ok(());
            }
            if is_unanswered(parts.status) {
                return fetch(site, repository, path, Kind::Blob).await.map(drop);
            }
            check(&parts, Voice::Registry)
        }
        Path::Base | Path::Tags(_) | Path::Referrers(..) => {
            Err(FetchError::Refused("what anybody may ask for proves nothing".to_owned()))
        }
    }
}

/// Not every registry answers HEAD, and some redirect it where it would have to be signed anew.
fn is_unanswered(status: StatusCode) -> bool {
    redirect::is_redirect(status) || matches!(status.as_u16(), 405 | 501)
}

/// A manifest, as one endpoint has it.
async fn manifest(
    site: &Site,
    repository: &Repository,
    version: &TagOrDigest,
) -> Result<Fetched, FetchError> {
    let path = Path::Manifest(repository.clone(), version.clone());
    let answer = fetch(site, repository, &path, Kind::Manifest).await?;
    let bytes = body::document(answer.body, MANIFEST_LIMIT as u64, site.client.body_timeout()).await?;
    let content = match version {
        TagOrDigest::Tag(_) => Verified::of(bytes),
        TagOrDigest::Digest(digest) => Verified::check(*digest, bytes)?,
    };
    Ok(Fetched { content, media_type: media_type(&answer.parts.headers) })
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
