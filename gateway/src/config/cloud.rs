//! Credentials that a cloud gives: from `credentials.ecr`, `gar` and `acr` to types. What is left out here is looked for in the
//! environment, where the clouds put it.

use std::path::PathBuf;

use upstream::Url;

use super::file::{ConfigError, parsed, wrong};
use super::wire;

/// Which cloud, and what of it is known without the environment.
#[derive(Clone, Debug)]
pub enum CloudSource {
    /// Amazon.
    Ecr {
        /// The region of the registry.
        region: Option<String>,
        /// The role to take on.
        role: Option<String>,
        /// The file of the token that lets us.
        token: Option<PathBuf>,
        /// Where roles are taken on.
        sts: Option<Url>,
        /// Where passwords are to be had.
        api: Option<Url>,
    },
    /// Google.
    Gar {
        /// Where the metadata service is.
        metadata: Option<Url>,
        /// The configuration of an external account, instead of a metadata service.
        external_account: Option<PathBuf>,
    },
    /// Microsoft.
    Acr {
        /// The directory that we are in.
        tenant: Option<String>,
        /// Who we are there.
        client: Option<String>,
        /// The file of the token that says so.
        token: Option<PathBuf>,
        /// Where Entra is.
        authority: Option<Url>,
    },
}

fn url(key: &str, text: Option<&str>) -> Result<Option<Url>, ConfigError> {
    text.map(|text| parsed(key, text)).transpose()
}

impl wire::Ecr {
    pub(super) fn into_source(self, key: &str) -> Result<CloudSource, ConfigError> {
        let is_region = |region: &String| {
            !region.is_empty() && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if self.region.as_ref().is_some_and(|region| !is_region(region)) {
            return Err(wrong(format!("{key}.region"), "is no region"));
        }
        Ok(CloudSource::Ecr {
            region: self.region,
            role: self.role_arn,
            token: self.token_file,
            sts: url(&format!("{key}.sts"), self.sts.as_deref())?,
            api: url(&format!("{key}.api"), self.api.as_deref())?,
        })
    }
}

impl wire::Gar {
    pub(super) fn into_source(self, key: &str) -> Result<CloudSource, ConfigError> {
        if self.metadata.is_some() && self.external_account.is_some() {
            return Err(wrong(key, "wants metadata or externalAccount"));
        }
        let metadata = url(&format!("{key}.metadata"), self.metadata.as_deref())?;
        Ok(CloudSource::Gar { metadata, external_account: self.external_account })
    }
}

impl wire::Acr {
    pub(super) fn into_source(self, key: &str) -> Result<CloudSource, ConfigError> {
        let authority = url(&format!("{key}.authority"), self.authority.as_deref())?;
        Ok(CloudSource::Acr { tenant: self.tenant, client: self.client, token: self.token_file, authority })
    }
}
