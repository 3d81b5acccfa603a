//! Whatever is a sign of two tenants is a sign of neither, and an error with both keys in it.

use std::collections::HashMap;
use std::hash::Hash;

use super::super::Upstream;
use super::super::file::{ConfigError, wrong};
use super::{Caller, PathPrefix, Tenant};

/// That no namespace, name, prefix, certificate, file of a credential or address means two tenants.
pub(in crate::config) fn distinct(tenants: &[Tenant], upstreams: &[Upstream]) -> Result<(), ConfigError> {
    let mut names = Seen::default();
    let mut namespaces = Seen::default();
    for (index, tenant) in tenants.iter().enumerate() {
        names.add(tenant.name.name(), index, format!("tenants[{index}].name"))?;
        for namespace in &tenant.namespaces {
            namespaces.add(namespace, index, format!("tenants[{index}].namespaces"))?;
        }
        named_twice(index, tenant, upstreams)?;
    }
    let callers = || {
        tenants.iter().enumerate().flat_map(|(tenant, of)| {
            let key = move |at: usize| format!("tenants[{tenant}].callers[{at}]");
            of.callers.iter().enumerate().map(move |(at, caller)| (tenant, key(at), caller))
        })
    };
    let (mut hostnames, mut certificates, mut credentials) =
        (Seen::default(), Seen::default(), Seen::default());
    for (tenant, key, caller) in callers() {
        for name in &caller.hostnames {
            hostnames.add(name, tenant, format!("{key}.hostnames: {name}"))?;
        }
        for certificate in &caller.certificates {
            certificates.add(certificate, tenant, format!("{key}.certificates: {certificate}"))?;
        }
        for credential in &caller.credentials {
            credentials.add(credential, tenant, format!("{key}.credentials"))?;
        }
    }
    prefixes(callers(), upstreams)?;
    addresses(callers())
}

/// What was seen, of whom, and where.
struct Seen<T>(HashMap<T, (usize, String)>);

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Eq + Hash> Seen<T> {
    fn add(&mut self, what: T, tenant: usize, key: String) -> Result<(), ConfigError> {
        match self.0.get(&what) {
            // One tenant may say the same in two entries.
            Some((before, _)) if *before == tenant && !key.ends_with(".name") => Ok(()),
            Some((_, before)) => Err(wrong(key, format!("is of two tenants: it is {before} too"))),
            None => {
                self.0.insert(what, (tenant, key));
                Ok(())
            }
        }
    }
}

/// A trust root of everybody's cannot be another for one tenant.
fn named_twice(index: usize, tenant: &Tenant, upstreams: &[Upstream]) -> Result<(), ConfigError> {
    // A host name that means one registry to everybody says nothing of who calls.
    for (at, caller) in tenant.callers.iter().enumerate() {
        for (of, upstream) in upstreams.iter().enumerate() {
            if let Some(name) = caller.hostnames.iter().find(|name| upstream.hostnames.contains(name)) {
                return Err(wrong(
                    format!("tenants[{index}].callers[{at}].hostnames"),
                    format!("{name} is in upstreams[{of}].hostnames too"),
                ));
            }
        }
    }
    Ok(())
}

fn prefixes<'a>(
    callers: impl Iterator<Item = (usize, String, &'a Caller)>,
    upstreams: &[Upstream],
) -> Result<(), ConfigError> {
    // Two prefixes overlap only where their first parts are one.
    let mut seen: HashMap<&str, Vec<(usize, &PathPrefix, String)>> = HashMap::new();
    for (tenant, key, caller) in callers {
        for prefix in &caller.path_prefixes {
            let key = format!("{key}.pathPrefixes: {prefix}");
            let names = upstreams.iter().flat_map(|upstream| upstream.aliases.iter().chain([&upstream.host]));
            let first = prefix.first().parse().ok();
            if let Some(host) = names.into_iter().find(|host| Some(*host) == first.as_ref()) {
                return Err(wrong(key, format!("{host} is a name of a registry")));
            }
            let of_first = seen.entry(prefix.first()).or_default();
            let other = of_first.iter().find(|(of, other, _)| *of != tenant && prefix.overlaps(other));
            if let Some((_, _, other)) = other {
                return Err(wrong(key, format!("is of two tenants: it overlaps with {other}")));
            }
            of_first.push((tenant, prefix, key));
        }
    }
    Ok(())
}

fn addresses<'a>(callers: impl Iterator<Item = (usize, String, &'a Caller)>) -> Result<(), ConfigError> {
    let all = callers.flat_map(|(tenant, key, caller)| {
        caller.addresses.iter().map(move |network| (*network, tenant, format!("{key}.addresses: {network}")))
    });
    let mut all: Vec<_> = all.collect();
    // Networks either contain one another or have nothing in common, so what contains another comes right before it.
    all.sort_by_key(|(network, ..)| (network.first(), network.last_reversed()));
    let mut around: Vec<&(crate::tenants::Network, usize, String)> = Vec::new();
    for entry in &all {
        while around.last().is_some_and(|outer| !outer.0.contains_network(&entry.0)) {
            around.pop();
        }
        if let Some((_, _, other)) = around.iter().find(|outer| outer.1 != entry.1) {
            return Err(wrong(entry.2.clone(), format!("is of two tenants: it overlaps with {other}")));
        }
        around.push(entry);
    }
    Ok(())
}
