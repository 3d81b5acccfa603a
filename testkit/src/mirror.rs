//! A web server in this process that serves files, such as those of a TUF repository.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// A web server on a loopback port of its own. With it its connections end.
pub struct Mirror {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    away: AtomicBool,
    requests: AtomicUsize,
}

impl Mirror {
    /// Starts to serve these files.
    #[expect(clippy::expect_used, reason = "a test without a loopback port cannot go on")]
    pub async fn start(files: &BTreeMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared::default());
        let server = tokio::spawn(accept(listener, shared.clone()));
        let mirror = Self { address, shared, server };
        mirror.serve(files);
        mirror
    }

    /// Its base URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves these files, and no longer those before.
    pub fn serve(&self, files: &BTreeMap<String, Vec<u8>>) {
        files.clone_into(&mut self.shared.files.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Closes every connection without an answer, or answers again.
    pub fn away(&self, away: bool) {
        self.shared.away.store(away, Ordering::SeqCst);
    }

    /// How many requests there have been.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| std::future::ready(answer(&shared, &request)));
            // A client that was hung up on is what some tests are about.
            drop(
                auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
        });
        while connections.try_join_next().is_some() {}
    }
}

fn answer(shared: &Shared, request: &Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
    shared.requests.fetch_add(1, Ordering::SeqCst);
    if shared.away.load(Ordering::SeqCst) {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    let files = shared.files.lock().unwrap_or_else(PoisonError::into_inner);
    let file = files.get(request.uri().path().trim_start_matches('/'));
    let mut response = Response::new(Full::from(file.cloned().unwrap_or_default()));
    if file.is_none() {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}
