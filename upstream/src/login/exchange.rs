//! Small exchanges with the services of clouds that give out credentials.

use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use serde::de::DeserializeOwned;

use super::LoginError;
use crate::address::Reach;
use crate::body;
use crate::client::{Ask, Client, Manners, SECOND_TRIES, Way};
use crate::error::BuildError;
use crate::fetch::Url;
use crate::proxy::Proxy;
use crate::settings::Timeouts;
use crate::status::{Voice, check};

/// Asks such services. They are where they were configured to be, so they may be anywhere; redirects are not followed.
pub(super) struct Exchange {
    client: Client,
}

/// How many bytes an answer may have.
const LIMIT: u64 = 64 * 1024;

impl Exchange {
    pub(super) fn new(proxy: Proxy) -> Result<Self, BuildError> {
        let timeouts = Timeouts { body: Duration::from_secs(10), ..Timeouts::default() };
        let manners =
            Manners { authorities: &[], identity: None, proxy, timeouts, second_tries: SECOND_TRIES };
        Ok(Self { client: Client::new(manners)? })
    }

    /// The body of a successful answer.
    ///
    /// # Errors
    /// What became of it, without a word of what was said: either side of it holds secrets.
    pub(super) async fn ask(&self, service: &'static str, ask: &Ask) -> Result<Bytes, LoginError> {
        let failed =
            |error: &dyn std::fmt::Display| LoginError::Service { service, reason: error.to_string() };
        let way = Way::Elsewhere(Reach::Anywhere);
        let answer = self.client.send(way, ask, || {}).await.map_err(|error| failed(&error))?;
        let (parts, answer) = answer.into_parts();
        let status = parts.status.as_u16();
        check(&parts, Voice::Storage).map_err(|_| failed(&format!("answers with status {status}")))?;
        body::document(answer, LIMIT, self.client.body_timeout()).await.map_err(|error| failed(&error))
    }

    /// The same, of an answer in JSON.
    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        service: &'static str,
        ask: &Ask,
    ) -> Result<T, LoginError> {
        parse(service, &self.ask(service, ask).await?)
    }
}

/// What an answer says. The parser's words could quote a secret, so they are not passed on.
pub(super) fn parse<T: DeserializeOwned>(service: &'static str, answer: &[u8]) -> Result<T, LoginError> {
    serde_json::from_slice(answer)
        .map_err(|_| LoginError::Service { service, reason: "gave an answer that makes no sense".to_owned() })
}

/// A URL as a request has it.
pub(super) fn uri(url: &Url) -> Uri {
    url.uri().clone()
}
