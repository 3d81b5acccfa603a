//! A client of the admin listener of a gateway that runs.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// How long a person at a terminal is kept waiting.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most bytes of an answer.
const LIMIT: usize = 16 * 1024 * 1024;

/// Where a gateway is.
pub(super) enum Gateway {
    Socket(PathBuf),
    Address(String),
}

pub(super) struct Client {
    pub(super) gateway: Gateway,
    pub(super) token: Option<String>,
}

impl Client {
    /// Asks one thing, and gives the answer in JSON.
    ///
    /// # Errors
    /// Where the gateway cannot be reached, or answers in words why it will not.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let asked = tokio::time::timeout(PATIENCE, self.answer(method, path, body)).await;
        let response = asked.context("the gateway did not answer in time")??;
        let status = response.status();
        let is_json =
            response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
        let body = Limited::new(response.into_body(), LIMIT).collect();
        let body = tokio::time::timeout(PATIENCE, body).await.context("the answer broke off")?;
        let body = body.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?.to_bytes();
        if !is_json {
            bail!("the gateway answered {status}: {}", String::from_utf8_lossy(&body).trim_end());
        }
        Ok((status, serde_json::from_slice(&body).context("the answer is no JSON")?))
    }

    async fn answer(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Response<Incoming>> {
        let request = self.request(method, path, body)?;
        match &self.gateway {
            Gateway::Socket(path) => {
                let stream = UnixStream::connect(path).await;
                let stream = stream.with_context(|| {
                    format!(
                        "{}: no gateway of this configuration runs here, or it is another user's",
                        path.display()
                    )
                })?;
                send(stream, request).await
            }
            Gateway::Address(address) => {
                let stream = TcpStream::connect(address).await;
                send(stream.with_context(|| format!("{address}: no gateway answers"))?, request).await
            }
        }
    }

    fn request(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Request<Full<Bytes>>> {
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let host = match &self.gateway {
            Gateway::Socket(_) => "localhost",
            Gateway::Address(address) => address,
        };
        let request = Request::builder().method(method).uri(path).header(header::HOST, host);
        let mut request = request.body(Full::new(body))?;
        if let Some(token) = &self.token {
            let mut shown = HeaderValue::from_str(&format!("Bearer {token}"))?;
            shown.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, shown);
        }
        Ok(request)
    }
}

async fn send<S>(stream: S, request: Request<Full<Bytes>>) -> anyhow::Result<Response<Incoming>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends when the answer has been read, or with the runtime.
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}
