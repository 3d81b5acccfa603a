//! The places that a connection may go to.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use http::Uri;
use thiserror::Error;

/// A scheme, a host and a port: what a credential is bound to.
///
/// Two origins are equal if all three are. The host is in lower case, the port is there even where it is the default.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Origin {
    scheme: Scheme,
    host: Arc<str>,
    port: u16,
}

/// How an origin is spoken to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

/// Why a string is not an [`Origin`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum InvalidOrigin {
    /// It does not begin with `http://` or `https://`.
    #[error("neither http:// nor https:// comes first")]
    Scheme,
    /// There is something other than a host and a port: a path, a query, a user.
    #[error("something other than a host and a port follows the scheme")]
    Excess,
    /// The host or the port does not parse.
    #[error("no host name or address with an optional port")]
    Malformed,
}

impl Scheme {
    /// The scheme as URLs have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl Origin {
    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host, an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The origin of a URL. There is none for a URL of another scheme, with a user in it, or without a sensible host.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        let scheme = match uri.scheme_str()? {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return None,
        };
        let authority = uri.authority()?;
        let host = authority.host().to_ascii_lowercase();
        let bare = match authority.port_u16() {
            Some(port) => authority.as_str().strip_suffix(&format!(":{port}"))?,
            None => authority.as_str(),
        };
        // What is neither host nor port is a user, or a port that is no number.
        if !bare.eq_ignore_ascii_case(&host) || !is_host(&host) {
            return None;
        }
        let port = authority.port_u16().unwrap_or_else(|| scheme.default_port());
        let host = host.into();
        Some(Self { scheme, host, port })
    }

    /// The address, where the host is one.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        bare.parse().ok()
    }
}

fn is_host(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = address {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    // Underscores are in no host name, and yet in the names of old buckets that registries redirect to.
    let known = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    !host.is_empty() && host.len() <= 255 && host.bytes().all(known)
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))
            .ok_or(InvalidOrigin::Scheme)?;
        if rest.contains(['/', '?', '#', '@', '\\']) {
            return Err(InvalidOrigin::Excess);
        }
        let uri: Uri = text.parse().map_err(|_| InvalidOrigin::Malformed)?;
        Self::of(&uri).ok_or(InvalidOrigin::Malformed)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        if self.port == self.scheme.default_port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parses(text: &str, canonical: &str) {
        assert_eq!(text.parse::<Origin>().map(|origin| origin.to_string()).as_deref(), Ok(canonical));
    }

    #[track_caller]
    fn refuses(text: &str, why: InvalidOrigin) {
        assert_eq!(text.parse::<Origin>(), Err(why), "{text:?}");
    }

    #[test]
    fn an_origin_has_one_spelling() {
        parses("https://ghcr.io", "https://ghcr.io");
        parses("https://GHCR.io:443", "https://ghcr.io");
        parses("http://127.0.0.1:5000", "http://127.0.0.1:5000");
        parses("https://[::1]:5000", "https://[::1]:5000");
        assert_ne!("https://a".parse::<Origin>().unwrap(), "http://a:443".parse().unwrap());
    }

    #[test]
    fn what_is_more_or_less_than_an_origin_is_refused() {
        refuses("ghcr.io", InvalidOrigin::Scheme);
        refuses("ftp://ghcr.io", InvalidOrigin::Scheme);
        refuses("https://ghcr.io/", InvalidOrigin::Excess);
        refuses("https://ghcr.io/v2", InvalidOrigin::Excess);
        refuses("https://ghcr.io?a=b", InvalidOrigin::Excess);
        refuses("https://user:secret@ghcr.io", InvalidOrigin::Excess);
        refuses("https://", InvalidOrigin::Malformed);
        refuses("https://:443", InvalidOrigin::Malformed);
        refuses("https://ghcr.io:", InvalidOrigin::Malformed);
        refuses("https://ghcr.io:port", InvalidOrigin::Malformed);
        refuses("https://ghcr.io:99999", InvalidOrigin::Malformed);
        refuses("https://gh cr.io", InvalidOrigin::Malformed);
        refuses("https://[::1", InvalidOrigin::Malformed);
    }

    #[test]
    fn a_user_in_a_url_leaves_it_without_an_origin() {
        let of = |text: &str| Origin::of(&text.parse().unwrap());
        assert_eq!(of("https://a.example@b.example/x"), None);
        assert_eq!(of("https://a.example:443@b.example/x"), None);
        assert_eq!(of("https://b.example/x?y"), Some("https://b.example".parse().unwrap()));
        assert_eq!(of("/x"), None);
    }
}
