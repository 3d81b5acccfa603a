//! Docker's `config.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::Host;
use serde::Deserialize;

use super::{LoginError, Written, file, helper};
use crate::credentials::Credentials;

/// A Docker `config.json`, and which of its entries is meant.
#[derive(Clone, Debug)]
pub struct DockerLogin {
    path: PathBuf,
    host: Host,
    /// The variables that programs see besides `PATH` and `HOME`.
    environment: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: Option<String>,
}

/// One entry. What a refresh token is exchanged for comes before a password, as with Docker.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// What Docker calls its hub where it asks for credentials.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

impl DockerLogin {
    /// The entry for this registry. A program that the file names sees `PATH`, `HOME` and these variables.
    pub fn new(path: PathBuf, host: Host, environment: Vec<String>) -> Self {
        Self { path, host, environment }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn environment(&self) -> &[String] {
        &self.environment
    }

    pub(super) fn read(&self) -> Result<Written, LoginError> {
        let text = file::read(&self.path)?;
        let malformed = |reason| LoginError::Malformed { path: self.path.clone(), reason };
        find(&text, &self.host).map_err(malformed)
    }
}

/// What a configuration says of a host, in Docker's order: a program for this host, one for all, the file itself.
fn find(text: &str, host: &Host) -> Result<Written, String> {
    // The error of a JSON parser may quote what it stumbled over, which here may be a secret.
    let config: Config = serde_json::from_str(text).map_err(|_| "is no Docker configuration".to_owned())?;
    let named = config.auths.into_iter().find(|(name, _)| means(name, host));
    let own = config.cred_helpers.into_iter().find(|(name, _)| means(name, host));
    let store = config.creds_store.filter(|store| !store.is_empty());
    let server = || named.as_ref().map_or_else(|| server(host), |(name, _)| name.clone());
    match (own, store) {
        (Some((server, program)), _) => helper(&program, server),
        (None, Some(program)) => helper(&program, server()),
        (None, None) => match named {
            Some((_, auth)) => auth.credentials(host).map(Written::Credentials),
            None => Err(format!("has no entry for {host}")),
        },
    }
}

fn helper(name: &str, server: String) -> Result<Written, String> {
    let program = helper::program(name).ok_or_else(|| "names a helper that is no program".to_owned())?;
    Ok(Written::Helper { program, server })
}

fn server(host: &Host) -> String {
    if host.is_docker_hub() { DOCKER_HUB.to_owned() } else { host.to_string() }
}

impl Auth {
    fn credentials(mut self, host: &Host) -> Result<Credentials, String> {
        if let Some(token) = self.identitytoken.take().filter(|token| !token.is_empty()) {
            return Ok(Credentials::identity_token(token));
        }
        let has_any =
            self.password.is_some() || self.auth.as_ref().is_some_and(|auth| !auth.trim().is_empty());
        if !has_any {
            return Err(format!("the entry for {host} has no credentials in it"));
        }
        self.password().ok_or_else(|| format!("the entry for {host} is not user:password in base64"))
    }

    /// The user name and password, as two fields or as one in base64.
    pub(super) fn password(self) -> Option<Credentials> {
        if let (Some(username), Some(password)) = (self.username, self.password) {
            return Some(Credentials::new(username, password));
        }
        let decoded = String::from_utf8(STANDARD.decode(self.auth?.trim()).ok()?).ok()?;
        let (username, password) = decoded.split_once(':')?;
        Some(Credentials::new(username, password))
    }
}

/// Entries are named by host, or by a URL as Docker Hub's is. It is the whole host that is compared.
fn means(name: &str, host: &Host) -> bool {
    let name = name.strip_prefix("https://").unwrap_or(name);
    let name = name.split('/').next().unwrap_or(name);
    name.parse::<Host>().is_ok_and(|named| named == *host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, host: &str) -> Result<String, String> {
        find(text, &host.parse().unwrap()).map(|written| match written {
            Written::Credentials(credentials) => {
                match (credentials.password(), credentials.refresh_token()) {
                    (Some((username, password)), _) => format!("{username}:{password}"),
                    (None, token) => format!("token {}", token.unwrap()),
                }
            }
            Written::Helper { program, server } => format!("{program} {server}"),
        })
    }

    #[test]
    fn an_entry_is_matched_by_its_whole_host() {
        let text = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "dTpw"}, "ghcr.io": {"username": "a", "password": "b"}}}"#;
        assert_eq!(found(text, "docker.io").unwrap(), "u:p");
        assert_eq!(found(text, "ghcr.io").unwrap(), "a:b");
        for other in ["ghcr.io.evil.example", "hcr.io", "io", "ghcr.io:5000"] {
            assert!(found(text, other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_program_comes_before_what_is_written() {
        let text = r#"{
            "auths": {"https://index.docker.io/v1/": {}, "ghcr.io": {"auth": "dTpw", "identitytoken": "t"}},
            "credHelpers": {"1.dkr.ecr.eu-west-1.amazonaws.com": "ecr-login", "evil.example": "../sh"}
        }"#;
        assert_eq!(
            found(text, "1.dkr.ecr.eu-west-1.amazonaws.com").unwrap(),
            "docker-credential-ecr-login 1.dkr.ecr.eu-west-1.amazonaws.com"
        );
        assert_eq!(found(text, "ghcr.io").unwrap(), "token t");
        assert!(found(text, "docker.io").is_err());
        assert!(found(text, "evil.example").is_err());
        let stored = text.replacen('{', r#"{"credsStore": "pass","#, 1);
        assert_eq!(
            found(&stored, "docker.io").unwrap(),
            "docker-credential-pass https://index.docker.io/v1/"
        );
        assert_eq!(found(&stored, "ghcr.io").unwrap(), "docker-credential-pass ghcr.io");
        assert_eq!(found(&stored, "quay.io").unwrap(), "docker-credential-pass quay.io");
        assert!(
            found(&stored, "1.dkr.ecr.eu-west-1.amazonaws.com")
                .unwrap()
                .starts_with("docker-credential-ecr-login")
        );
    }

    #[test]
    fn no_secret_is_in_an_error() {
        for text in
            [r#"{"auths": {"ghcr.io": {"auth": "hunter2"}}}"#, r#"{"auths": {"ghcr.io": {"auth": hunter2}}}"#]
        {
            let error = found(text, "ghcr.io").unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
