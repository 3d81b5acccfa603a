//! The registries that images come from: from `upstreams[]` to types.

use std::path::PathBuf;
use std::time::Duration;

use oci::Host;
use upstream::{Origin, Proxy, Realm, Timeouts};

use super::TlsFiles;
use super::cloud::CloudSource;
use super::file::{ConfigError, duration, parsed, wrong};
use super::wire;
use crate::hostname::Hostname;

/// One registry that images come from.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// The name that references and policies know it by.
    pub host: Host,
    /// Other names for the same registry.
    pub aliases: Vec<Host>,
    /// The names of this gateway that mean it.
    pub hostnames: Vec<Hostname>,
    /// By whose right it is asked for what is pulled.
    pub access: Access,
    /// Where it is asked, in this order. There is at least one.
    pub endpoints: Vec<Endpoint>,
}

/// By whose right a registry is asked for what is pulled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// The gateway's: what is configured for it, or nothing.
    Own,
    /// That of whoever pulls, who has to show it: the gateway's own is for admission alone.
    PassThrough,
}

/// One place where a registry is asked.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The place.
    pub url: upstream::Endpoint,
    /// Whether it may lack what the registry has.
    pub mirror: bool,
    /// Where, besides there, a token may be asked for.
    pub realms: Vec<Realm>,
    /// Where it may redirect blobs to though that is no public address.
    pub redirects: Vec<Origin>,
    /// Certificate authorities to trust besides the system's, as a PEM file.
    pub ca: Option<PathBuf>,
    /// The certificate that is shown there.
    pub client: Option<TlsFiles>,
    /// How to prove who we are.
    pub credentials: Option<CredentialSource>,
    /// What stands between it and us; whatever the environment says without.
    pub proxy: Option<ProxySource>,
    /// How many requests to it may be under way.
    pub concurrency: usize,
    /// How long it is waited for.
    pub timeouts: Timeouts,
}

/// Where the credentials for an endpoint come from.
#[derive(Clone, Debug)]
pub enum CredentialSource {
    /// One file each, as Kubernetes mounts them.
    Separate {
        /// The user name's file.
        username: PathBuf,
        /// The password's file.
        password: PathBuf,
    },
    /// A Docker `config.json`.
    DockerConfig {
        /// The file.
        path: PathBuf,
        /// The variables that programs which it names may see.
        environment: Vec<String>,
    },
    /// A cloud, which knows who we are.
    Cloud(CloudSource),
    /// What was in a Secret that a Tenant object names.
    Given(upstream::Credentials),
}

/// A proxy.
#[derive(Clone, Debug)]
pub enum ProxySource {
    /// None, whatever the environment says.
    Direct,
    /// This one.
    Through {
        /// Its URL, without a user.
        url: String,
        /// What does not go through it, as `NO_PROXY` has it; that of the environment without.
        except: Option<String>,
        /// The files of the name and password that it is shown.
        credentials: Option<(PathBuf, PathBuf)>,
    },
}

/// The most requests that can be allowed under way.
const MOST: usize = 10_000;

impl wire::Upstream {
    pub(super) fn into_upstream(self, key: &str) -> Result<Upstream, ConfigError> {
        let host: Host = parsed(&format!("{key}.host"), &self.host)?;
        let aliases = self.aliases.iter().map(|alias| parsed(&format!("{key}.aliases"), alias));
        let aliases = aliases.collect::<Result<_, _>>()?;
        let hostnames = self.hostnames.iter().map(|name| parsed(&format!("{key}.hostnames"), name));
        let hostnames = hostnames.collect::<Result<_, _>>()?;
        let access = self.access.into();
        if access == Access::PassThrough && !self.endpoints.is_empty() {
            // For which of them is what somebody shows us?
            return Err(wrong(format!("{key}.access"), "passThrough is for a registry with one endpoint"));
        }
        let endpoints = if self.endpoints.is_empty() {
            let only = wire::Endpoint {
                url: self.endpoint,
                mirror: false,
                realms: self.realms,
                redirects: self.redirects,
                client_certificate: self.client_certificate,
                client_key: self.client_key,
                credentials: self.credentials,
                ca: self.ca,
                proxy: self.proxy,
                concurrency: self.concurrency,
                timeouts: self.timeouts,
            };
            vec![only.into_endpoint(&host, key, "endpoint")?]
        } else {
            self.into_endpoints(&host, key)?
        };
        Ok(Upstream { host, aliases, hostnames, access, endpoints })
    }

