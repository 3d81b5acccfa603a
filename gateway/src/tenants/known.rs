//! Who is known, and by what: recognition, which alone makes a [`Tenant`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use cache::Domain;

use super::network::Network;
use super::service_accounts::{ServiceAccounts, Token};
use super::signs::Signs;
use super::{LABELS, Tenant};
use crate::config::{
    self, Caller, CallerCredential, Certificate, NamespaceSelector, PathPrefix, SHORTEST, short_secret,
};
use crate::hostname::Hostname;
use crate::kubernetes::Namespaces;
use crate::login::Fingerprint;

/// Which place a tenant has among all.
type At = usize;

/// Every tenant, and every sign of one.
pub(super) struct Known {
    tenants: Vec<Tenant>,
    by_name: BTreeMap<&'static str, At>,
    namespaces: HashMap<String, At>,
    selectors: Vec<(NamespaceSelector, At)>,
    /// What the cluster says of namespaces, where a tenant is told by that.
    labelled: Option<Arc<Namespaces>>,
    /// Why there may be tenants besides, if so: whoever is of none of these may be of one of those.
    untold: Option<String>,
    hostnames: HashMap<Hostname, At>,
    /// By their first parts.
    prefixes: HashMap<String, Vec<(PathPrefix, At)>>,
    certificates: HashMap<Certificate, At>,
    credentials: HashMap<Fingerprint, (At, CallerCredential)>,
    networks: Vec<(Network, At)>,
    service_accounts: Option<ServiceAccounts>,
    /// Whoever shows no sign of any tenant.
    default: Option<At>,
}

/// A tenant, and what its repositories begin with in this request.
#[derive(Debug)]
pub(super) struct Recognised {
    pub(super) tenant: Tenant,
    pub(super) prefix: Option<PathPrefix>,
    /// Whether what it logs in with is a sign of the tenant.
    pub(super) by_login: bool,
}

/// Why the objects of a namespace are nobody's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Unowned {
    /// It is listed for no tenant, and none selects it.
    Unknown,
    /// It is of these.
    Several(Vec<Domain>),
    /// It cannot be told whose it is: why.
    Untold(String),
}

/// Why a request is nobody's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Stranger {
    /// It shows no sign of any tenant.
    Unknown {
        /// Whether it could be told by what it logs in with.
        may_log_in: bool,
    },
    /// It shows a sign of one tenant, and not all that this one is told by.
    Unproven { tenant: Domain, may_log_in: bool },
    /// Its signs are of different tenants.
    Contradiction(Domain, Domain),
    /// It shows a token of a service account that is not believed: why.
    Token(String),
    /// It pulls for a Pod of a namespace that is of these.
    Several(Vec<Domain>),
    /// It cannot be told whose it is, or the namespace that it pulls for: why.
    Untold(String),
}

impl Known {
    /// Everybody, with what they log in with read from its files.
    ///
    /// # Errors
    /// A file that cannot be read, or is wrong, or two tenants that log in with the same.
    pub(super) fn new(
        tenants: &[Arc<config::Tenant>],
        service_accounts: Option<&config::ServiceAccounts>,
        labelled: Option<&Arc<Namespaces>>,
        untold: Option<String>,
    ) -> anyhow::Result<Self> {
        let mut known = Self {
            tenants: Vec::with_capacity(tenants.len()),
            by_name: BTreeMap::new(),
            namespaces: HashMap::new(),
            selectors: Vec::new(),
            labelled: labelled.cloned(),
            untold,
            hostnames: HashMap::new(),
            prefixes: HashMap::new(),
            certificates: HashMap::new(),
            credentials: HashMap::new(),
            networks: Vec::new(),
            service_accounts: service_accounts.map(ServiceAccounts::read).transpose()?,
            default: tenants.iter().position(|tenant| tenant.name == Domain::default()),
        };
        for (at, tenant) in tenants.iter().enumerate() {
            known.by_name.insert(tenant.name.name(), at);
            known.namespaces.extend(tenant.namespaces.iter().map(|name| (name.clone(), at)));
            known.selectors.extend(tenant.namespace_selector.iter().map(|selector| (selector.clone(), at)));
            for (index, caller) in tenant.callers.iter().enumerate() {
                let added = known.add(at, caller);
                added.with_context(|| format!("{}.callers[{index}].credentials", tenant.origin))?;
            }
            let label = if at < LABELS { tenant.name.name() } else { "other" };
            known.tenants.push(Tenant { settings: tenant.clone(), label });
        }
        Ok(known)
    }

