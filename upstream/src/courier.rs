//! Requests that others make and sign: for object stores, whose clients know what to ask and not how to connect.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use rustls_pki_types::CertificateDer;

use crate::address::Reach;
use crate::client::{Connections, connections};
use crate::error::{Awaited, BuildError, FetchError, Outage};
use crate::proxy::Proxy;
use crate::settings::Timeouts;
use crate::tls;

/// Carries requests as they are, each once: it adds no credential and follows no redirect. It believes the system's
/// authorities and some more, and goes through a proxy where the environment names one.
#[derive(Clone)]
pub struct Courier {
    connections: Connections,
    deadline: Duration,
}

impl Courier {
    /// A courier with connections of its own.
    ///
    /// # Errors
    /// [`BuildError`] where TLS cannot be set up, or the environment names a proxy that cannot be used.
    pub fn new(authorities: &[CertificateDer<'static>]) -> Result<Self, BuildError> {
        let proxy = Proxy::from_environment(|name| std::env::var(name).ok()).map_err(BuildError::Proxy)?;
        let timeouts = Timeouts::default();
        let connections = connections(tls::config(authorities, None)?, Reach::Anywhere, &proxy, &timeouts);
        Ok(Self { connections, deadline: timeouts.connect + timeouts.headers })
    }

    /// The answer to a request, whatever its status. Its body has no deadline: whoever reads it has one.
    ///
    /// # Errors
    /// [`FetchError::Unavailable`] where there is no answer.
    pub async fn carry(&self, request: Request<Bytes>) -> Result<Response<Incoming>, FetchError> {
        let answer = self.connections.request(request.map(Full::new));
        match tokio::time::timeout(self.deadline, answer).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if error.is_connect() => Err(Outage::Connect(Box::new(error)).into()),
            Ok(Err(error)) => Err(Outage::Broken(Box::new(error)).into()),
            Err(_) => Err(Outage::TimedOut(Awaited::Headers).into()),
        }
    }
}
