//! Credentials that whoever runs us vouches for, instead of a password that somebody has to keep.

use std::fmt;
use std::sync::Arc;

use super::acr::Acr;
use super::ecr::Ecr;
use super::exchange::Exchange;
use super::gar::Gar;
use super::{Lent, LoginError};
use crate::error::BuildError;
use crate::proxy::Proxy;

/// Whose registry it is, and who we are there.
#[derive(Clone, Debug)]
pub enum Cloud {
    /// Amazon's.
    Ecr(Ecr),
    /// Google's.
    Gar(Gar),
    /// Microsoft's.
    Acr(Acr),
}

/// A login that a cloud gives credentials for.
#[derive(Clone)]
pub struct CloudLogin {
    cloud: Cloud,
    exchange: Arc<Exchange>,
}

impl CloudLogin {
    /// A login whose services are reached through this proxy. Opens no connection yet.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(cloud: Cloud, proxy: Proxy) -> Result<Self, BuildError> {
        Ok(Self { cloud, exchange: Arc::new(Exchange::new(proxy)?) })
    }

    pub(super) fn check(&self) -> Result<(), LoginError> {
        match &self.cloud {
            Cloud::Ecr(ecr) => ecr.check(),
            Cloud::Gar(gar) => gar.check(),
            Cloud::Acr(acr) => acr.check(),
        }
    }

    pub(super) async fn lend(&self) -> Result<Lent, LoginError> {
        match &self.cloud {
            Cloud::Ecr(ecr) => ecr.lend(&self.exchange).await,
            Cloud::Gar(gar) => gar.lend(&self.exchange).await,
            Cloud::Acr(acr) => acr.lend(&self.exchange).await,
        }
    }
}

impl fmt::Debug for CloudLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cloud.fmt(f)
    }
}
