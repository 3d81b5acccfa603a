//! The configuration of nodes that leaves them no way but through the gateway: written here, and read critically.
//!
//! No status that a registry answers makes a runtime stop at a mirror. What does is how the runtime is configured, and
//! what counts as closed differs from one to the next, and between their versions: docs/nodes.md has the table.

mod document;
pub(crate) mod lint;
pub(crate) mod write;

use oci::Host;
use upstream::{Origin, Scheme};

/// A registry, by every name that images have for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Registry {
    /// Its names, of which there is one at least.
    pub(crate) names: Vec<Host>,
}

impl Registry {
    /// The name that the gateway has it under in a path, where a port has no place.
    fn path(&self) -> Option<String> {
        self.names.iter().map(spelled).find(|name| !name.contains(':'))
    }
}

/// How runtimes spell a registry. Docker Hub has one name in image references and another one here.
pub(crate) fn spelled(host: &Host) -> String {
    if host.is_docker_hub() { "docker.io".to_owned() } else { host.to_string() }
}

/// The host and the port of an origin, without the port where the scheme implies it.
pub(crate) fn authority(origin: &Origin) -> String {
    let url = origin.to_string();
    url.split_once("://").map(|(_, authority)| authority.to_owned()).unwrap_or(url)
}

/// Whether nobody on the way can answer in the place of an origin: it is spoken to over TLS, or never leaves the node.
pub(crate) fn is_authentic(origin: &Origin) -> bool {
    origin.scheme() == Scheme::Https || is_loopback(origin.host())
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
