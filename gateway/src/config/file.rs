//! From a YAML file and the environment to a [`Config`], or to the path of the key that is wrong.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use config::FileFormat;
use oci::{Host, Name, Reference};
use policies::NoMatch;
use serde_json::Value;
use thiserror::Error;
use upstream::Url;

use super::{
    Admin, Admission, Audit, AuditFile, AuditFormat, Config, DENIALS, Kubernetes, Log, LogFormat, Mutate,
    Policies, Registry, ServiceAccounts, Storage, TlsFiles, Traces, Trust, TrustSource, TufSource, Upstream,
    kinds, wire,
};

/// How the names of variables that override configuration begin. Doubled underscores, because Kubernetes sets
/// variables with single ones for every Service.
const PREFIX: &str = "COUNTERSIGN__";

/// Why a configuration was refused. Nothing of it is in force.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file is no YAML.
    #[error("{origin}: {reason}")]
    Malformed {
        /// The file.
        origin: String,
        /// What the parser said.
        reason: String,
    },
    /// A variable with our prefix names no scalar key.
    #[error("environment variable {0} names no key of the configuration that holds a single value")]
    UnknownVariable(String),
    /// A key is unknown or its value is not one it can have.
    #[error("{key}: {reason}")]
    Key {
        /// The path of the key, as in the file.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

pub(super) fn wrong(key: impl Into<String>, reason: impl fmt::Display) -> ConfigError {
    ConfigError::Key { key: key.into(), reason: reason.to_string() }
}

/// Reads the file, if one is named, and lays the environment over it.
///
/// # Errors
/// The first key that is wrong, by its path.
pub fn load(
    path: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let text = match path {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?,
        None => String::new(),
    };
    let origin = path.map_or_else(|| "the embedded defaults".to_owned(), |path| path.display().to_string());
    let home = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/state")));
    parse(&text, &origin, environment)?.into_config(home.as_deref())
}

fn parse(
    text: &str,
    origin: &str,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<wire::File, ConfigError> {
    let malformed = |source: config::ConfigError| ConfigError::Malformed {
        origin: origin.to_owned(),
        reason: source.to_string(),
    };
    let mut builder = config::Config::builder();
    if !text.trim().is_empty() {
        builder = builder.add_source(config::File::from_str(text, FileFormat::Yaml));
    }
    for (variable, value) in environment.filter(|(name, _)| name.starts_with(PREFIX)) {
        let key = key_of(&variable).ok_or(ConfigError::UnknownVariable(variable))?;
        builder = builder.set_override(key, value).map_err(malformed)?;
    }
    let layers = builder.build().map_err(malformed)?;
    serde_path_to_error::deserialize(layers).map_err(|error| {
        let key = error.path().to_string();
        wrong(key, error.into_inner())
    })
}

/// The key that a variable means, as the file spells it. Only scalars that every configuration has can be set so:
/// lists and maps come from the file alone.
fn key_of(variable: &str) -> Option<String> {
    let mut node = serde_json::to_value(wire::File::default()).ok()?;
    let mut path = Vec::new();
    for segment in variable.strip_prefix(PREFIX)?.split("__") {
        let Value::Object(mut keys) = node else {
            return None;
        };
        let key = keys.keys().find(|key| key.eq_ignore_ascii_case(segment))?.clone();
        node = keys.remove(&key)?;
        path.push(key);
    }
    let path = path.join(".");
    let is_list = matches!(&*path, "upstreams" | "tenants");
    (!is_list && !node.is_object() && !node.is_array()).then_some(path)
}

pub(super) fn parsed<T: FromStr>(key: &str, text: &str) -> Result<T, ConfigError>
where
    T::Err: fmt::Display,
{
    text.parse().map_err(|error| wrong(key, format!("{text:?}: {error}")))
}

pub(super) fn duration(key: &str, text: &str) -> Result<Duration, ConfigError> {
    let duration: jiff::SignedDuration = parsed(key, text)?;
    Duration::try_from(duration).map_err(|_| wrong(key, format!("{text:?}: must not be negative")))
}

impl wire::Traces {
    fn into_traces(self) -> Result<Traces, ConfigError> {
        let endpoint = parsed("traces.endpoint", &self.endpoint)?;
        if (0.0..=1.0).contains(&self.share) {
            Ok(Traces { endpoint, share: self.share })
        } else {
            Err(wrong("traces.share", "must be from 0 to 1"))
        }
    }
}

impl wire::File {
    fn into_config(self, state_home: Option<&Path>) -> Result<Config, ConfigError> {
        let upstreams = self.upstreams.map_or_else(well_known, Ok)?;
        let upstreams: Vec<Upstream> = upstreams
            .into_iter()
            .enumerate()
            .map(|(index, upstream)| upstream.into_upstream(&format!("upstreams[{index}]")))
            .collect::<Result<_, _>>()?;
        distinct(&upstreams)?;
        // Where objects are tenants nobody is served without being told, also while there are none.
        let none = self.policies.tenant_objects.then(Vec::new);
        let tenants = super::tenants::tenants(self.tenants.or(none), &upstreams)?;
        let storage = self.storage.into_storage(state_home)?;
        let config = Config {
            registry: self.registry.into_registry()?,
            admission: self.admission.into_admission()?,
            admin: self.admin.into_admin(&storage)?,
            storage,
            redis: self.cache.redis.into_redis()?,
            trust: self.trust.into_trust()?,
            policies: self.policies.into_policies()?,
            upstreams,
            tenants,
            domain: cache::Domain::default(),
            alone: true,
            audit: self.audit.into_audit()?,
            log: Log { format: self.log.format.into(), level: self.log.level },
            traces: self.traces.map(wire::Traces::into_traces).transpose()?,
            denials: DENIALS,
        };
        certificates_can_be_shown(&config)?;
        labels_can_be_known(&config)?;
        pull_secrets_can_be_read(&config)?;
        distinct_roots(&config)?;
        match &config.registry.default_upstream {
            Some(host) if !config.upstreams.iter().any(|upstream| upstream.host == *host) => {
                Err(wrong("registry.defaultUpstream", format!("{host} is none of the upstreams")))
            }
            _ => rewritten_elsewhere(config),
        }
    }
}

/// Who is told by what the cluster says of a namespace needs a cluster that is asked.
fn labels_can_be_known(config: &Config) -> Result<(), ConfigError> {
    let selects = |tenant: &super::Tenant| tenant.namespace_selector.is_some();
    match config.tenants.iter().flatten().position(selects) {
        Some(index) if config.policies.kubernetes.is_none() => Err(wrong(
            format!("tenants[{index}].namespaceSelector"),
            "is for policies.kubernetes: without it nobody says which labels namespaces have",
        )),
        _ => Ok(()),
    }
}

/// Who is told by a certificate needs a door that asks for one, and who is told by a token a namespace that it is of.
fn certificates_can_be_shown(config: &Config) -> Result<(), ConfigError> {
    if config.registry.service_accounts.is_some() && config.tenants.is_none() {
        return Err(wrong(
            "registry.serviceAccounts",
            "says of which namespace a pull is, and there are no tenants whose that could be",
        ));
    }
    if config.registry.client_ca.is_some() && config.registry.tls.is_none() {
        return Err(wrong(
            "registry.clientCa",
            "is for registry.tls: nobody shows a certificate without TLS",
        ));
    }
    let tenants = config.tenants.iter().flatten().enumerate();
    let callers =
        tenants.flat_map(|(index, tenant)| tenant.callers.iter().map(move |caller| (index, caller)));
    for (index, caller) in callers {
        if !caller.certificates.is_empty() && config.registry.client_ca.is_none() {
            return Err(wrong(
                format!("tenants[{index}].callers"),
                "names certificates, and registry.clientCa does not say whose are believed",
            ));
        }
    }
    Ok(())
}

/// Secrets are a cluster's.
fn pull_secrets_can_be_read(config: &Config) -> Result<(), ConfigError> {
    if config.admission.pull_secrets && config.policies.kubernetes.is_none() {
        let why = "is for policies.kubernetes: without it there is no API server to read them from";
        return Err(wrong("admission.pullSecrets", why));
    }
    Ok(())
}

/// A trust root that policies for all name must be the same for all.
fn distinct_roots(config: &Config) -> Result<(), ConfigError> {
    for (index, tenant) in config.tenants.iter().flatten().enumerate() {
        let is_named = |name: &String| config.trust.roots.iter().any(|(other, _)| other == name);
        if let Some((name, _)) = tenant.roots.iter().find(|(name, _)| is_named(name)) {
            return Err(wrong(
                format!("tenants[{index}].trust.roots.{name}"),
                format!("trust.roots.{name} is there for all tenants"),
            ));
        }
    }
    Ok(())
}

/// An address that is an upstream's too would mean two things.
fn rewritten_elsewhere(config: Config) -> Result<Config, ConfigError> {
    let is_own = |upstream: &Upstream, own: &Host| upstream.host == *own || upstream.aliases.contains(own);
    match &config.admission.rewrite {
        Some(own) if config.upstreams.iter().any(|upstream| is_own(upstream, own)) => {
            Err(wrong("admission.rewrite.registry", format!("{own} is one of the upstreams")))
        }
        _ => Ok(config),
    }
}

/// Two upstreams with one name would make it a matter of order which one is asked.
fn distinct(upstreams: &[Upstream]) -> Result<(), ConfigError> {
    let (mut seen, mut called) = (HashSet::new(), HashSet::new());
    for (index, upstream) in upstreams.iter().enumerate() {
        for name in std::iter::once(&upstream.host).chain(&upstream.aliases) {
            if !seen.insert(name) {
                return Err(wrong(format!("upstreams[{index}]"), format!("{name} is named twice")));
            }
        }
        if let Some(name) = upstream.hostnames.iter().find(|name| !called.insert(*name)) {
            return Err(wrong(format!("upstreams[{index}].hostnames"), format!("{name} is named twice")));
        }
    }
    Ok(())
}

/// The registries that clusters commonly pull from, anonymously.
fn well_known() -> Result<Vec<wire::Upstream>, ConfigError> {
    [
        "docker.io",
        "ghcr.io",
        "quay.io",
        "gcr.io",
        "registry.k8s.io",
        "public.ecr.aws",
        "mcr.microsoft.com",
        "cgr.dev",
    ]
    .iter()
    .map(|host| Ok(wire::Upstream { host: (*host).to_owned(), ..wire::Upstream::default() }))
    .collect()
}

impl wire::Registry {
    fn into_registry(self) -> Result<Registry, ConfigError> {
        let (default_upstream, stale_tags) = (self.default_upstream, self.stale_tags.r#for);
        Ok(Registry {
            listen: parsed("registry.listen", &self.listen)?,
            tls: self.tls.map(|tls| tls.into_files("registry.tls")).transpose()?,
            client_ca: self.client_ca,
            service_accounts: self.service_accounts.map(wire::ServiceAccounts::into_settings).transpose()?,
            no_match: self.no_match.into(),
            tag_freshness: duration("registry.tagFreshness", &self.tag_freshness)?,
            access_freshness: duration("registry.accessFreshness", &self.access_freshness)?,
            stale_tags: stale_tags.map(|stale| duration("registry.staleTags.for", &stale)).transpose()?,
            default_upstream: default_upstream
                .map(|host| parsed::<Host>("registry.defaultUpstream", &host))
                .transpose()?,
            canaries: self.canaries.iter().map(|text| canary(text)).collect::<Result<_, _>>()?,
        })
    }
}

impl wire::ServiceAccounts {
    fn into_settings(self) -> Result<ServiceAccounts, ConfigError> {
        let Self { issuer, audience, keys } = self;
        for (name, value) in [("issuer", &issuer), ("audience", &audience)] {
            if value.is_empty() {
                return Err(wrong(format!("registry.serviceAccounts.{name}"), "must not be empty"));
            }
        }
        Ok(ServiceAccounts { issuer, audience, keys })
    }
}

/// A canary is a repository: one of its tags alone would let the others pass.
fn canary(text: &str) -> Result<Name, ConfigError> {
    let reference: Reference = parsed("registry.canaries", text)?;
    let last = text.rsplit('/').next().unwrap_or(text);
    if last.contains([':', '@']) {
        return Err(wrong("registry.canaries", format!("{text:?}: must have neither tag nor digest")));
    }
    Ok(reference.name().clone())
}

impl wire::Admission {
    fn into_admission(self) -> Result<Admission, ConfigError> {
        Ok(Admission {
            listen: parsed("admission.listen", &self.listen)?,
            tls: self.tls.map(|tls| tls.into_files("admission.tls")).transpose()?,
            mutate: self.mutate.into(),
            webhook: self.webhook,
            kinds: kinds::read(self.kinds)?,
            rewrite: self
                .rewrite
                .registry
                .map(|own| parsed("admission.rewrite.registry", &own))
                .transpose()?,
            observe: self.observe,
            pull_secrets: self.pull_secrets,
            reviews: if self.reviews == 0 {
                return Err(wrong("admission.reviews", "must be 1 or more"));
            } else {
                self.reviews
            },
        })
    }
}

impl wire::Audit {
    fn into_audit(self) -> Result<Audit, ConfigError> {
        let size = |key: &str, text: &str| Ok(parsed::<bytesize::ByteSize>(key, text)?.as_u64());
        let (memory, limit) = (size("audit.memory", &self.memory)?, size("audit.limit", &self.limit)?);
        let format = match self.format {
            wire::AuditFormat::Json => AuditFormat::Json,
            wire::AuditFormat::CloudEvents => AuditFormat::CloudEvents,
        };
        Ok(Audit { memory, file: self.path.map(|path| AuditFile { path, limit, format }) })
    }
}

impl wire::Policies {
    fn into_policies(self) -> Result<Policies, ConfigError> {
        let stale_for = duration("policies.staleFor", &self.stale_for)?;
        if !self.kubernetes && self.kubeconfig.is_some() {
            return Err(wrong("policies.kubeconfig", "is for policies.kubernetes: true"));
        }
        if !self.kubernetes && self.tenant_objects {
            return Err(wrong("policies.tenantObjects", "is for policies.kubernetes: true"));
        }
        let kubernetes = Kubernetes {
            kubeconfig: self.kubeconfig,
            namespace: self.namespace,
            stale_for,
            tenants: self.tenant_objects,
        };
        Ok(Policies {
            directory: self.directory,
            own: None,
            kubernetes: self.kubernetes.then_some(kubernetes),
            no_match: self.no_match.into(),
            cue: self.cue.program,
        })
    }
}

impl wire::Admin {
    fn into_admin(self, storage: &Storage) -> Result<Admin, ConfigError> {
        Ok(Admin {
            listen: parsed("admin.listen", &self.listen)?,
            socket: self.socket.unwrap_or_else(|| storage.path.join("admin.sock")),
            token: self.token_file,
        })
    }
}

impl wire::Tls {
    fn into_files(self, key: &str) -> Result<TlsFiles, ConfigError> {
        if self.certificate.as_os_str().is_empty() {
            return Err(wrong(format!("{key}.certificate"), "is missing"));
        }
        if self.key.as_os_str().is_empty() {
            return Err(wrong(format!("{key}.key"), "is missing"));
        }
        Ok(TlsFiles { certificate: self.certificate, key: self.key })
    }
}

impl wire::Storage {
    fn into_storage(self, state_home: Option<&Path>) -> Result<Storage, ConfigError> {
        let path = match (self.path, state_home) {
            (Some(path), _) => path,
            (None, Some(home)) => home.join("countersign"),
            (None, None) => {
                return Err(wrong("storage.path", "is missing, and there is no HOME to put it in"));
            }
        };
        let limit = self.limit.map(|limit| parsed::<bytesize::ByteSize>("storage.limit", &limit));
        let prefetch = self.prefetch.iter().enumerate();
        let prefetch = prefetch.map(|(index, text)| parsed(&format!("storage.prefetch[{index}]"), text));
        Ok(Storage {
            path,
            limit: limit.transpose()?.map(|limit| limit.as_u64()),
            prefetch: prefetch.collect::<Result<_, _>>()?,
            objects: self.object.map(wire::Objects::into_objects).transpose()?,
        })
    }
}

impl wire::Trust {
    fn into_trust(self) -> Result<Trust, ConfigError> {
        if self.roots.len() > 64 {
            return Err(wrong("trust.roots", "more than 64 trust roots"));
        }
        if let Some(name) = self.roots.keys().find(|name| name.starts_with('_')) {
            return Err(wrong(format!("trust.roots.{name}"), "a name does not begin with an underscore"));
        }
        let refresh = duration("trust.refresh", &self.refresh)?;
        if refresh < Duration::from_secs(1) {
            return Err(wrong("trust.refresh", "must be a second or longer"));
        }
        let source = |(name, source): (String, wire::TrustSource)| {
            let source = source.into_source(&format!("trust.roots.{name}"))?;
            Ok((name, source))
        };
        Ok(Trust {
            root: self.root.into_source("trust.root")?,
            roots: self.roots.into_iter().map(source).collect::<Result<_, _>>()?,
            own: Vec::new(),
            refresh,
        })
    }
}

impl wire::TrustSource {
    pub(super) fn into_source(self, key: &str) -> Result<TrustSource, ConfigError> {
        Ok(match self {
            Self::PublicGood => TrustSource::PublicGood,
            Self::Staging => TrustSource::Staging,
            Self::File(path) => TrustSource::File(path),
            Self::Tuf(tuf) => {
                let mirror: Url = parsed(&format!("{key}.tuf.mirror"), &tuf.mirror)?;
                mirror.below("root.json").map_err(|error| wrong(format!("{key}.tuf.mirror"), error))?;
                TrustSource::Tuf(TufSource {
                    mirror,
                    root: tuf.root,
                    targets: tuf.targets.unwrap_or_else(|| "targets".to_owned()),
                    target: tuf.target.unwrap_or_else(|| "trusted_root.json".to_owned()),
                })
            }
        })
    }
}

impl From<wire::NoMatch> for NoMatch {
    fn from(wire: wire::NoMatch) -> Self {
        match wire {
            wire::NoMatch::Deny => Self::Deny,
            wire::NoMatch::Warn => Self::Warn,
            wire::NoMatch::Allow => Self::Allow,
        }
    }
}

impl From<wire::Mutate> for Mutate {
    fn from(wire: wire::Mutate) -> Self {
        match wire {
            wire::Mutate::Pods => Self::Pods,
            wire::Mutate::All => Self::All,
            wire::Mutate::None => Self::None,
        }
    }
}

impl From<wire::LogFormat> for LogFormat {
    fn from(wire: wire::LogFormat) -> Self {
        match wire {
            wire::LogFormat::Text => Self::Text,
            wire::LogFormat::Json => Self::Json,
        }
    }
}

#[cfg(test)]
mod tests;
