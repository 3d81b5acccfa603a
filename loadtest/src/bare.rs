//! The least that a server can do: one manifest, whatever is asked.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Response, header};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Starts it on a port of its own.
pub(crate) async fn start(media_type: &'static str, manifest: Bytes) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let manifest = manifest.clone();
            tokio::spawn(async move {
                drop(stream.set_nodelay(true));
                let service = service_fn(move |_| {
                    let mut response = Response::new(Full::new(manifest.clone()));
                    let media_type = http::HeaderValue::from_static(media_type);
                    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
                    std::future::ready(Ok::<_, Infallible>(response))
                });
                // A client that leaves is no concern of a benchmark's.
                drop(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await,
                );
            });
        }
    });
    Ok(address)
}
