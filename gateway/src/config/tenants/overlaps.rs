//! Whatever is a sign of two tenants is a sign of neither, and an error with both keys in it.

use std::collections::HashMap;
use std::hash::Hash;

use super::super::Upstream;
use super::super::file::{ConfigError, wrong};
use super::{Caller, PathPrefix, Tenant};
use crate::tenants::Network;

/// What is said of two tenants and could be of one alone, or of a tenant and of everybody.
#[derive(Debug)]
pub(crate) struct Overlap {
    /// The tenants, by their places.
    pub(crate) of: [usize; 2],
    /// Both keys.
    pub(crate) error: ConfigError,
}

/// That no namespace, name, prefix, certificate, file of a credential or address means two tenants.
pub(in crate::config) fn distinct(tenants: &[&Tenant], upstreams: &[Upstream]) -> Result<(), ConfigError> {
    overlaps(tenants, upstreams).into_iter().next().map_or(Ok(()), |overlap| Err(overlap.error))
}

/// All that means two tenants.
pub(crate) fn overlaps(tenants: &[&Tenant], upstreams: &[Upstream]) -> Vec<Overlap> {
    let mut found = Vec::new();
    let mut names = Seen::default();
    let mut namespaces = Seen::default();
    for (index, tenant) in tenants.iter().enumerate() {
        let origin = &tenant.origin;
        names.add(tenant.name.name(), index, format!("{origin}.name"), &mut found);
        for namespace in &tenant.namespaces {
            namespaces.add(namespace, index, format!("{origin}.namespaces"), &mut found);
        }
        named_twice(index, tenant, upstreams, &mut found);
    }
    let callers = || {
        tenants.iter().enumerate().flat_map(|(tenant, of)| {
            let key = move |at: usize| format!("{}.callers[{at}]", of.origin);
            of.callers.iter().enumerate().map(move |(at, caller)| (tenant, key(at), caller))
        })
    };
    let (mut hostnames, mut certificates, mut credentials) =
        (Seen::default(), Seen::default(), Seen::default());
    for (tenant, key, caller) in callers() {
        for name in &caller.hostnames {
            hostnames.add(name, tenant, format!("{key}.hostnames: {name}"), &mut found);
        }
        for certificate in &caller.certificates {
            certificates.add(certificate, tenant, format!("{key}.certificates: {certificate}"), &mut found);
        }
        for credential in &caller.credentials {
            credentials.add(credential, tenant, format!("{key}.credentials"), &mut found);
        }
    }
    prefixes(callers(), upstreams, &mut found);
    addresses(callers(), &mut found);
    found
}

/// What was seen, of whom, and where.
struct Seen<T>(HashMap<T, (usize, String)>);

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Eq + Hash> Seen<T> {
    fn add(&mut self, what: T, tenant: usize, key: String, found: &mut Vec<Overlap>) {
        match self.0.get(&what) {
            // One tenant may say the same in two entries.
            Some((before, _)) if *before == tenant => {}
            Some((before, at)) => {
                let error = wrong(key, format!("is of two tenants: it is {at} too"));
                found.push(Overlap { of: [*before, tenant], error });
            }
            None => {
                self.0.insert(what, (tenant, key));
            }
        }
    }
}

/// A host name that means one registry to everybody says nothing of who calls.
fn named_twice(index: usize, tenant: &Tenant, upstreams: &[Upstream], found: &mut Vec<Overlap>) {
    for (at, caller) in tenant.callers.iter().enumerate() {
        for (of, upstream) in upstreams.iter().enumerate() {
            if let Some(name) = caller.hostnames.iter().find(|name| upstream.hostnames.contains(name)) {
                let key = format!("{}.callers[{at}].hostnames", tenant.origin);
                let error = wrong(key, format!("{name} is in upstreams[{of}].hostnames too"));
                found.push(Overlap { of: [index; 2], error });
            }
        }
    }
}

fn prefixes<'a>(
    callers: impl Iterator<Item = (usize, String, &'a Caller)>,
    upstreams: &[Upstream],
    found: &mut Vec<Overlap>,
) {
    // Two prefixes overlap only where their first parts are one.
    let mut seen: HashMap<&str, Vec<(usize, &PathPrefix, String)>> = HashMap::new();
    for (tenant, key, caller) in callers {
        for prefix in &caller.path_prefixes {
            let key = format!("{key}.pathPrefixes: {prefix}");
            let names = upstreams.iter().flat_map(|upstream| upstream.aliases.iter().chain([&upstream.host]));
            let first = prefix.first().parse().ok();
            if let Some(host) = names.into_iter().find(|host| Some(*host) == first.as_ref()) {
                let error = wrong(&*key, format!("{host} is a name of a registry"));
                found.push(Overlap { of: [tenant; 2], error });
            }
            let of_first = seen.entry(prefix.first()).or_default();
            for (of, _, other) in
                of_first.iter().filter(|(of, other, _)| *of != tenant && prefix.overlaps(other))
            {
                let error = wrong(&*key, format!("is of two tenants: it overlaps with {other}"));
                found.push(Overlap { of: [*of, tenant], error });
            }
            of_first.push((tenant, prefix, key));
        }
    }
}

fn addresses<'a>(callers: impl Iterator<Item = (usize, String, &'a Caller)>, found: &mut Vec<Overlap>) {
    let all = callers.flat_map(|(tenant, key, caller)| {
        caller.addresses.iter().map(move |network| (*network, tenant, format!("{key}.addresses: {network}")))
    });
    let mut all: Vec<_> = all.collect();
    // Networks either contain one another or have nothing in common, so what contains another comes right before it.
    all.sort_by_key(|(network, ..)| (network.first(), network.last_reversed()));
    let mut around: Vec<&(Network, usize, String)> = Vec::new();
    for entry in &all {
        while around.last().is_some_and(|outer| !outer.0.contains_network(&entry.0)) {
            around.pop();
        }
        for (_, of, other) in around.iter().filter(|outer| outer.1 != entry.1) {
            let error = wrong(entry.2.clone(), format!("is of two tenants: it overlaps with {other}"));
            found.push(Overlap { of: [*of, entry.1], error });
        }
        around.push(entry);
    }
}
