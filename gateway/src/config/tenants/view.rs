//! The configuration that a tenant would have if it were alone.

use oci::Host;

use super::super::{Config, Upstream};
use super::Tenant;

impl Config {
    /// Whether there is nobody beside whoever this is the configuration of.
    pub(crate) fn domain_is_alone(&self) -> bool {
        self.alone
    }

    /// What of this configuration is a tenant's: everything that its answers depend on.
    pub(crate) fn of_tenant(&self, tenant: &Tenant) -> Self {
        let mut config = self.clone();
        config.policies.own.clone_from(&tenant.policies);
        config.trust.own = tenant.roots.clone();
        config.domain = tenant.name;
        config.tenants = None;
        config.alone = false;
        config.policies.no_match = tenant.no_match.unwrap_or(self.policies.no_match);
        config.registry.no_match = tenant.pull_no_match.unwrap_or(self.registry.no_match);
        config.admission.mutate = tenant.mutate.unwrap_or(self.admission.mutate);
        if let Some(allowed) = &tenant.upstreams {
            let find =
                |host: &Host| self.upstreams.iter().find(|upstream: &&Upstream| upstream.host == *host);
            let upstreams = allowed.iter().filter_map(|(host, credentials)| {
                let mut upstream = find(host)?.clone();
                if let (Some(_), Some(endpoint)) = (credentials, upstream.endpoints.first_mut()) {
                    endpoint.credentials.clone_from(credentials);
                }
                Some(upstream)
            });
            config.upstreams = upstreams.collect();
        }
        if let Some(host) = &tenant.default_upstream {
            config.registry.default_upstream = Some(host.clone());
        }
        let default = config.registry.default_upstream.take();
        let is_there = |host: &Host| config.upstreams.iter().any(|upstream| upstream.host == *host);
        config.registry.default_upstream = default.filter(is_there);
        if let Some(concurrency) = tenant.quotas.concurrency {
            for endpoint in config.upstreams.iter_mut().flat_map(|upstream| &mut upstream.endpoints) {
                endpoint.concurrency = endpoint.concurrency.min(concurrency);
            }
        }
        config
    }
}
