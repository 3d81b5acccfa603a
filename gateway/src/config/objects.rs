//! An object store, as configured.

use std::path::PathBuf;

use super::file::{ConfigError, wrong};
use super::wire;

/// An object store that replicas share bytes through. What it is asked with is taken from the environment.
#[derive(Clone, Debug)]
pub struct Objects {
    /// Whose it is, or is like.
    pub cloud: Cloud,
    /// Its bucket, or container.
    pub bucket: String,
    /// What the keys of objects begin with.
    pub prefix: String,
    /// Where it is, if not where the cloud's are.
    pub endpoint: Option<String>,
    /// The region of the bucket, if the environment does not say it.
    pub region: Option<String>,
    /// Who vouches for its certificate, besides the system's authorities.
    pub ca: Option<PathBuf>,
}

/// Whose object stores there are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cloud {
    /// Amazon's, and whatever speaks as it does.
    S3,
    /// Google's.
    Google,
    /// Azure's.
    Azure,
}

impl Objects {
    /// Whether plain HTTP is asked for.
    pub(crate) fn is_plain(&self) -> bool {
        self.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"))
    }
}

impl wire::Objects {
    pub(super) fn into_objects(self) -> Result<Objects, ConfigError> {
        const KEY: &str = "storage.object.url";
        let (scheme, rest) = self.url.split_once("://").ok_or_else(|| wrong(KEY, "is no URL"))?;
        let cloud = match scheme {
            "s3" => Cloud::S3,
            "gs" => Cloud::Google,
            "az" => Cloud::Azure,
            _ => return Err(wrong(KEY, format!("{scheme:?}: is none of s3, gs and az"))),
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_in_name =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
        if bucket.is_empty() || !bucket.bytes().all(is_in_name) {
            return Err(wrong(KEY, format!("{bucket:?}: is no name of a bucket")));
        }
        if self.region.is_some() && cloud != Cloud::S3 {
            return Err(wrong("storage.object.region", "is for s3"));
        }
        if let Some(endpoint) = &self.endpoint {
            if cloud == Cloud::Google {
                return Err(wrong("storage.object.endpoint", "is for s3 and az"));
            }
            if endpoint.parse::<upstream::Url>().is_err() {
                return Err(wrong("storage.object.endpoint", format!("{endpoint:?}: is no URL")));
            }
        }
        let prefix = prefix.trim_matches('/').to_owned();
        let Self { url: _, endpoint, region, ca } = self;
        Ok(Objects { cloud, bucket: bucket.to_owned(), prefix, endpoint, region, ca })
    }
}
