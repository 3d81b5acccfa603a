//! Where an image is: a name, and the registry that we may ask for it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use oci::{Host, InvalidName, Name, Repository};
use thiserror::Error;
use upstream::{Credentials, Upstream};

use crate::hostname::Hostname;

/// A repository in an upstream that is configured.
#[derive(Clone)]
pub struct Place {
    /// The canonical name, which policies match and everything remembered is kept under.
    pub name: Name,
    /// The registry.
    pub upstream: Arc<Upstream>,
}

impl Place {
    /// The same repository as whoever has these credentials is given it.
    pub(crate) fn shown(self, credentials: Credentials) -> Self {
        Self { upstream: Arc::new(self.upstream.shown(credentials)), ..self }
    }
}

/// Every registry that may be asked, by every name it has. A request can select one and never add one.
#[derive(Default)]
pub struct Upstreams {
    by_name: HashMap<Host, Arc<Upstream>>,
    by_hostname: HashMap<Hostname, Arc<Upstream>>,
    default: Option<Host>,
    /// The address that images name which are fetched through the gateway.
    own: Option<Host>,
    canaries: HashSet<Name>,
    /// Those that are shown a credential, of which each tenant has its own.
    asking: HashSet<Host>,
    /// Those that are asked by the right of whoever pulls, and whether there is a credential besides, for admission.
    passing: HashMap<Host, bool>,
}

/// The repository that is the canary in every registry, and under the gateway's own address: see docs/nodes.md.
pub(crate) const CANARY: &str = "countersign/canary";

/// Why a pull goes nowhere.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Unrouted {
    /// No upstream has the name that the request gives.
    #[error("{0:?} is none of the registries that this gateway pulls from")]
    UnknownUpstream(String),
    /// Neither `ns` nor the path names a registry, and there is no default.
    #[error("the request names no registry: prefix the repository with one, or add ?ns=")]
    NoUpstream,
    /// `ns`, or the host name that was called, and the path name two different upstreams.
    #[error("the request is for {named}, and its path names {path}")]
    Contradiction {
        /// What `ns` or the host name says.
        named: Host,
        /// What the path says.
        path: Host,
    },
    /// The image is one that is always denied, and that no registry is ever asked for.
    #[error("this is the canary, which is always denied: whoever has pulled it went round this gateway")]
    Canary,
}

impl Upstreams {
    /// The upstreams under their own names; `alias` adds others.
    pub fn new(default: Option<Host>) -> Self {
        Self { default, ..Self::default() }
    }

    /// Makes this the gateway's own address: an image that names it is the one that a pull of it would be given.
    pub fn answer_at(&mut self, own: Host) {
        self.own = Some(own);
    }

    /// Adds an upstream under its own name and its aliases.
    pub fn add(&mut self, upstream: &Arc<Upstream>, aliases: &[Host]) {
        for name in std::iter::once(upstream.host()).chain(aliases) {
            self.by_name.insert(name.clone(), upstream.clone());
        }
    }

    /// Makes an upstream what is meant where the gateway is called by these names.
    pub fn call(&mut self, upstream: &Arc<Upstream>, hostnames: &[Hostname]) {
        for hostname in hostnames {
            self.by_hostname.insert(hostname.clone(), upstream.clone());
        }
    }

    /// Says that an upstream is shown a credential which others do not have.
    pub fn show(&mut self, upstream: &Arc<Upstream>) {
        self.asking.insert(upstream.host().clone());
    }

    /// Whether this registry, by its own name, is shown a credential which others do not have: what it gave once it may
    /// not give any more.
    pub fn asks_who(&self, host: &Host) -> bool {
        self.asking.contains(host)
    }

    /// Says that an upstream is asked for what is pulled by the right of whoever pulls, and whether it has a credential
    /// besides, for admission.
    pub fn pass_through(&mut self, upstream: &Arc<Upstream>, has_own: bool) {
        self.passing.insert(upstream.host().clone(), has_own);
    }

    /// Whether this registry, by its own name, is asked for what is pulled by the right of whoever pulls.
    pub(crate) fn passes_through(&self, host: &Host) -> bool {
        self.passing.contains_key(host)
    }

    /// Whether any is.
    pub(crate) fn any_passes_through(&self) -> bool {
        !self.passing.is_empty()
    }

    /// Whether this registry is asked by the right of whoever pulls alone, so that admission has none.
    pub(crate) fn is_for_callers_alone(&self, host: &Host) -> bool {
        self.passing.get(host).is_some_and(|has_own| !has_own)
    }

    /// Makes an image a canary. Upstreams are added first: a canary has one name too, whatever it is called by.
    pub fn deny(&mut self, name: &Name) {
        let canonical = self.canonical(name);
        self.canaries.insert(canonical);
    }

    /// Whether an image is a canary, by whatever name: in a registry, or below the gateway's own address.
    pub fn is_canary(&self, name: &Name) -> bool {
        let below = || {
            let (first, rest) = name.repository.split_first()?;
            Some(place(self.find(&first.parse().ok()?)?, rest).name)
        };
        self.denies(&self.canonical(name)) || below().is_some_and(|name| self.denies(&name))
    }

    /// The same of a name that is canonical.
    fn denies(&self, name: &Name) -> bool {
        is_reserved(&name.repository) || (!self.canaries.is_empty() && self.canaries.contains(name))
    }

