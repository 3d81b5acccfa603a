//! From configuration to registries that can be asked.

mod cloud;
mod object;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use oci::Host;
use upstream::{DockerLogin, Login, Proxy, Settings, Upstream};

pub(crate) use object::bucket;

use crate::config::{self, Access, Config, CredentialSource, ProxySource};
use crate::place::Upstreams;

/// Every registry that is configured. No connection is opened, and no program is run.
///
/// # Errors
/// The first file that is missing or wrong, by the key that names it. No secret is in it.
pub(crate) fn upstreams(config: &Config) -> anyhow::Result<Upstreams> {
    let environment = Proxy::from_environment(|name| std::env::var(name).ok());
    let environment = environment.map_err(|error| anyhow::anyhow!("HTTPS_PROXY: {error}"))?;
    let mut upstreams = Upstreams::new(config.registry.default_upstream.clone());
    for (index, upstream) in config.upstreams.iter().enumerate() {
        let connected = connect(upstream, &environment)
            .map_err(|error| anyhow::anyhow!("upstreams[{index}]: {error:#}"))?;
        let connected = Arc::new(connected);
        upstreams.add(&connected, &upstream.aliases);
        upstreams.call(&connected, &upstream.hostnames);
        let has_own = upstream.endpoints.iter().any(|endpoint| endpoint.credentials.is_some());
        match upstream.access {
            Access::PassThrough => upstreams.pass_through(&connected, has_own),
            // Whoever is alone shows it for everybody, and what it was given stays available.
            Access::Own if has_own && !config.domain_is_alone() => upstreams.show(&connected),
            Access::Own => {}
        }
    }
    if let Some(own) = &config.admission.rewrite {
        upstreams.answer_at(own.clone());
    }
    config.registry.canaries.iter().for_each(|name| upstreams.deny(name));
    Ok(upstreams)
}

fn connect(upstream: &config::Upstream, environment: &Proxy) -> anyhow::Result<Upstream> {
    let settings = |endpoint| settings(&upstream.host, endpoint, environment);
    let mut endpoints = upstream.endpoints.iter().map(settings);
    let first = endpoints.next().ok_or_else(|| anyhow::anyhow!("has no endpoint"))??;
    Ok(Upstream::with_endpoints(first, endpoints.collect::<anyhow::Result<_>>()?)?)
}

fn settings(host: &Host, endpoint: &config::Endpoint, environment: &Proxy) -> anyhow::Result<Settings> {
    let mut settings = Settings::new(host.clone(), endpoint.url.clone());
    settings.mirror = endpoint.mirror;
    settings.realms = endpoint.realms.clone();
    settings.redirects = endpoint.redirects.clone();
    settings.concurrency = endpoint.concurrency;
    settings.timeouts = endpoint.timeouts;
    settings.ca = endpoint.ca.as_deref().map(config::authorities).transpose()?;
    settings.identity = endpoint.client.as_ref().map(config::identity).transpose()?;
    settings.proxy = match &endpoint.proxy {
        Some(source) => proxy(source)?,
        None => environment.clone(),
    };
    let through = &settings.proxy;
    let login = |from: &CredentialSource| login(from, host, endpoint, through);
    settings.credentials = endpoint.credentials.as_ref().map(login).transpose()?;
    Ok(settings)
}

fn proxy(source: &ProxySource) -> anyhow::Result<Proxy> {
    let ProxySource::Through { url, except, credentials } = source else {
        return Ok(Proxy::none());
    };
    let credentials = match credentials {
        Some((username, password)) => {
            let secret = |path: &Path| {
                config::short_secret(path).with_context(|| format!("proxy: {}", path.display()))
            };
            Some(upstream::Credentials::new(secret(username)?, secret(password)?))
        }
        None => None,
    };
    let of_environment = || ["no_proxy", "NO_PROXY"].iter().find_map(|name| std::env::var(name).ok());
    let except = except.clone().or_else(of_environment).unwrap_or_default();
    Ok(Proxy::new(url, credentials.as_ref(), &except)?)
}

fn login(
    source: &CredentialSource,
    host: &Host,
    endpoint: &config::Endpoint,
    proxy: &Proxy,
) -> anyhow::Result<Login> {
    let login = match source {
        CredentialSource::Separate { username, password } => {
            Login::Files { username: username.clone(), password: password.clone() }
        }
        CredentialSource::DockerConfig { path, environment } => {
            // The registry's credentials are not for its mirrors: they have entries of their own.
            let named = if endpoint.mirror { mirror_host(endpoint)? } else { host.clone() };
            Login::Docker(DockerLogin::new(path.clone(), named, environment.clone()))
        }
        CredentialSource::Given(credentials) => Login::Fixed(credentials.clone()),
        CredentialSource::Cloud(source) => {
            let variable = |name: &str| std::env::var(name).ok();
            let login = cloud::login(source, host, &endpoint.url, proxy, variable);
            Login::Cloud(login.map_err(|error| anyhow::anyhow!("credentials: {error:#}"))?)
        }
    };
    login.check().map_err(|error| anyhow::anyhow!("credentials: {error}{}", cause(&error)))?;
    Ok(login)
}

fn mirror_host(endpoint: &config::Endpoint) -> anyhow::Result<Host> {
    let origin = endpoint.url.origin();
    Ok(format!("{}:{}", origin.host(), origin.port()).parse()?)
}

fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    error.source().map(|cause| format!(": {cause}")).unwrap_or_default()
}
