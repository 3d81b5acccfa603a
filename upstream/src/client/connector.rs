//! Connections: made by ourselves, or through a proxy.

use std::error::Error as StdError;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::resolver::Resolver;
use crate::proxy::Proxy;

/// Makes the TCP connection that a request goes over.
#[derive(Clone)]
pub(crate) struct Connector {
    direct: HttpConnector<Resolver>,
    /// To the proxy, which may be anywhere, because it was configured.
    to_proxy: HttpConnector<Resolver>,
    proxy: Proxy,
}

impl Connector {
    pub(super) fn new(
        direct: HttpConnector<Resolver>,
        to_proxy: HttpConnector<Resolver>,
        proxy: Proxy,
    ) -> Self {
        Self { direct, to_proxy, proxy }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        std::task::ready!(self.direct.poll_ready(context))?;
        self.to_proxy.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let Some(intercept) = self.proxy.intercept(&target) else {
            return self.direct.call(target).map(|outcome| outcome.map_err(Into::into)).boxed();
        };
        let mut tunnel = Tunnel::new(intercept.uri().clone(), self.to_proxy.clone());
        if let Some(authorization) = intercept.basic_auth() {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        tunnel.call(target).map(|outcome| outcome.map_err(Into::into)).boxed()
    }
}
