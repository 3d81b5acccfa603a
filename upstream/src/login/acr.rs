//! Azure Container Registry.
//!
//! The token that Kubernetes mounts is exchanged for one of Microsoft Entra
//! ([workload identity](https://azure.github.io/azure-workload-identity/docs/)), and that for a refresh token of the
//! registry ([AAD-OAuth](https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md)), which its realm takes.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::exchange::{Exchange, uri};
use super::{Lent, LoginError, blocking, file};
use crate::client::Ask;
use crate::credentials::Credentials;
use crate::endpoint::Endpoint;
use crate::fetch::Url;

/// How we log in to Azure's registries.
#[derive(Clone, Debug)]
pub struct Acr {
    /// The registry.
    pub registry: Endpoint,
    /// Where Entra is: `https://login.microsoftonline.com`, unless the cloud is another one.
    pub authority: Url,
    /// The directory that we are in.
    pub tenant: String,
    /// Who we are there.
    pub client: String,
    /// The file of the token that says so.
    pub token: PathBuf,
}

/// What the first token is for.
const SCOPE: &str = "https://containerregistry.azure.net/.default";
/// How long a refresh token lasts that does not say.
const LIFETIME: Duration = Duration::from_secs(60 * 60);

#[derive(Deserialize)]
struct AccessToken {
    access_token: String,
}

#[derive(Deserialize)]
struct RefreshToken {
    refresh_token: String,
}

impl Acr {
    /// Whether the token's file is there.
    pub(super) fn check(&self) -> Result<(), LoginError> {
        file::one_line(&self.token).map(drop)
    }

    pub(super) async fn lend(&self, exchange: &Exchange) -> Result<Lent, LoginError> {
        let path = self.token.clone();
        let assertion = blocking(move || file::one_line(&path)).await?;
        let access = self.access(exchange, &assertion).await?;
        let refresh = self.refresh(exchange, &access.access_token).await?.refresh_token;
        let lifetime = lifetime(&refresh).unwrap_or(LIFETIME);
        Ok(Lent::for_a_while(Credentials::identity_token(refresh), lifetime))
    }

    async fn access(&self, exchange: &Exchange, assertion: &str) -> Result<AccessToken, LoginError> {
        const ENTRA: &str = "Microsoft Entra";
        let path = format!("{}/oauth2/v2.0/token", self.tenant);
        let url = self.authority.below(&path).map_err(|error| service(ENTRA, error))?;
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", self.client.as_str()),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
            ("scope", SCOPE),
        ];
        exchange.json(ENTRA, &Ask::form(uri(&url), &fields)).await
    }

    async fn refresh(&self, exchange: &Exchange, access: &str) -> Result<RefreshToken, LoginError> {
        const REGISTRY: &str = "the registry's exchange of tokens";
        let url: Url =
            format!("{}/oauth2/exchange", self.registry).parse().map_err(|error| service(REGISTRY, error))?;
        let origin = self.registry.origin();
        let fields = [
            ("grant_type", "access_token"),
            ("service", origin.host()),
            ("tenant", self.tenant.as_str()),
            ("access_token", access),
        ];
        exchange.json(REGISTRY, &Ask::form(uri(&url), &fields)).await
    }
}

fn service(service: &'static str, reason: impl std::fmt::Display) -> LoginError {
    LoginError::Service { service, reason: reason.to_string() }
}

/// How much longer a token lasts, by its own `exp`. It is read and not verified: it only says when to ask again.
fn lifetime(token: &str) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    let left = claims.exp.checked_sub(jiff::Timestamp::now().as_second())?;
    // More than a day is nothing that they say.
    Some(Duration::from_secs(u64::try_from(left).unwrap_or(0).min(86_400)))
}
