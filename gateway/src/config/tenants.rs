//! The tenants: from `tenants[]` to types, of which no two can be taken for one another.

mod caller;
mod object;
mod overlaps;
mod selector;
mod view;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cache::Domain;
use oci::Host;
use policies::NoMatch;

use super::file::{ConfigError, parsed, wrong};
use super::wire;
use super::{CredentialSource, Mutate, TrustSource, Upstream};

pub(crate) use self::caller::SHORTEST;
pub use self::caller::{Caller, CallerCredential, Certificate, PathPrefix};
pub(crate) use self::object::{NoTenant, Secrets};
pub(super) use self::overlaps::distinct;
pub(crate) use self::overlaps::overlaps;
pub use self::selector::NamespaceSelector;

/// One of many that a gateway serves, and that none of the others can touch.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Where it is written.
    pub origin: String,
    /// Its name, which is the domain of everything that is remembered for it.
    pub name: Domain,
    /// The namespaces whose objects are its own.
    pub namespaces: BTreeSet<String>,
    /// Those whose objects are its own by the labels that they have.
    pub namespace_selector: Option<NamespaceSelector>,
    /// Who pulls as it: whoever fits one of these.
    pub callers: Vec<Caller>,
    /// Policies of its own, besides those for all.
    pub policies: Option<PathBuf>,
    /// Trust roots of its own, besides those for all.
    pub roots: Vec<(String, TrustSource)>,
    /// What becomes of its images at admission that no policy matches, where that is another thing than for all.
    pub no_match: Option<NoMatch>,
    /// The same at the pull door.
    pub pull_no_match: Option<NoMatch>,
    /// Whose tags are replaced by digests, where that is another thing than for all.
    pub mutate: Option<Mutate>,
    /// Where its pulls go that name no registry, where that is another place than for all.
    pub default_upstream: Option<Host>,
    /// The registries that it may pull from, with what it shows there; all, as they are configured, without.
    pub upstreams: Option<Vec<(Host, Option<CredentialSource>)>>,
    /// How much it may take.
    pub quotas: Quotas,
    /// Whom its people ask about a denial.
    pub contact: Option<String>,
    /// What else they are told.
    pub message: Option<String>,
}

/// How much a tenant may take of what all of them use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Quotas {
    /// How many turns it has where others have one, and how much of memory.
    pub weight: u32,
    /// Requests a second at each door; as many as come without.
    pub requests: Option<u32>,
    /// Requests to one endpoint of a registry that are under way; as the endpoint says without.
    pub concurrency: Option<usize>,
    /// Blobs that arrive at once.
    pub fills: usize,
    /// Bytes of content. With a number it has a store of its own, which shares nothing with those of others.
    pub disk: Option<u64>,
}

/// How many blobs of one tenant arrive at once where nothing is said.
const FILLS: usize = 64;

/// The directory of the stores that tenants have to themselves, below that of the common one.
pub(crate) const STORES: &str = "tenants";

/// How many tenants there may be.
pub(crate) const TENANTS: usize = 10_000;

/// How long what people are told may be, in bytes.
const TOLD: usize = 512;

impl Default for Quotas {
    fn default() -> Self {
        Self { weight: 1, requests: None, concurrency: None, fills: FILLS, disk: None }
    }
}

impl wire::Tenant {
    pub(super) fn into_tenant(self, key: &str, upstreams: &[Upstream]) -> Result<Tenant, ConfigError> {
        let name: Domain = parsed(&format!("{key}.name"), &self.name)?;
        if name.name() == "shared" {
            return Err(wrong(format!("{key}.name"), "shared is reserved"));
        }
        let callers = self.callers.into_iter().enumerate();
        let callers: Vec<Caller> = callers
            .map(|(index, caller)| caller.into_caller(&format!("{key}.callers[{index}]")))
            .collect::<Result<_, _>>()?;
        // Whoever is not recognised is of the tenant of this name, so it may do without.
        let has_namespaces = !self.namespaces.is_empty() || self.namespace_selector.is_some();
        if !has_namespaces && callers.is_empty() && name != Domain::default() {
            return Err(wrong(key, "has neither namespaces nor callers: nobody would ever be of it"));
        }
        let namespaces = self.namespaces.into_iter().enumerate();
        let namespaces = namespaces
            .map(|(index, namespace)| self::namespace(&format!("{key}.namespaces[{index}]"), namespace))
            .collect::<Result<_, _>>()?;
        let selector_key = format!("{key}.namespaceSelector");
        let selector = self.namespace_selector.map(|selector| selector.into_selector(&selector_key));
        let roots = self.trust.roots.into_iter().map(|(name, source)| {
            let key = format!("{key}.trust.roots.{name}");
            if name.starts_with('_') {
                return Err(wrong(key, "a name does not begin with an underscore"));
            }
            Ok((name, source.into_source(&key)?))
        });
        let default_upstream = self.registry.default_upstream.as_deref();
        let tenant = Tenant {
            origin: key.to_owned(),
            name,
            namespaces,
            namespace_selector: selector.transpose()?,
            callers,
            policies: self.policies.directory,
            roots: roots.collect::<Result<_, _>>()?,
            no_match: self.policies.no_match.map(Into::into),
            pull_no_match: self.registry.no_match.map(Into::into),
            mutate: self.admission.mutate.map(Into::into),
            default_upstream: default_upstream
                .map(|host| parsed(&format!("{key}.registry.defaultUpstream"), host))
                .transpose()?,
            upstreams: self.upstreams.map(|named| allowed(key, named, upstreams)).transpose()?,
            quotas: self.quotas.into_quotas(&format!("{key}.quotas"))?,
            contact: told(format!("{key}.contact"), self.contact)?,
            message: told(format!("{key}.message"), self.message)?,
        };
        match &tenant.default_upstream {
            Some(host) if !tenant.may_pull_from(host, upstreams) => Err(wrong(
                format!("{key}.registry.defaultUpstream"),
                format!("{host} is none of its upstreams"),
            )),
            _ => Ok(tenant),
        }
    }
}