    fn into_endpoints(self, host: &Host, key: &str) -> Result<Vec<Endpoint>, ConfigError> {
        // What is bound to one place must not be shown at another because that was added to a list.
        let bound = [
            ("endpoint", self.endpoint.is_some()),
            ("realms", !self.realms.is_empty()),
            ("redirects", !self.redirects.is_empty()),
            ("clientCertificate", self.client_certificate.is_some()),
            ("clientKey", self.client_key.is_some()),
            ("credentials", self.credentials.is_some()),
        ];
        if let Some((name, _)) = bound.iter().find(|(_, is_there)| *is_there) {
            return Err(wrong(
                format!("{key}.{name}"),
                "belongs to one of endpoints where there are several",
            ));
        }
        let mut endpoints: Vec<Endpoint> = Vec::new();
        for (index, endpoint) in self.endpoints.into_iter().enumerate() {
            let key = format!("{key}.endpoints[{index}]");
            let endpoint = wire::Endpoint {
                ca: endpoint.ca.or_else(|| self.ca.clone()),
                proxy: endpoint.proxy.or_else(|| self.proxy.clone()),
                concurrency: endpoint.concurrency.or(self.concurrency),
                timeouts: endpoint.timeouts.or_else(|| self.timeouts.clone()),
                ..endpoint
            };
            let endpoint = endpoint.into_endpoint(host, &key, "url")?;
            if endpoints.iter().any(|before| before.url == endpoint.url) {
                return Err(wrong(format!("{key}.url"), format!("{} is named twice", endpoint.url)));
            }
            endpoints.push(endpoint);
        }
        Ok(endpoints)
    }
}

impl From<wire::Access> for Access {
    fn from(access: wire::Access) -> Self {
        match access {
            wire::Access::Own => Self::Own,
            wire::Access::PassThrough => Self::PassThrough,
        }
    }
}

impl wire::Endpoint {
    fn into_endpoint(self, host: &Host, key: &str, url: &str) -> Result<Endpoint, ConfigError> {
        let url = match &self.url {
            Some(text) => parsed(&format!("{key}.{url}"), text)?,
            None => upstream::Endpoint::for_host(host),
        };
        let realms = self.realms.iter().map(|realm| parsed(&format!("{key}.realms"), realm));
        let redirects = self.redirects.iter().map(|origin| parsed(&format!("{key}.redirects"), origin));
        let client = match (self.client_certificate, self.client_key) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            (None, None) => None,
            (Some(_), None) => return Err(wrong(format!("{key}.clientKey"), "is missing")),
            (None, Some(_)) => return Err(wrong(format!("{key}.clientCertificate"), "is missing")),
        };
        let concurrency = self.concurrency.unwrap_or(upstream::CONCURRENCY);
        if !(1..=MOST).contains(&concurrency) {
            return Err(wrong(format!("{key}.concurrency"), format!("must be from 1 to {MOST}")));
        }
        Ok(Endpoint {
            url,
            mirror: self.mirror,
            realms: realms.collect::<Result<_, _>>()?,
            redirects: redirects.collect::<Result<_, _>>()?,
            ca: self.ca,
            client,
            credentials: self
                .credentials
                .map(|from| from.into_source(&format!("{key}.credentials")))
                .transpose()?,
            proxy: self.proxy.map(|proxy| proxy.into_source(&format!("{key}.proxy"))).transpose()?,
            concurrency,
            timeouts: self.timeouts.unwrap_or_default().into_timeouts(&format!("{key}.timeouts"))?,
        })
    }
}