    fn add(&mut self, at: At, caller: &Caller) -> anyhow::Result<()> {
        self.hostnames.extend(caller.hostnames.iter().map(|name| (name.clone(), at)));
        self.certificates.extend(caller.certificates.iter().map(|name| (name.clone(), at)));
        self.networks.extend(caller.addresses.iter().map(|network| (*network, at)));
        for prefix in &caller.path_prefixes {
            self.prefixes.entry(prefix.first().to_owned()).or_default().push((prefix.clone(), at));
        }
        for credential in &caller.credentials {
            let before = self.credentials.insert(fingerprint(credential)?, (at, credential.clone()));
            if before.is_some_and(|(other, _)| other != at) {
                bail!("another tenant logs in with the same");
            }
        }
        Ok(())
    }

    pub(super) fn named(&self, name: &str) -> Option<Tenant> {
        self.tenants.get(*self.by_name.get(name)?).cloned()
    }

    pub(super) fn all(&self) -> Vec<Tenant> {
        self.by_name.values().filter_map(|at| self.tenants.get(*at).cloned()).collect()
    }

    /// Whose objects are in a namespace.
    pub(super) fn of_namespace(&self, namespace: Option<&str>) -> Result<Tenant, Unowned> {
        let at = self.at_namespace(namespace)?;
        self.tenants.get(at).cloned().ok_or(Unowned::Unknown)
    }

    /// The namespace whose labels have to be known before it can be told whose it is.
    pub(super) fn labelled(&self) -> Option<&Arc<Namespaces>> {
        self.labelled.as_ref().filter(|_| !self.selectors.is_empty())
    }

    fn at_namespace(&self, namespace: Option<&str>) -> Result<At, Unowned> {
        let mut all: Vec<At> =
            namespace.and_then(|name| self.namespaces.get(name)).copied().into_iter().collect();
        if let (Some(name), false) = (namespace, self.selectors.is_empty()) {
            // Also of one that is listed by name: another tenant may select it.
            let untold = || Unowned::Untold("there is no cluster to say its labels".to_owned());
            let labels = self.labelled.as_ref().ok_or_else(untold)?.labels(name);
            let labels = labels.map_err(|why| Unowned::Untold(why.to_string()))?;
            let selecting = self.selectors.iter().filter(|(selector, _)| selector.matches(&labels));
            all.extend(selecting.map(|(_, at)| *at));
            all.sort_unstable();
            all.dedup();
        }
        match *all {
            [] => match &self.untold {
                Some(why) => Err(Unowned::Untold(why.clone())),
                None => self.default.ok_or(Unowned::Unknown),
            },
            [one] => Ok(one),
            _ => Err(Unowned::Several(all.into_iter().map(|at| self.name(at)).collect())),
        }
    }

    /// Who sends a request. Every sign that it shows has to be of the same tenant, and all that an entry of this one's
    /// callers names have to be there.
    pub(super) fn of_caller(&self, signs: &Signs) -> Result<Recognised, Stranger> {
        let prefix = self.prefix(signs);
        let credential = signs.credential.and_then(|shown| self.credentials.get(&shown));
        let by_token = self.of_token(signs)?;
        let by_network = signs.address.into_iter().flat_map(|address| self.of_address(address));
        let of = signs
            .hostnames
            .iter()
            .filter_map(|name| self.hostnames.get(name).copied())
            .chain(prefix.map(|(_, at)| *at))
            .chain(signs.certificates.iter().filter_map(|name| self.certificates.get(name).copied()))
            .chain(credential.map(|(at, _)| *at))
            .chain(by_token)
            .chain(by_network);
        let mut one: Option<At> = None;
        for at in of {
            match one {
                Some(before) if before != at => {
                    return Err(Stranger::Contradiction(self.name(before), self.name(at)));
                }
                _ => one = Some(at),
            }
        }
        if let (None, Some(why)) = (one, &self.untold) {
            return Err(Stranger::Untold(why.clone()));
        }
        let Some(tenant) = one.or(self.default).and_then(|at| self.tenants.get(at)) else {
            let may_log_in = !self.credentials.is_empty() || self.service_accounts.is_some();
            return Err(Stranger::Unknown { may_log_in });
        };
        let recognised = Recognised {
            tenant: tenant.clone(),
            prefix: prefix.map(|(prefix, _)| prefix.clone()),
            by_login: credential.is_some() || by_token.is_some(),
        };
        let shown = Shown {
            signs,
            prefix: prefix.map(|(prefix, _)| prefix),
            credential: credential.map(|(_, it)| it),
        };
        // Whoever shows no sign is of the default tenant without one, and what an API server signed needs no other.
        if one.is_none()
            || by_token.is_some()
            || tenant.settings().callers.iter().any(|caller| shown.all_of(caller))
        {
            return Ok(recognised);
        }
        let may_log_in = tenant.settings().callers.iter().any(|caller| !caller.credentials.is_empty());
        Err(Stranger::Unproven { tenant: tenant.name(), may_log_in })
    }

