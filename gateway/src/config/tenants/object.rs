//! A tenant as an object of a cluster: the same as in `tenants[]`, with Secrets in place of files.

use std::collections::BTreeMap;

use cache::Domain;
use serde_json::Value;
use thiserror::Error;
use upstream::Credentials;

use super::Tenant;
use super::caller::SHORTEST;
use crate::config::file::{ConfigError, wrong};
use crate::config::{Config, wire};
use crate::login::Fingerprint;

/// What is in Secrets, by their names and those of their entries.
pub(crate) type Secrets = BTreeMap<String, BTreeMap<String, String>>;

/// Why an object is no tenant.
#[derive(Debug, Error)]
pub(crate) enum NoTenant {
    /// It is written wrong.
    #[error(transparent)]
    Wrong(#[from] ConfigError),
    /// It names what is not there, or is not what it should be.
    #[error("{key}: {reason}")]
    Unusable {
        /// Where it is named.
        key: String,
        /// What it lacks.
        reason: String,
    },
}

impl Config {
    /// The tenant that an object of this name is.
    pub(crate) fn tenant_of_object(
        &self,
        name: &str,
        spec: Value,
        secrets: &Secrets,
    ) -> Result<Tenant, NoTenant> {
        if let Err(error) = name.parse::<Domain>() {
            return Err(wrong("metadata.name", error).into());
        }
        let mut spec: wire::Tenant = serde_path_to_error::deserialize(spec).map_err(|error| {
            let key = format!("spec.{}", error.path());
            wrong(key, error.into_inner())
        })?;
        if !spec.name.is_empty() {
            return Err(wrong("spec.name", "the name is that of the object").into());
        }
        has_no_files(&spec)?;
        name.clone_into(&mut spec.name);
        for (index, caller) in spec.callers.iter_mut().enumerate() {
            for (at, credential) in caller.credentials.iter_mut().enumerate() {
                let key = format!("spec.callers[{index}].credentials[{at}]");
                credential.given = Some(login(&key, credential.secret_ref.take(), secrets)?);
            }
        }
        for (index, upstream) in spec.upstreams.iter_mut().flatten().enumerate() {
            let key = format!("spec.upstreams[{index}].credentials");
            if let Some(credentials) = &mut upstream.credentials {
                credentials.given = Some(shown(&key, credentials.secret_ref.take(), secrets)?);
            }
        }
        let mut tenant = spec.into_tenant("spec", &self.upstreams)?;
        tenant.origin = format!("Tenant/{name}");
        if self.registry.client_ca.is_none()
            && tenant.callers.iter().any(|caller| !caller.certificates.is_empty())
        {
            let why = "names certificates, and registry.clientCa does not say whose are believed";
            return Err(wrong("spec.callers", why).into());
        }
        Ok(tenant)
    }
}

/// Whoever may write objects has no say over files of the gateway's.
fn has_no_files(spec: &wire::Tenant) -> Result<(), ConfigError> {
    let logins = spec.callers.iter().flat_map(|caller| &caller.credentials);
    let shown = spec.upstreams.iter().flatten().filter_map(|upstream| upstream.credentials.as_ref());
    for (key, is_there) in [
        ("spec.policies.directory", spec.policies.directory.is_some()),
        ("spec.trust", !spec.trust.roots.is_empty()),
        ("spec.quotas.disk", spec.quotas.disk.is_some()),
        ("spec.callers: credentials", logins.into_iter().any(wire::CallerCredential::names_files)),
        ("spec.upstreams: credentials", shown.into_iter().any(wire::Credentials::names_anything)),
    ] {
        if is_there {
            let why = "is of the gateway's own files, or of where it runs: that is for tenants[] of its \
                       configuration, and credentials here are a secretRef";
            return Err(wrong(key, why));
        }
    }
    Ok(())
}

fn secret<'a>(
    key: &str,
    named: Option<wire::SecretRef>,
    secrets: &'a Secrets,
) -> Result<(String, &'a BTreeMap<String, String>), NoTenant> {
    let Some(named) = named else { return Err(wrong(key, "wants a secretRef").into()) };
    let key = format!("{key}.secretRef");
    match secrets.get(&named.name) {
        Some(entries) => Ok((key, entries)),
        None => Err(NoTenant::Unusable {
            key,
            reason: format!("there is no Secret {:?} in the namespace of the installation", named.name),
        }),
    }
}

/// What a caller logs in with: a user name and a password, or a token.
fn login(key: &str, named: Option<wire::SecretRef>, secrets: &Secrets) -> Result<Fingerprint, NoTenant> {
    let (key, entries) = secret(key, named, secrets)?;
    let unusable = |reason: String| Err(NoTenant::Unusable { key, reason });
    let entry = |name: &str| entries.get(name).map(String::as_str);
    let long = |secret: &str| secret.len() >= SHORTEST;
    match (entry("username"), entry("password"), entry("token")) {
        (Some(username), Some(_), None) if username.is_empty() || username.contains(':') => {
            unusable("the user name is empty, or has a colon".to_owned())
        }
        (Some(username), Some(password), None) if long(password) => {
            Ok(Fingerprint::basic(username, password))
        }
        (None, None, Some(token)) if long(token) => Ok(Fingerprint::bearer(token)),
        (Some(_), Some(_), None) | (None, None, Some(_)) => {
            unusable(format!("has fewer than {SHORTEST} characters"))
        }
        _ => unusable("the Secret wants the entries username and password, or token".to_owned()),
    }
}

/// What a registry is shown.
fn shown(key: &str, named: Option<wire::SecretRef>, secrets: &Secrets) -> Result<Credentials, NoTenant> {
    let (key, entries) = secret(key, named, secrets)?;
    match (entries.get("username"), entries.get("password")) {
        (Some(username), Some(password)) => Ok(Credentials::new(username, password)),
        _ => Err(NoTenant::Unusable {
            key,
            reason: "the Secret wants the entries username and password".to_owned(),
        }),
    }
}
