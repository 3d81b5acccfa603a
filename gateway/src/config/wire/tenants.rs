//! `tenants[]` as people write them, and the `spec` of a `Tenant` object.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Credentials, Mutate, NoMatch, TrustSource};
use crate::login::Fingerprint;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct Tenant {
    pub(in crate::config) name: String,
    pub(in crate::config) namespaces: Vec<String>,
    pub(in crate::config) namespace_selector: Option<LabelSelector>,
    pub(in crate::config) callers: Vec<Caller>,
    pub(in crate::config) policies: TenantPolicies,
    pub(in crate::config) trust: TenantTrust,
    pub(in crate::config) registry: TenantRegistry,
    pub(in crate::config) admission: TenantAdmission,
    pub(in crate::config) upstreams: Option<Vec<TenantUpstream>>,
    pub(in crate::config) quotas: Quotas,
    pub(in crate::config) contact: Option<String>,
    pub(in crate::config) message: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct LabelSelector {
    pub(in crate::config) match_labels: BTreeMap<String, String>,
    pub(in crate::config) match_expressions: Vec<LabelExpression>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct LabelExpression {
    pub(in crate::config) key: String,
    pub(in crate::config) operator: String,
    pub(in crate::config) values: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct Caller {
    pub(in crate::config) hostnames: Vec<String>,
    pub(in crate::config) path_prefixes: Vec<String>,
    pub(in crate::config) certificates: Vec<Certificate>,
    pub(in crate::config) credentials: Vec<CallerCredential>,
    pub(in crate::config) addresses: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct Certificate {
    pub(in crate::config) common_name: Option<String>,
    pub(in crate::config) dns: Option<String>,
    pub(in crate::config) uri: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct CallerCredential {
    pub(in crate::config) username_file: Option<PathBuf>,
    pub(in crate::config) password_file: Option<PathBuf>,
    pub(in crate::config) token_file: Option<PathBuf>,
    pub(in crate::config) secret_ref: Option<SecretRef>,
    /// What is in it.
    #[serde(skip)]
    pub(in crate::config) given: Option<Fingerprint>,
}

/// A Secret in the namespace of the installation, for objects alone.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct SecretRef {
    pub(in crate::config) name: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct TenantPolicies {
    pub(in crate::config) directory: Option<PathBuf>,
    pub(in crate::config) no_match: Option<NoMatch>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct TenantTrust {
    pub(in crate::config) roots: BTreeMap<String, TrustSource>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct TenantRegistry {
    pub(in crate::config) no_match: Option<NoMatch>,
    pub(in crate::config) default_upstream: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct TenantAdmission {
    pub(in crate::config) mutate: Option<Mutate>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct TenantUpstream {
    pub(in crate::config) host: String,
    pub(in crate::config) credentials: Option<Credentials>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct Quotas {
    pub(in crate::config) weight: Option<u32>,
    pub(in crate::config) requests: Option<u32>,
    pub(in crate::config) concurrency: Option<usize>,
    pub(in crate::config) fills: Option<usize>,
    pub(in crate::config) disk: Option<String>,
}