    /// The name of each upstream.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &Host> {
        let is_alias = |name: &Host, upstream: &Upstream| name != upstream.host();
        self.by_name.iter().filter(move |(name, upstream)| !is_alias(name, upstream)).map(|(name, _)| name)
    }

    /// The upstream of this name, if there is one.
    pub fn find(&self, host: &Host) -> Option<&Arc<Upstream>> {
        self.by_name.get(host)
    }

    /// The name under which this one is remembered and judged: an alias is not a way around a policy.
    pub fn canonical(&self, name: &Name) -> Name {
        self.named_by(name).map_or_else(|| name.clone(), |place| place.name)
    }

    /// What an image's name means, if its registry is configured, or it is below the gateway's own address.
    fn named_by(&self, name: &Name) -> Option<Place> {
        match self.find(&name.host) {
            Some(upstream) => Some(place(upstream, name.repository.clone())),
            None if self.own.as_ref() == Some(&name.host) => {
                self.route_to_upstream(None, None, &name.repository).ok()
            }
            None => None,
        }
    }

    /// The name under which a runtime fetches an image through the gateway, where it is of a registry that is
    /// configured and names that registry itself.
    ///
    /// # Errors
    /// Where it has no such name: it would be too long, or is of a registry with a port.
    pub fn through_gateway(&self, name: &Name) -> Option<Result<Name, InvalidName>> {
        let (own, upstream) = (self.own.as_ref()?, self.find(&name.host)?);
        let Name { host, repository } = place(upstream, name.repository.clone()).name;
        let host = if host.is_docker_hub() { "docker.io" } else { host.as_str() };
        let below = format!("{host}/{repository}").parse::<Repository>();
        Some(below.map(|repository| Name { host: own.clone(), repository }))
    }

    /// The place that an image's name means, if its registry is configured. A canary is nowhere, so that nothing can
    /// ask for one.
    pub fn place(&self, name: &Name) -> Option<Place> {
        self.named_by(name).filter(|place| !self.denies(&place.name))
    }

    /// The place that a pull means. `ns` wins, then the host name that was called, if it is one upstream's; a path
    /// prefix that says the same is dropped. Without either the prefix decides, else the default. A canary is nowhere.
    pub fn route(
        &self,
        ns: Option<&str>,
        called: Option<&Hostname>,
        repository: &Repository,
    ) -> Result<Place, Unrouted> {
        // Before anything else: a node may ask for it in the name of a registry that is none of the upstreams.
        if is_reserved(repository) {
            return Err(Unrouted::Canary);
        }
        let place = self.route_to_upstream(ns, called, repository)?;
        if self.denies(&place.name) { Err(Unrouted::Canary) } else { Ok(place) }
    }

    fn route_to_upstream(
        &self,
        ns: Option<&str>,
        called: Option<&Hostname>,
        repository: &Repository,
    ) -> Result<Place, Unrouted> {
        let prefix = repository.split_first().and_then(|(first, rest)| {
            let host = first.parse::<Host>().ok()?;
            self.find(&host).map(|upstream| (host, upstream, rest))
        });
        let named = match (ns, called.and_then(|called| self.by_hostname.get(called))) {
            (Some(ns), _) => Some(self.named(ns)?),
            (None, called) => called,
        };
        match (named, prefix) {
            (Some(upstream), Some((_, other, rest))) if Arc::ptr_eq(other, upstream) => {
                Ok(place(upstream, rest))
            }
            (Some(upstream), Some((path, ..))) => {
                Err(Unrouted::Contradiction { named: upstream.host().clone(), path })
            }
            (Some(upstream), None) => Ok(place(upstream, repository.clone())),
            (None, Some((_, upstream, rest))) => Ok(place(upstream, rest)),
            (None, None) => self.default_place(repository),
        }
    }

    fn named(&self, ns: &str) -> Result<&Arc<Upstream>, Unrouted> {
        let host = ns.to_ascii_lowercase().parse::<Host>().ok();
        let upstream = host.and_then(|host| self.find(&host));
        upstream.ok_or_else(|| Unrouted::UnknownUpstream(ns.chars().take(255).collect()))
    }

    fn default_place(&self, repository: &Repository) -> Result<Place, Unrouted> {
        match (&self.default, repository.split_first()) {
            (Some(default), _) => {
                let upstream = self.find(default).ok_or(Unrouted::NoUpstream)?;
                Ok(place(upstream, repository.clone()))
            }
            (None, Some((first, _))) if first.contains('.') => {
                Err(Unrouted::UnknownUpstream(first.to_owned()))
            }
            (None, _) => Err(Unrouted::NoUpstream),
        }
    }
}

fn is_reserved(repository: &Repository) -> bool {
    repository.as_str() == CANARY
}

fn place(upstream: &Arc<Upstream>, repository: Repository) -> Place {
    let host = upstream.host().clone();
    // A name that `library/` makes too long is left as it is: Docker Hub has none like it either way.
    let completed = if host.is_docker_hub() { repository.in_docker_hub().ok() } else { None };
    let repository = completed.unwrap_or(repository);
    Place { name: Name { host, repository }, upstream: upstream.clone() }
}

#[cfg(test)]
mod tests;
