//! A server on loopback that ends with its handle.

use std::future::Future;
use std::io;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// The task that accepts connections, and owns them. Dropped, it cuts those that are open.
pub(crate) struct Server(JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Server {
    /// Serves plain HTTP, 1.1 or 2 with prior knowledge. An error in place of an answer closes the connection.
    pub(crate) fn start<R, F, B>(listener: TcpListener, respond: R) -> Self
    where
        R: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<Response<B>>> + Send + 'static,
        B: Body<Error: std::error::Error + Send + Sync, Data: Send> + Send + 'static,
    {
        Self(tokio::spawn(accept(listener, Arc::new(respond))))
    }
}

async fn accept<R, F, B>(listener: TcpListener, respond: Arc<R>)
where
    R: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = io::Result<Response<B>>> + Send + 'static,
    B: Body<Error: std::error::Error + Send + Sync, Data: Send> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(converse(stream, respond.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse<R, F, B>(stream: TcpStream, respond: Arc<R>)
where
    R: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = io::Result<Response<B>>> + Send + 'static,
    B: Body<Error: std::error::Error + Send + Sync, Data: Send> + Send + 'static,
{
    // Else an answer in two writes waits for the client's delayed acknowledgement of the first.
    drop(stream.set_nodelay(true));
    let service = service_fn(move |request| respond(request));
    let server = auto::Builder::new(TokioExecutor::new());
    // A client that hangs up, or that was hung up on, is what many tests are about.
    drop(server.serve_connection(TokioIo::new(stream), service).await);
}
