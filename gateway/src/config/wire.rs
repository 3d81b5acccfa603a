//! The configuration file as people write it.
//!
//! Nothing but this module is deserialised from it. Unknown keys are refused, and every key is present in the
//! serialised default, which is how the environment's spellings are matched to keys.

mod tenants;
mod upstream;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

pub(super) use tenants::{
    Caller, CallerCredential, Certificate, LabelExpression, LabelSelector, Quotas, SecretRef, Tenant,
    TenantUpstream,
};
pub(super) use upstream::{Access, Acr, Credentials, Ecr, Endpoint, Gar, Proxy, Timeouts, Upstream};

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct File {
    #[serde(deserialize_with = "null_is_default")]
    pub(super) registry: Registry,
    #[serde(deserialize_with = "null_is_default")]
    pub(super) admission: Admission,
    #[serde(deserialize_with = "null_is_default")]
    pub(super) admin: Admin,
    #[serde(deserialize_with = "null_is_default")]
    pub(super) storage: Storage,
    #[serde(deserialize_with = "null_is_default")]
    pub(super) cache: Cache,
    #[serde(deserialize_with = "null_is_default")]
    pub(super) trust: Trust,
    #[serde(deserialize_with = "null_is_default")]
    pub(super) policies: Policies,
    pub(super) upstreams: Option<Vec<Upstream>>,
    pub(super) tenants: Option<Vec<Tenant>>,
    #[serde(deserialize_with = "null_is_default")]
    pub(super) audit: Audit,
    #[serde(deserialize_with = "null_is_default")]
    pub(super) log: Log,
    pub(super) traces: Option<Traces>,
}

/// A section all of whose keys are commented out is an empty one.
fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Registry {
    pub(super) listen: String,
    pub(super) tls: Option<Tls>,
    pub(super) client_ca: Option<PathBuf>,
    pub(super) service_accounts: Option<ServiceAccounts>,
    pub(super) no_match: NoMatch,
    pub(super) tag_freshness: String,
    pub(super) access_freshness: String,
    #[serde(deserialize_with = "null_is_default")]
    pub(super) stale_tags: StaleTags,
    pub(super) default_upstream: Option<String>,
    pub(super) canaries: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ServiceAccounts {
    pub(super) issuer: String,
    pub(super) audience: String,
    pub(super) keys: PathBuf,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct StaleTags {
    pub(super) r#for: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Admission {
    pub(super) listen: String,
    pub(super) tls: Option<Tls>,
    pub(super) mutate: Mutate,
    pub(super) webhook: String,
    pub(super) kinds: Vec<Kind>,
    #[serde(deserialize_with = "null_is_default")]
    pub(super) rewrite: Rewrite,
    pub(super) observe: bool,
    pub(super) pull_secrets: bool,
    pub(super) reviews: u32,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Rewrite {
    pub(super) registry: Option<String>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Kind {
    pub(super) group: String,
    pub(super) kind: String,
    pub(super) resource: Option<String>,
    pub(super) paths: Vec<String>,
    pub(super) pod_specs: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Audit {
    pub(super) memory: String,
    pub(super) path: Option<PathBuf>,
    pub(super) limit: String,
    pub(super) format: AuditFormat,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AuditFormat {
    #[default]
    Json,
    CloudEvents,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Admin {
    pub(super) listen: String,
    pub(super) socket: Option<PathBuf>,
    pub(super) token_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Tls {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Storage {
    pub(super) path: Option<PathBuf>,
    pub(super) limit: Option<String>,
    pub(super) prefetch: Vec<String>,
    pub(super) object: Option<Objects>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Objects {
    pub(super) url: String,
    #[serde(default)]
    pub(super) endpoint: Option<String>,
    #[serde(default)]
    pub(super) region: Option<String>,
    #[serde(default)]
    pub(super) ca: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Cache {
    #[serde(deserialize_with = "null_is_default")]
    pub(super) redis: Redis,
}

/// A URL may hold a password: this is never printed.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Redis {
    pub(super) url: Option<String>,
    pub(super) seal_keys: Vec<PathBuf>,
    pub(super) trust: RedisTrust,
    pub(super) prefix: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) ca: Option<PathBuf>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("trust", &self.trust).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RedisTrust {
    #[default]
    Sealed,
    Material,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Trust {
    pub(super) root: TrustSource,
    pub(super) roots: BTreeMap<String, TrustSource>,
    pub(super) refresh: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TrustSource {
    #[default]
    PublicGood,
    Staging,
    File(PathBuf),
    Tuf(Tuf),
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Tuf {
    pub(super) mirror: String,
    pub(super) root: PathBuf,
    #[serde(default)]
    pub(super) targets: Option<String>,
    #[serde(default)]
    pub(super) target: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Policies {
    pub(super) directory: Option<PathBuf>,
    pub(super) kubernetes: bool,
    pub(super) kubeconfig: Option<PathBuf>,
    pub(super) namespace: String,
    pub(super) stale_for: String,
    pub(super) tenant_objects: bool,
    pub(super) no_match: NoMatch,
    #[serde(deserialize_with = "null_is_default")]
    pub(super) cue: Cue,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Cue {
    pub(super) program: Option<PathBuf>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Log {
    pub(super) format: LogFormat,
    pub(super) level: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Traces {
    pub(super) endpoint: String,
    #[serde(default = "Traces::share")]
    pub(super) share: f64,
}

impl Traces {
    /// Enough to see where time goes, and too little to cost any.
    fn share() -> f64 {
        0.01
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum NoMatch {
    Deny,
    Warn,
    Allow,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mutate {
    #[default]
    Pods,
    All,
    None,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogFormat {
    #[default]
    Text,
    Json,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:5000".into(),
            tls: None,
            client_ca: None,
            service_accounts: None,
            // System images pass this door too, before anyone has written a policy for them.
            no_match: NoMatch::Warn,
            // A tag that moved is seen at once; its digest is what is remembered.
            tag_freshness: "0s".into(),
            // As long as kubelets and token servers believe what they were shown, more or less.
            access_freshness: "5m".into(),
            stale_tags: StaleTags::default(),
            default_upstream: None,
            canaries: Vec::new(),
        }
    }
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8443".into(),
            tls: None,
            mutate: Mutate::default(),
            webhook: "policy.sigstore.dev".into(),
            kinds: Vec::new(),
            rewrite: Rewrite::default(),
            observe: false,
            pull_secrets: false,
            // What three API servers with their usual limits send at once.
            reviews: 1000,
        }
    }
}

impl Default for Audit {
    fn default() -> Self {
        Self { memory: "8MiB".into(), path: None, limit: "100MiB".into(), format: AuditFormat::default() }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: "127.0.0.1:9090".into(), socket: None, token_file: None }
    }
}

impl Default for Trust {
    fn default() -> Self {
        Self { root: TrustSource::default(), roots: BTreeMap::new(), refresh: "6h".into() }
    }
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            directory: None,
            kubernetes: false,
            kubeconfig: None,
            // Where policy-controller is, whose policies say so.
            namespace: "cosign-system".into(),
            // A night and a day: longer than an API server is usually away, and not for ever.
            stale_for: "24h".into(),
            tenant_objects: false,
            no_match: NoMatch::Deny,
            cue: Cue::default(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::default(), level: "info".into() }
    }
}
