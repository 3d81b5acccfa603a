//! The names that this gateway is called by.

use std::fmt;
use std::str::FromStr;

use http::{Request, header};
use oci::Host;
use thiserror::Error;

/// A host name of the gateway's own, without a port: whichever port it is called at, by the door itself, a Service or
/// a load balancer, the name is what tells.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Hostname(Box<str>);

/// Why a string is not a [`Hostname`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("not a host name without a port")]
pub struct InvalidHostname;

impl Hostname {
    /// The name that a request calls the gateway by. There is none where it says nothing, or contradicts itself.
    pub(crate) fn called<B>(request: &Request<B>) -> Option<Self> {
        let mut headers = request.headers().get_all(header::HOST).iter();
        let authority = match (request.uri().authority(), headers.next(), headers.next()) {
            (Some(authority), ..) => authority.as_str(),
            (None, Some(host), None) => host.to_str().ok()?,
            (None, ..) => return None,
        };
        Self::of(authority)
    }

    /// The name in a host and port.
    pub(crate) fn of(authority: &str) -> Option<Self> {
        let name = match authority.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => authority,
        };
        name.parse().ok()
    }
}

impl FromStr for Hostname {
    type Err = InvalidHostname;

    fn from_str(text: &str) -> Result<Self, InvalidHostname> {
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let has_port = if name.starts_with('[') { !name.ends_with(']') } else { name.contains(':') };
        if has_port || name.parse::<Host>().is_err() {
            return Err(InvalidHostname);
        }
        Ok(Self(name.into()))
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(uri: &str, hosts: &[&str]) -> Option<String> {
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        Hostname::called(&request.body(()).unwrap()).map(|name| name.to_string())
    }

    #[test]
    fn a_request_calls_it_by_one_name_whatever_the_port() {
        for host in ["ghcr.mirror.example", "GHCR.mirror.example:5000", "ghcr.mirror.example.:443"] {
            assert_eq!(called("/v2/", &[host]).as_deref(), Some("ghcr.mirror.example"), "{host}");
        }
        let uri = "http://ghcr.mirror.example:80/v2/";
        assert_eq!(called(uri, &["other"]).as_deref(), Some("ghcr.mirror.example"));
        assert_eq!(called("/v2/", &["[::1]:5000"]).as_deref(), Some("[::1]"));
    }

    #[test]
    fn who_says_nothing_or_two_things_calls_nobody() {
        assert_eq!(called("/v2/", &[]), None);
        assert_eq!(called("/v2/", &["a.example", "b.example"]), None);
        assert_eq!(called("/v2/", &["a b"]), None);
        for text in ["a.example:443", "", "http://a", "a/b", "[::1]:1"] {
            assert!(text.parse::<Hostname>().is_err(), "{text}");
        }
    }
}