    /// Whose Pod it is that a token is bound to. What is no token of ours says nothing.
    fn of_token(&self, signs: &Signs) -> Result<Option<At>, Stranger> {
        let (Some(accounts), Some(token)) = (&self.service_accounts, &signs.token) else { return Ok(None) };
        let namespace = match accounts.judge(token) {
            Token::Foreign => return Ok(None),
            Token::Refused(why) => return Err(Stranger::Token(why)),
            Token::Bound(namespace) => namespace,
        };
        self.at_namespace(Some(&namespace)).map(Some).map_err(|why| match why {
            Unowned::Unknown => Stranger::Unknown { may_log_in: true },
            Unowned::Several(of) => Stranger::Several(of),
            Unowned::Untold(why) => Stranger::Untold(format!("namespace {namespace:?}: {why}")),
        })
    }

    fn prefix(&self, signs: &Signs) -> Option<&(PathPrefix, At)> {
        let repository = signs.repository.as_deref()?;
        let of_first = self.prefixes.get(repository.split('/').next()?)?;
        // Of one tenant's that contain one another the longest is meant.
        let all = of_first.iter().filter_map(|entry| Some((entry, entry.0.strip(repository)?.len())));
        all.min_by_key(|(_, rest)| *rest).map(|(entry, _)| entry)
    }

    fn of_address(&self, address: IpAddr) -> impl Iterator<Item = At> {
        self.networks.iter().filter(move |(network, _)| network.contains(address)).map(|(_, at)| *at)
    }

    fn name(&self, at: At) -> Domain {
        self.tenants.get(at).map(Tenant::name).unwrap_or_default()
    }
}

/// What a request shows, resolved.
struct Shown<'a> {
    signs: &'a Signs,
    prefix: Option<&'a PathPrefix>,
    credential: Option<&'a CallerCredential>,
}

impl Shown<'_> {
    /// Whether one of each kind is shown that an entry names.
    fn all_of(&self, caller: &Caller) -> bool {
        let signs = self.signs;
        let called: HashSet<&Hostname> = signs.hostnames.iter().collect();
        (caller.hostnames.is_empty() || caller.hostnames.iter().any(|name| called.contains(name)))
            && (caller.path_prefixes.is_empty()
                || self.prefix.is_some_and(|prefix| caller.path_prefixes.contains(prefix)))
            && (caller.certificates.is_empty()
                || signs.certificates.iter().any(|name| caller.certificates.contains(name)))
            && (caller.credentials.is_empty()
                || self.credential.is_some_and(|credential| caller.credentials.contains(credential)))
            && (caller.addresses.is_empty()
                || signs
                    .address
                    .is_some_and(|address| caller.addresses.iter().any(|network| network.contains(address))))
    }
}

/// What is known of a caller's login. It reads files.
pub(super) fn fingerprint(credential: &CallerCredential) -> anyhow::Result<Fingerprint> {
    let secret = |path: &std::path::Path| {
        let secret = short_secret(path).with_context(|| path.display().to_string())?;
        if secret.is_empty() {
            bail!("{}: is empty", path.display());
        }
        Ok(secret)
    };
    let long = |path: &std::path::Path| {
        let secret = secret(path)?;
        if secret.len() < SHORTEST {
            bail!("{}: has fewer than {SHORTEST} characters", path.display());
        }
        Ok(secret)
    };
    match credential {
        CallerCredential::Basic { username, password } => {
            let username = secret(username)?;
            if username.contains(':') {
                bail!("a user name has no colon");
            }
            Ok(Fingerprint::basic(&username, &long(password)?))
        }
        CallerCredential::Bearer { token } => Ok(Fingerprint::bearer(&long(token)?)),
        CallerCredential::Given(fingerprint) => Ok(*fingerprint),
    }
}
