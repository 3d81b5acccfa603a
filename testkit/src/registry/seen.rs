//! What was asked of the registry.

use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, Method, Request, header};
use tokio::sync::watch;

/// A request as it arrived, without its body.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method.
    pub method: Method,
    /// The path, as it was spelled.
    pub path: String,
    /// What came after the question mark, if there was one.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
}

impl Seen {
    /// The request without its body.
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().map(str::to_owned),
            headers: request.headers().clone(),
        }
    }

    /// A header as text, if it was sent once or more; its first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The `Authorization` that came along, if any.
    pub fn authorization(&self) -> Option<&str> {
        self.header(header::AUTHORIZATION.as_str())
    }

    /// Whether it asks for a manifest, by `HEAD` or `GET`.
    pub fn is_manifest(&self) -> bool {
        self.is_read() && self.path.contains("/manifests/")
    }

    /// Whether it asks for a blob, by `HEAD` or `GET`.
    pub fn is_blob(&self) -> bool {
        self.is_read() && self.path.contains("/blobs/")
    }

    fn is_read(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }
}

/// The requests so far, and news of further ones.
pub(super) struct Journal {
    seen: Mutex<Vec<Seen>>,
    news: watch::Sender<()>,
}

impl Journal {
    pub(super) fn new() -> Self {
        Self { seen: Mutex::default(), news: watch::Sender::new(()) }
    }

    pub(super) fn add(&self, seen: Seen) {
        self.lock().push(seen);
        self.news.send_replace(());
    }

    pub(super) fn all(&self) -> Vec<Seen> {
        self.lock().clone()
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    pub(super) async fn reached(&self, path_contains: &str) {
        let mut news = self.news.subscribe();
        while !self.lock().iter().any(|seen| seen.path.contains(path_contains)) {
            // The sender lives in this journal, so it cannot be gone.
            drop(news.changed().await);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