impl wire::Timeouts {
    fn into_timeouts(self, key: &str) -> Result<Timeouts, ConfigError> {
        let default = Timeouts::default();
        let limit = |name: &str, said: Option<String>, default: Duration| {
            let Some(said) = said else { return Ok(default) };
            let key = format!("{key}.{name}");
            match duration(&key, &said)? {
                Duration::ZERO => Err(wrong(key, "must not be zero")),
                limit => Ok(limit),
            }
        };
        Ok(Timeouts {
            queue: limit("queue", self.queue, default.queue)?,
            connect: limit("connect", self.connect, default.connect)?,
            headers: limit("headers", self.headers, default.headers)?,
            body: limit("body", self.body, default.body)?,
            backoff: default.backoff,
        })
    }
}

impl wire::Credentials {
    /// Whether they are anything but a Secret.
    pub(super) fn names_anything(&self) -> bool {
        self.username_file.is_some()
            || self.password_file.is_some()
            || self.docker_config.is_some()
            || !self.environment.is_empty()
            || self.ecr.is_some()
            || self.gar.is_some()
            || self.acr.is_some()
    }

    pub(super) fn into_source(self, key: &str) -> Result<CredentialSource, ConfigError> {
        if let Some(given) = self.given {
            return Ok(CredentialSource::Given(given));
        }
        let Self {
            username_file,
            password_file,
            docker_config,
            environment,
            ecr,
            gar,
            acr,
            secret_ref,
            given: _,
        } = self;
        if secret_ref.is_some() {
            return Err(wrong(
                format!("{key}.secretRef"),
                "is for Tenant objects: here credentials are in files",
            ));
        }
        if !environment.is_empty() && docker_config.is_none() {
            return Err(wrong(format!("{key}.environment"), "is for the programs that a dockerConfig names"));
        }
        let source = match (username_file, password_file, docker_config, ecr, gar, acr) {
            (Some(username), Some(password), None, None, None, None) => {
                CredentialSource::Separate { username, password }
            }
            (None, None, Some(path), None, None, None) => {
                CredentialSource::DockerConfig { path, environment }
            }
            (None, None, None, Some(ecr), None, None) => {
                CredentialSource::Cloud(ecr.into_source(&format!("{key}.ecr"))?)
            }
            (None, None, None, None, Some(gar), None) => {
                CredentialSource::Cloud(gar.into_source(&format!("{key}.gar"))?)
            }
            (None, None, None, None, None, Some(acr)) => {
                CredentialSource::Cloud(acr.into_source(&format!("{key}.acr"))?)
            }
            _ => {
                let wants =
                    "wants usernameFile and passwordFile, or one alone of dockerConfig, ecr, gar and acr";
                return Err(wrong(key, wants));
            }
        };
        Ok(source)
    }
}

impl wire::Proxy {
    fn into_source(self, key: &str) -> Result<ProxySource, ConfigError> {
        let credentials = match (self.username_file, self.password_file) {
            (Some(username), Some(password)) => Some((username, password)),
            (None, None) => None,
            _ => return Err(wrong(key, "wants usernameFile and passwordFile together")),
        };
        let Some(url) = self.url else {
            return Err(wrong(format!("{key}.url"), "is missing; none is for no proxy"));
        };
        if url == "none" {
            return match (credentials, self.except) {
                (None, None) => Ok(ProxySource::Direct),
                _ => Err(wrong(format!("{key}.url"), "is none, so there is nothing else to say of it")),
            };
        }
        let except = self.except.map(|names| names.join(","));
        // Whatever is wrong with it is said now, though its credentials are read later.
        Proxy::new(&url, None, "").map_err(|error| wrong(format!("{key}.url"), error))?;
        Ok(ProxySource::Through { url, except, credentials })
    }
}
