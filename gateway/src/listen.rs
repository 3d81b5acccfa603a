//! Listening: connections, TLS, limits, and a drain that lets answers finish.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::admin::Socket;
use crate::peer::Peer;
use crate::reply::{Body, text};

/// The most connections of one door at once. More wait in the kernel's queue.
const CONNECTIONS: usize = 8192;

/// How long a client may take to shake hands.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may be without a request, and a request's head may take. Clients in Go, which the API server and
/// most runtimes are, keep connections for 90 s: were we to close one first, the request that is just then sent on it
/// would be lost, and a lost review is a denied one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// How much of an answer waits in a connection for its client, and the most that a request's head may have. What comes
/// next of a blob is read when there is less: many slow clients hold little memory.
const BUFFER: usize = 64 * 1024;

/// The same of the admin socket, which operators alone open.
const LOCAL_CONNECTIONS: usize = 64;

/// What a door accepts connections from.
enum Listener {
    Address(TcpListener),
    Socket(Socket),
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A door's socket, bound and not yet answering.
pub(crate) struct Door {
    listener: Listener,
    tls: Option<TlsAcceptor>,
    connections: Arc<Semaphore>,
}

impl Door {
    /// Binds a socket.
    ///
    /// # Errors
    /// Whatever the system says: the address is taken, or not ours.
    pub(crate) async fn bind(address: SocketAddr, tls: Option<Arc<ServerConfig>>) -> std::io::Result<Self> {
        let listener = Listener::Address(TcpListener::bind(address).await?);
        let connections = Arc::new(Semaphore::new(CONNECTIONS));
        Ok(Self { listener, tls: tls.map(TlsAcceptor::from), connections })
    }

    /// A door for whoever can open this socket.
    pub(crate) fn of_socket(socket: Socket) -> Self {
        let connections = Arc::new(Semaphore::new(LOCAL_CONNECTIONS));
        Self { listener: Listener::Socket(socket), tls: None, connections }
    }

    /// Where it listens, with the port that the system chose if it was left to it. A socket has no address.
    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        match &self.listener {
            Listener::Address(listener) => listener.local_addr(),
            Listener::Socket(_) => Err(std::io::ErrorKind::Unsupported.into()),
        }
    }

    /// Answers each request, of whoever is at the other end, until `stop` resolves, then stops accepting and waits for what is under way.
    pub(crate) async fn serve<F, Fut>(self, answer: F, stop: impl Future<Output = ()>)
    where
        F: Fn(Request<Incoming>, Arc<Peer>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response<Body>> + Send + 'static,
    {
        let graceful = GracefulShutdown::new();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = self.accept() => match accepted {
                    Ok((stream, slot)) => {
                        let connection = Connection { tls: self.tls.clone(), answer: answer.clone(), watcher: graceful.watcher() };
                        tokio::spawn(async move {
                            connection.serve(stream).await;
                            drop(slot);
                        });
                    }
                    Err(error) => {
                        // Out of file descriptors, most likely: accepting again at once would only spin.
                        tracing::warn!(%error, "no connection could be accepted");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
            }
        }
        drop(self.listener);
        graceful.shutdown().await;
    }

    async fn accept(&self) -> std::io::Result<(Stream, tokio::sync::OwnedSemaphorePermit)> {
        let slot = self.connections.clone().acquire_owned().await.map_err(std::io::Error::other)?;
        let stream = match &self.listener {
            Listener::Address(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
            Listener::Socket(socket) => Stream::Unix(socket.accept().await?),
        };
        Ok((stream, slot))
    }
}

struct Connection<F> {
    tls: Option<TlsAcceptor>,
    answer: F,
    watcher: Watcher,
}

impl<F, Fut> Connection<F>
where
    F: Fn(Request<Incoming>, Arc<Peer>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response<Body>> + Send + 'static,
{
    async fn serve(self, stream: Stream) {
        let stream = match stream {
            Stream::Tcp(stream) => stream,
            Stream::Unix(stream) => return self.speak(stream, Peer::default()).await,
        };
        let address = stream.peer_addr().ok().map(|address| address.ip());
        match self.tls.clone() {
            None => self.speak(stream, Peer { address, ..Peer::default() }).await,
            Some(acceptor) => match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let peer = Peer::shaken(address, stream.get_ref().1);
                    self.speak(stream, peer).await;
                }
                Ok(Err(error)) => tracing::debug!(%error, "a client broke off the TLS handshake"),
                Err(_) => tracing::debug!("a client took too long over the TLS handshake"),
            },
        }
    }

    async fn speak(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: Peer) {
        let Self { answer, watcher, .. } = self;
        let peer = Arc::new(peer);
        let service = service_fn(move |request: Request<Incoming>| {
            AssertUnwindSafe(answer(request, peer.clone())).catch_unwind().map(or_failed)
        });
        let mut server = auto::Builder::new(TokioExecutor::new());
        server
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE_TIMEOUT)
            .max_headers(100)
            .max_buf_size(BUFFER);
        server
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(256)
            .max_header_list_size(64 * 1024)
            .keep_alive_interval(Duration::from_secs(30));
        let connection = server.serve_connection(TokioIo::new(stream), service).into_owned();
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(error, "a connection ended early");
        }
    }
}

/// The answer, or that there is none: whoever panics lets nothing through.
fn or_failed(answered: std::thread::Result<Response<Body>>) -> Result<Response<Body>, Infallible> {
    Ok(answered.unwrap_or_else(|_| {
        tracing::error!("a request made the gateway panic");
        text(StatusCode::SERVICE_UNAVAILABLE, "the gateway failed")
    }))
}
