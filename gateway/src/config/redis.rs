//! The store that the replicas of a fleet share their memory through: from its section to what connects to it.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cache::{ConnectError, Seals, Settings, Trust};

use super::file::{ConfigError, wrong};
use super::secrets::short_secret;
use super::wire;

/// Where the store is, and what is believed of it.
#[derive(Clone)]
pub struct Redis {
    url: String,
    /// Files of 32 bytes. The first seals, all open.
    seal_keys: Vec<PathBuf>,
    trust: Trust,
    prefix: Option<String>,
    username: Option<String>,
    password: Option<PathBuf>,
    ca: Option<PathBuf>,
    client: Option<(PathBuf, PathBuf)>,
}

/// How long a secret is.
const SECRET: usize = 32;

/// The most bytes of a file of certificates.
const CERTIFICATES: u64 = 1024 * 1024;

impl wire::Redis {
    pub(super) fn into_redis(self) -> Result<Option<Redis>, ConfigError> {
        let key = |name: &str| format!("cache.redis.{name}");
        let Some(url) = self.url else {
            let is_default = self.seal_keys.is_empty()
                && self.trust == wire::RedisTrust::Sealed
                && [&self.password_file, &self.ca, &self.certificate, &self.key]
                    .iter()
                    .all(|file| file.is_none())
                && self.prefix.is_none()
                && self.username.is_none();
            return if is_default { Ok(None) } else { Err(wrong(key("url"), "is missing")) };
        };
        let trust = match self.trust {
            wire::RedisTrust::Sealed if self.seal_keys.is_empty() => {
                return Err(wrong(
                    key("sealKeys"),
                    "is missing: what anybody could have written would be believed; name a file of 32 random bytes, \
                     or say trust: material",
                ));
            }
            wire::RedisTrust::Sealed => Trust::Sealed,
            wire::RedisTrust::Material => Trust::Material,
        };
        let client = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => return Err(wrong(key("key"), "is missing")),
            (None, Some(_)) => return Err(wrong(key("certificate"), "is missing")),
        };
        Ok(Some(Redis {
            url,
            seal_keys: self.seal_keys,
            trust,
            prefix: self.prefix,
            username: self.username,
            password: self.password_file,
            ca: self.ca,
            client,
        }))
    }
}

impl Redis {
    /// What connects to it, with every file read.
    ///
    /// # Errors
    /// The key whose file cannot be read or is not what it should be. No secret is in the error.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        let file = |key: &'static str, path: &Path| {
            limited(path, CERTIFICATES).with_context(|| format!("cache.redis.{key}: {}", path.display()))
        };
        let client = match &self.client {
            Some((certificate, key)) => Some((file("certificate", certificate)?, file("key", key)?)),
            None => None,
        };
        let password =
            self.password.as_deref().map(|path| short_secret(path).context("cache.redis.passwordFile"));
        Ok(Settings {
            url: self.url.clone(),
            username: self.username.clone(),
            password: password.transpose()?,
            ca: self.ca.as_deref().map(|path| file("ca", path)).transpose()?,
            client,
            prefix: self.prefix.clone().unwrap_or_else(|| "countersign".to_owned()),
            budget: cache::BUDGET,
            seals: self.seals()?,
            trust: self.trust,
        })
    }

    /// What the secrets seal with, all of them read; `None` where there are none.
    pub(crate) fn seals(&self) -> anyhow::Result<Option<Seals>> {
        if self.seal_keys.is_empty() {
            return Ok(None);
        }
        let secret = |(index, path): (usize, &PathBuf)| {
            secret(path).with_context(|| format!("cache.redis.sealKeys[{index}]: {}", path.display()))
        };
        let secrets: Vec<_> = self.seal_keys.iter().enumerate().map(secret).collect::<Result<_, _>>()?;
        Ok(Some(Seals::new(&secrets).context("cache.redis.sealKeys")?))
    }
}

/// The key that is wrong where nothing can be connected to.
pub(crate) fn key_of(error: &ConnectError) -> &'static str {
    match error {
        ConnectError::Url(_) | ConnectError::Budget => "cache.redis.url",
        ConnectError::Unsealed => "cache.redis.sealKeys",
        ConnectError::Prefix => "cache.redis.prefix",
        ConnectError::Certificates(_) => "cache.redis.ca",
        ConnectError::Thread(_) => "cache.redis",
    }
}

fn secret(path: &Path) -> anyhow::Result<[u8; SECRET]> {
    let bytes = limited(path, SECRET as u64)?;
    let length = bytes.len();
    bytes.try_into().map_err(|_| anyhow::anyhow!("has {length} bytes and not {SECRET}"))
}

fn limited(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    anyhow::ensure!(bytes.len() as u64 <= limit, "has more than {limit} bytes");
    Ok(bytes)
}

/// How it is trusted, and not the URL, which may hold a password.
impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("trust", &self.trust).finish_non_exhaustive()
    }
}