impl Tenant {
    /// Where its content is, below this storage, if it has a store of its own.
    pub(crate) fn own_store(&self, storage: &Path) -> Option<PathBuf> {
        self.quotas.disk.map(|_| storage.join(STORES).join(self.name.name()))
    }

    fn may_pull_from(&self, host: &Host, all: &[Upstream]) -> bool {
        match &self.upstreams {
            Some(allowed) => allowed.iter().any(|(allowed, _)| allowed == host),
            None => all.iter().any(|upstream| upstream.host == *host),
        }
    }
}

fn allowed(
    key: &str,
    named: Vec<wire::TenantUpstream>,
    all: &[Upstream],
) -> Result<Vec<(Host, Option<CredentialSource>)>, ConfigError> {
    let mut allowed: Vec<(Host, Option<CredentialSource>)> = Vec::with_capacity(named.len());
    for (index, upstream) in named.into_iter().enumerate() {
        let key = format!("{key}.upstreams[{index}]");
        let host: Host = parsed(&format!("{key}.host"), &upstream.host)?;
        let Some(known) = all.iter().find(|known| known.host == host) else {
            return Err(wrong(format!("{key}.host"), format!("{host} is none of upstreams[]")));
        };
        if allowed.iter().any(|(before, _)| *before == host) {
            return Err(wrong(format!("{key}.host"), format!("{host} is named twice")));
        }
        if upstream.credentials.is_some() && known.endpoints.len() > 1 {
            return Err(wrong(
                format!("{key}.credentials"),
                format!("{host} has several endpoints, and it would not be said for which of them these are"),
            ));
        }
        let credentials = upstream.credentials.map(|from| from.into_source(&format!("{key}.credentials")));
        allowed.push((host, credentials.transpose()?));
    }
    Ok(allowed)
}

impl wire::Quotas {
    fn into_quotas(self, key: &str) -> Result<Quotas, ConfigError> {
        let is_nought = [
            ("weight", self.weight == Some(0)),
            ("requests", self.requests == Some(0)),
            ("concurrency", self.concurrency == Some(0)),
            ("fills", self.fills == Some(0)),
        ];
        if let Some((name, _)) = is_nought.iter().find(|(_, is_nought)| *is_nought) {
            return Err(wrong(format!("{key}.{name}"), "must be 1 or more"));
        }
        if self.weight.is_some_and(|weight| weight > 100) {
            return Err(wrong(format!("{key}.weight"), "must be from 1 to 100"));
        }
        let disk = self.disk.map(|disk| parsed::<bytesize::ByteSize>(&format!("{key}.disk"), &disk));
        Ok(Quotas {
            weight: self.weight.unwrap_or(1),
            requests: self.requests,
            concurrency: self.concurrency,
            fills: self.fills.unwrap_or(FILLS),
            disk: disk.transpose()?.map(|disk| disk.as_u64()),
        })
    }
}

/// A namespace is a DNS label (RFC 1123): what is none is no namespace of any cluster.
fn namespace(key: &str, name: String) -> Result<String, ConfigError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_one = (1..=63).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if is_one { Ok(name) } else { Err(wrong(key, format!("{name:?} is no name of a namespace"))) }
}

fn told(key: String, text: Option<String>) -> Result<Option<String>, ConfigError> {
    match &text {
        Some(text) if text.len() > TOLD || text.chars().any(char::is_control) => {
            Err(wrong(key, format!("must be one line of at most {TOLD} bytes")))
        }
        _ => Ok(text),
    }
}

pub(super) fn tenants(
    named: Option<Vec<wire::Tenant>>,
    upstreams: &[Upstream],
) -> Result<Option<Vec<Tenant>>, ConfigError> {
    let Some(named) = named else { return Ok(None) };
    if named.len() > TENANTS {
        return Err(wrong("tenants", format!("more than {TENANTS} tenants")));
    }
    let tenants = named
        .into_iter()
        .enumerate()
        .map(|(index, tenant)| tenant.into_tenant(&format!("tenants[{index}]"), upstreams))
        .collect::<Result<Vec<_>, _>>()?;
    distinct(&tenants.iter().collect::<Vec<_>>(), upstreams)?;
    Ok(Some(tenants))
}
