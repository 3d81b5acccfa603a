//! Where a registry says it is.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// A registry as image references name it: a host name or address, and a port unless it is 443. A name of one label
/// keeps that port too: `registry:443/app` is an image in that registry, and `registry/app` is one of Docker Hub's.
///
/// Docker Hub has several names that runtimes take for one place; all of them parse to `index.docker.io`, the
/// name that policy-controller matches against. An IPv6 address has its canonical spelling. A `Host` is a name to look
/// up in configuration, never an address to dial.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Host(Arc<str>);

/// Why a string is not a [`Host`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("not a lower-case host name or address with an optional port")]
pub struct InvalidHost;

const DOCKER_HUB: &str = "index.docker.io";

impl Host {
    /// Docker Hub, which references without a host mean.
    pub fn docker_hub() -> Self {
        Self(DOCKER_HUB.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is Docker Hub, where a one-segment name means `library/<name>`.
    pub fn is_docker_hub(&self) -> bool {
        self.as_str() == DOCKER_HUB
    }

    /// Whether the first segment of a reference names a host, by the rule that runtimes follow.
    pub(crate) fn is_named_by(segment: &str) -> bool {
        segment == "localhost" || segment.contains(['.', ':']) || segment.starts_with('[')
    }
}

impl FromStr for Host {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let (name, port) = split_port(text)?;
        let name = if name.starts_with('[') { ipv6(name) } else { domain(name) }.ok_or(InvalidHost)?;
        if text.len() > 255 {
            return Err(InvalidHost);
        }
        Ok(match (&*name, port) {
            ("docker.io" | DOCKER_HUB | "registry-1.docker.io", None | Some(443)) => Self::docker_hub(),
            (name, None | Some(443)) if Self::is_named_by(name) => Self(name.into()),
            // In front of a repository, a lone label would be read as a part of the repository's name.
            (name, None) => Self(format!("{name}:443").into()),
            (name, Some(port)) => Self(format!("{name}:{port}").into()),
        })
    }
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), InvalidHost> {
    let colon = match text.rfind(':') {
        Some(colon) if !text[colon..].contains(']') => colon,
        _ => return Ok((text, None)),
    };
    let port = &text[colon + 1..];
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidHost);
    }
    port.parse().map(|port| (&text[..colon], Some(port))).map_err(|_| InvalidHost)
}

/// An address in its one canonical form (RFC 5952): it may be written in many.
fn ipv6(name: &str) -> Option<Cow<'_, str>> {
    let address: Ipv6Addr = name.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?;
    Some(Cow::Owned(format!("[{address}]")))
}

fn domain(name: &str) -> Option<Cow<'_, str>> {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    name.split('.').all(is_label).then_some(Cow::Borrowed(name))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parses(text: &str, to: &str) {
        assert_eq!(text.parse::<Host>().unwrap().as_str(), to, "{text:?}");
    }

    #[test]
    fn docker_hub_has_one_name_here() {
        for text in ["docker.io", "index.docker.io", "registry-1.docker.io", "docker.io:443"] {
            parses(text, "index.docker.io");
        }
        parses("docker.io:5000", "docker.io:5000");
    }

    #[test]
    fn hosts_keep_their_ports_but_for_the_default_one() {
        parses("ghcr.io", "ghcr.io");
        parses("ghcr.io:443", "ghcr.io");
        parses("localhost:5000", "localhost:5000");
        parses("10.0.0.1:5000", "10.0.0.1:5000");
        parses("[::1]:5000", "[::1]:5000");
    }

    #[test]
    fn a_lone_label_keeps_its_port_or_it_would_name_a_repository() {
        parses("registry:443", "registry:443");
        parses("registry", "registry:443");
        parses("registry:5000", "registry:5000");
        parses("localhost:443", "localhost");
    }

    #[test]
    fn an_address_has_one_spelling() {
        parses("[0:0::1]:5000", "[::1]:5000");
        parses("[2001:DB8:0::A]", "[2001:db8::a]");
        parses("[::ffff:10.0.0.1]:0443", "[::ffff:10.0.0.1]");
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            ".",
            "a..b",
            "ghcr.io.",
            "GHCR.io",
            "a_b",
            "-a",
            "a-",
            "host:",
            "host:x",
            "host:99999",
            "http://host",
            "host/path",
            "[::1",
            "[]",
            "user@host",
            "host\n",
            "hóst",
            "a:b:1",
            "::1",
        ] {
            assert_eq!(text.parse::<Host>(), Err(InvalidHost), "{text:?}");
        }
    }
}
