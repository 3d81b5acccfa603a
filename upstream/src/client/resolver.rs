//! Looking up names, without the addresses that are out of reach.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::vec;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use thiserror::Error;
use tower_service::Service;

use crate::address::{Class, Reach};

/// The system's resolver, whose answers are filtered before anything connects to them: a name that was looked at
/// beforehand could mean something else by the time of the connection.
#[derive(Clone)]
pub(crate) struct Resolver {
    system: GaiResolver,
    reach: Reach,
}

/// Why a name could not be looked up.
#[derive(Debug, Error)]
pub(crate) enum LookupError {
    /// The system has no answer.
    #[error("name could not be looked up")]
    System(#[from] io::Error),
    /// All its addresses are out of reach.
    #[error("name has no address within reach")]
    OutOfReach,
}

impl Resolver {
    pub(crate) fn new(reach: Reach) -> Self {
        Self { system: GaiResolver::new(), reach }
    }
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = LookupError;
    type Future = BoxFuture<'static, Result<Self::Response, LookupError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), LookupError>> {
        self.system.poll_ready(context).map_err(LookupError::from)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.reach;
        let lookup = self.system.call(name);
        async move { within(reach, lookup.await?) }.boxed()
    }
}

fn within(
    reach: Reach,
    addresses: impl Iterator<Item = SocketAddr>,
) -> Result<vec::IntoIter<SocketAddr>, LookupError> {
    let kept: Vec<_> = addresses.filter(|address| reach.covers(Class::of(address.ip()))).collect();
    if kept.is_empty() {
        return Err(LookupError::OutOfReach);
    }
    Ok(kept.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_out_of_reach_are_left_out() {
        let addresses = ["1.1.1.1:443", "10.0.0.1:443"].map(|address| address.parse::<SocketAddr>().unwrap());
        let kept: Vec<_> = within(Reach::Public, addresses.into_iter()).unwrap().collect();
        assert_eq!(kept, addresses[..1]);
        assert!(matches!(
            within(Reach::Public, addresses[1..].iter().copied()),
            Err(LookupError::OutOfReach)
        ));
    }

    #[tokio::test]
    async fn a_name_for_this_machine_is_out_of_a_stranger_s_reach() {
        let mut stranger = Resolver::new(Reach::Public);
        let name = || "localhost".parse::<Name>().unwrap();
        assert!(matches!(stranger.call(name()).await, Err(LookupError::OutOfReach)));
        assert!(Resolver::new(Reach::Loopback).call(name()).await.is_ok());
    }
}
