//! Where a registry really is.

use std::fmt;
use std::str::FromStr;

use oci::Host;

use crate::origin::{InvalidOrigin, Origin};
use crate::realm::Realm;

/// Where the requests to a registry go: its own origin, a mirror of it, or a stand-in for tests.
///
/// An `http://` endpoint is the asking for plain HTTP; nothing else makes this crate speak it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint(Origin);

const DOCKER_HUB: &str = "https://registry-1.docker.io";
const DOCKER_HUB_REALM: &str = "https://auth.docker.io";

impl Endpoint {
    /// Where this registry is unless configured otherwise: its own name over TLS. Docker Hub answers under another name.
    #[expect(clippy::expect_used, reason = "every host with https:// before it is an origin")]
    pub fn for_host(host: &Host) -> Self {
        let text = if host.is_docker_hub() { DOCKER_HUB.to_owned() } else { format!("https://{host}") };
        text.parse().expect("an origin")
    }

    /// The endpoint as an origin.
    pub fn origin(&self) -> &Origin {
        &self.0
    }

    /// The realm that goes with this endpoint without being configured. It is Docker Hub's alone: that two hosts
    /// have a domain in common does not make them one registry's.
    pub(crate) fn own_realm(&self) -> Option<Realm> {
        let hub = self.0.to_string() == DOCKER_HUB;
        hub.then(|| DOCKER_HUB_REALM.parse().ok()).flatten()
    }
}

impl FromStr for Endpoint {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        text.parse().map(Self)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_where_its_name_says_but_for_docker_hub() {
        let of = |host: &str| Endpoint::for_host(&host.parse().unwrap());
        assert_eq!(of("ghcr.io").to_string(), "https://ghcr.io");
        assert_eq!(of("localhost:5000").to_string(), "https://localhost:5000");
        assert_eq!(of("[::1]:0").to_string(), "https://[::1]:0");
        assert_eq!(of("docker.io").to_string(), "https://registry-1.docker.io");
    }

    #[test]
    fn only_docker_hub_itself_brings_a_realm() {
        let realm =
            |endpoint: &str| endpoint.parse::<Endpoint>().unwrap().own_realm().map(|realm| realm.to_string());
        assert_eq!(realm("https://registry-1.docker.io").as_deref(), Some("https://auth.docker.io"));
        assert_eq!(realm("https://mirror.example"), None);
        assert_eq!(realm("http://registry-1.docker.io"), None);
    }
}
