//! A registry in this process: what tests pull from, and what misbehaves when it is told to.

mod answer;
mod content;
mod fault;
mod range;
mod seen;
mod serve;
mod token;
mod upload;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use oci::{Digest, TagOrDigest};
use tokio::net::TcpListener;

use crate::server::Server;
use serve::Shared;

pub use fault::Fault;
pub use seen::Seen;
pub use token::{Auth, Challenge, Login, RealmAt};

/// A registry on a loopback port of its own, speaking plain HTTP (1.1, or 2 with prior knowledge).
///
/// It reads and takes pushes as the [distribution specification](https://github.com/opencontainers/distribution-spec/blob/main/spec.md)
/// says, remembers every request, and commits the [`Fault`]s it is asked for. Handles are cheap to clone; with
/// the last one the registry stops and its connections are cut.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let registry = testkit::registry::Registry::start().await;
/// let digest = testkit::image::Image::random(1).push_to(&registry, "acme/app", Some("v1"));
/// assert!(registry.url().starts_with("http://127.0.0.1:"));
/// # drop(digest);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Registry {
    shared: Arc<Shared>,
    _server: Arc<Server>,
}

/// What kind of registry it is.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Who may read and write; everybody, if nothing is said.
    pub auth: Option<Auth>,
    /// How the manifests that refer to another are found.
    pub referrers: Referrers,
    /// Where blobs are redirected to, as a base URL. The location carries `?signature=presigned`, as those of object
    /// stores do.
    pub redirect_blobs: Option<String>,
}

/// How the manifests that refer to another are found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Referrers {
    /// By the referrers endpoint.
    #[default]
    Api,
    /// By an index under the tag `<algorithm>-<hex>`, kept up to date as manifests are put.
    FallbackTag,
    /// Not at all: the endpoint is missing and there is no tag.
    None,
}

impl Registry {
    /// Starts a registry that everybody may read, with a referrers endpoint.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// Starts a registry of a certain kind.
    #[expect(clippy::expect_used, reason = "a test without a loopback port cannot go on")]
    pub async fn start_with(options: Options) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared::new(address, options));
        let server = Server::start(listener, {
            let shared = shared.clone();
            move |request| serve::respond(shared.clone(), request)
        });
        Self { shared, _server: Arc::new(server) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Its base URL, without a slash at the end.
    pub fn url(&self) -> String {
        self.shared.url()
    }

    /// Its name in an image reference: `127.0.0.1:<port>`.
    pub fn host(&self) -> String {
        self.shared.address.to_string()
    }

    /// Keeps a blob and returns its address.
    pub fn put_blob(&self, repository: &str, bytes: impl Into<Bytes>) -> Digest {
        self.shared.content().put_blob(repository, bytes.into())
    }

    /// Keeps a manifest, whether or not what it lists is there, and returns its address.
    pub fn put_manifest(
        &self,
        repository: &str,
        tag: Option<&str>,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) -> Digest {
        self.shared.content().put_manifest(repository, tag, media_type, bytes.into())
    }

    /// Points a tag at a digest, whether or not there is such a manifest.
    pub fn tag(&self, repository: &str, tag: &str, digest: Digest) {
        self.shared.content().tag(repository, tag, digest);
    }

    /// The digest that a tag points at.
    pub fn tagged(&self, repository: &str, tag: &str) -> Option<Digest> {
        self.shared.content().tagged(repository, tag)
    }

    /// Whether there is a manifest or blob of this digest.
    pub fn has(&self, repository: &str, digest: &Digest) -> bool {
        let content = self.shared.content();
        content.blob(repository, digest).is_some()
            || content.manifest(repository, &TagOrDigest::Digest(*digest)).is_some()
    }

    /// Forgets a tag.
    pub fn remove_tag(&self, repository: &str, tag: &str) {
        self.shared.content().remove_tag(repository, tag);
    }

    /// Forgets a manifest or blob. Tags that point at it dangle.
    pub fn remove(&self, repository: &str, digest: &Digest) {
        self.shared.content().remove(repository, digest);
    }

    /// Every request so far, oldest first.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.journal.all()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.shared.journal.clear();
    }

    /// How many of the requests so far are like this.
    pub fn count(&self, like: impl Fn(&Seen) -> bool) -> usize {
        self.requests().iter().filter(|seen| like(seen)).count()
    }

    /// Waits until there has been a request whose path contains this text.
    pub async fn reached(&self, path_contains: &str) {
        self.shared.journal.reached(path_contains).await;
    }

    /// Commits a fault on every matching request, until the faults are cleared. Of several the oldest counts.
    pub fn fault(&self, matching: impl Fn(&Seen) -> bool + Send + Sync + 'static, fault: Fault) {
        self.shared.faults.add(Box::new(matching), fault, None);
    }

    /// Commits a fault on so many matching requests, and then no more.
    pub fn fault_times(
        &self,
        times: usize,
        matching: impl Fn(&Seen) -> bool + Send + Sync + 'static,
        fault: Fault,
    ) {
        self.shared.faults.add(Box::new(matching), fault, Some(times));
    }

    /// Behaves again. Requests that hang go on hanging until [`Self::release`].
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Answers the requests that hang by [`Fault::Hang`].
    pub fn release(&self) {
        self.shared.faults.release();
    }

    /// Takes no token any more that was issued up to now, by this registry or any other.
    pub fn revoke_tokens(&self) {
        self.shared.revoke_tokens();
    }
}
