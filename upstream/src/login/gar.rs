//! Google: Artifact Registry and what came before it.
//!
//! On Google's machines and in GKE the metadata service gives out tokens
//! ([workload identity](https://cloud.google.com/kubernetes-engine/docs/concepts/workload-identity)). Elsewhere a token of whoever
//! runs us is exchanged for one ([RFC 8693](https://www.rfc-editor.org/rfc/rfc8693)), as an
//! [external account](https://google.aip.dev/auth/4117) says.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderValue, Method, header};
use serde::Deserialize;

use super::exchange::{Exchange, uri};
use super::{Lent, LoginError, blocking, file};
use crate::client::Ask;
use crate::credentials::Credentials;
use crate::fetch::Url;

/// How we log in to Google's registries.
#[derive(Clone, Debug)]
pub enum Gar {
    /// With what a metadata service gives, which is at this URL.
    Metadata(Url),
    /// With what an external account gives, whose configuration is in this file.
    ExternalAccount(PathBuf),
}

/// Where the metadata service is.
pub const GOOGLE_METADATA: &str = "http://metadata.google.internal";

const TOKEN_PATH: &str = "computeMetadata/v1/instance/service-accounts/default/token";
/// What a token is for: to read.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_only";
const CLOUD_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const USERNAME: &str = "oauth2accesstoken";

#[derive(Deserialize)]
struct Token {
    access_token: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct Impersonated {
    #[serde(rename = "accessToken")]
    access_token: String,
}

/// The part of an external account's configuration that we act on.
#[derive(Deserialize)]
struct ExternalAccount {
    #[serde(rename = "type")]
    kind: String,
    audience: String,
    subject_token_type: String,
    token_url: String,
    credential_source: Source,
    #[serde(default)]
    service_account_impersonation_url: Option<String>,
}

#[derive(Deserialize)]
struct Source {
    #[serde(default)]
    file: Option<PathBuf>,
}

/// The longest that a token is believed to last, in seconds.
const LONGEST: u64 = 24 * 60 * 60;

/// How long a service account's token is asked to last.
const IMPERSONATED_FOR: Duration = Duration::from_secs(60 * 60);

impl Gar {
    /// Whether the file that this names is there and makes sense.
    pub(super) fn check(&self) -> Result<(), LoginError> {
        match self {
            Self::Metadata(_) => Ok(()),
            Self::ExternalAccount(path) => account(path).map(drop),
        }
    }

    pub(super) async fn lend(&self, exchange: &Exchange) -> Result<Lent, LoginError> {
        let token = match self {
            Self::Metadata(url) => metadata(exchange, url).await?,
            Self::ExternalAccount(path) => {
                let path = path.clone();
                exchanged(exchange, &blocking(move || account(&path)).await?).await?
            }
        };
        let credentials = Credentials::new(USERNAME, token.access_token);
        Ok(Lent::for_a_while(credentials, Duration::from_secs(token.expires_in.min(LONGEST))))
    }
}

async fn metadata(exchange: &Exchange, url: &Url) -> Result<Token, LoginError> {
    const SERVICE: &str = "Google's metadata service";
    let url = url.below(TOKEN_PATH).map_err(|error| service(SERVICE, error))?;
    let mut ask = Ask::new(Method::GET, uri(&url), "application/json");
    ask.set(http::HeaderName::from_static("metadata-flavor"), HeaderValue::from_static("Google"));
    exchange.json(SERVICE, &ask).await
}

fn service(service: &'static str, reason: impl std::fmt::Display) -> LoginError {
    LoginError::Service { service, reason: reason.to_string() }
}

/// The configuration, and the token that it says to exchange. Blocks.
fn account(path: &Path) -> Result<(ExternalAccount, String), LoginError> {
    let malformed = |reason: &str| LoginError::Malformed { path: path.to_owned(), reason: reason.to_owned() };
    let account: ExternalAccount = serde_json::from_str(&file::read(path)?)
        .map_err(|_| malformed("is no configuration of an external account"))?;
    if account.kind != "external_account" {
        return Err(malformed("is not of type external_account"));
    }
    let source = account.credential_source.file.clone();
    let source =
        source.ok_or_else(|| malformed("names no file with a token; other sources are not known here"))?;
    let token = file::one_line(&source)?;
    Ok((account, token))
}

async fn exchanged(
    exchange: &Exchange,
    (account, subject): &(ExternalAccount, String),
) -> Result<Token, LoginError> {
    const STS: &str = "Google's token service";
    let impersonating = account.service_account_impersonation_url.as_deref();
    let at = parse_url(STS, &account.token_url)?;
    let ask = Ask::form(
        uri(&at),
        &[
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("audience", &account.audience),
            ("scope", if impersonating.is_some() { CLOUD_SCOPE } else { SCOPE }),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token_type", &account.subject_token_type),
            ("subject_token", subject),
        ],
    );
    let token: Token = exchange.json(STS, &ask).await?;
    match impersonating {
        Some(url) => impersonate(exchange, url, &token).await,
        None => Ok(token),
    }
}

async fn impersonate(exchange: &Exchange, url: &str, token: &Token) -> Result<Token, LoginError> {
    const IAM: &str = "Google's credentials service";
    let at = parse_url(IAM, url)?;
    let body = serde_json::json!({
        "scope": [SCOPE],
        "lifetime": format!("{}s", IMPERSONATED_FOR.as_secs()),
    });
    let mut ask = Ask::json(uri(&at), body.to_string());
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.access_token))
        .map_err(|_| service(IAM, "wants a token that is none"))?;
    bearer.set_sensitive(true);
    ask.set(header::AUTHORIZATION, bearer);
    let given: Impersonated = exchange.json(IAM, &ask).await?;
    Ok(Token { access_token: given.access_token, expires_in: IMPERSONATED_FOR.as_secs() })
}

fn parse_url(named: &'static str, text: &str) -> Result<Url, LoginError> {
    text.parse().map_err(|error| service(named, error))
}
