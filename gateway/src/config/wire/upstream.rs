//! `upstreams[]` as people write them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::SecretRef;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct Upstream {
    pub(in crate::config) host: String,
    #[serde(default)]
    pub(in crate::config) aliases: Vec<String>,
    #[serde(default)]
    pub(in crate::config) hostnames: Vec<String>,
    #[serde(default)]
    pub(in crate::config) access: Access,
    #[serde(default)]
    pub(in crate::config) endpoint: Option<String>,
    #[serde(default)]
    pub(in crate::config) endpoints: Vec<Endpoint>,
    #[serde(default)]
    pub(in crate::config) realms: Vec<String>,
    #[serde(default)]
    pub(in crate::config) redirects: Vec<String>,
    #[serde(default)]
    pub(in crate::config) client_certificate: Option<PathBuf>,
    #[serde(default)]
    pub(in crate::config) client_key: Option<PathBuf>,
    #[serde(default)]
    pub(in crate::config) credentials: Option<Credentials>,
    #[serde(default)]
    pub(in crate::config) ca: Option<PathBuf>,
    #[serde(default)]
    pub(in crate::config) proxy: Option<Proxy>,
    #[serde(default)]
    pub(in crate::config) concurrency: Option<usize>,
    #[serde(default)]
    pub(in crate::config) timeouts: Option<Timeouts>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::config) enum Access {
    #[default]
    Own,
    PassThrough,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct Endpoint {
    pub(in crate::config) url: Option<String>,
    pub(in crate::config) mirror: bool,
    pub(in crate::config) realms: Vec<String>,
    pub(in crate::config) redirects: Vec<String>,
    pub(in crate::config) client_certificate: Option<PathBuf>,
    pub(in crate::config) client_key: Option<PathBuf>,
    pub(in crate::config) credentials: Option<Credentials>,
    pub(in crate::config) ca: Option<PathBuf>,
    pub(in crate::config) proxy: Option<Proxy>,
    pub(in crate::config) concurrency: Option<usize>,
    pub(in crate::config) timeouts: Option<Timeouts>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct Timeouts {
    pub(in crate::config) queue: Option<String>,
    pub(in crate::config) connect: Option<String>,
    pub(in crate::config) headers: Option<String>,
    pub(in crate::config) body: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct Credentials {
    pub(in crate::config) username_file: Option<PathBuf>,
    pub(in crate::config) password_file: Option<PathBuf>,
    pub(in crate::config) docker_config: Option<PathBuf>,
    pub(in crate::config) environment: Vec<String>,
    pub(in crate::config) ecr: Option<Ecr>,
    pub(in crate::config) gar: Option<Gar>,
    pub(in crate::config) acr: Option<Acr>,
    pub(in crate::config) secret_ref: Option<SecretRef>,
    /// What is in it.
    #[serde(skip)]
    pub(in crate::config) given: Option<upstream::Credentials>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct Ecr {
    pub(in crate::config) region: Option<String>,
    pub(in crate::config) role_arn: Option<String>,
    pub(in crate::config) token_file: Option<PathBuf>,
    pub(in crate::config) sts: Option<String>,
    pub(in crate::config) api: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct Gar {
    pub(in crate::config) metadata: Option<String>,
    pub(in crate::config) external_account: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct Acr {
    pub(in crate::config) tenant: Option<String>,
    pub(in crate::config) client: Option<String>,
    pub(in crate::config) token_file: Option<PathBuf>,
    pub(in crate::config) authority: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct Proxy {
    pub(in crate::config) url: Option<String>,
    pub(in crate::config) except: Option<Vec<String>>,
    pub(in crate::config) username_file: Option<PathBuf>,
    pub(in crate::config) password_file: Option<PathBuf>,
}
