//! The HTTP proxy that stands between us and the internet, where one does.

use std::fmt;
use std::sync::Arc;

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use thiserror::Error;

use crate::address::Class;
use crate::credentials::Credentials;
use crate::origin::{InvalidOrigin, Origin, Scheme};

/// Which connections go through a proxy: by `CONNECT`, so that it sees no request and TLS is between us and the
/// registry. `Debug` does not show what the proxy is shown.
#[derive(Clone, Default)]
pub struct Proxy(Option<Arc<Rules>>);

struct Rules {
    matcher: Matcher,
    /// Whether plain HTTP goes through it too, and this machine.
    everything: bool,
}

/// Why there cannot be such a proxy. No password is in it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum InvalidProxy {
    /// It is spoken to in another way than `http://`.
    #[error("only http:// proxies are spoken to")]
    Scheme,
    /// It is no host and port, or something follows them.
    #[error("is no http:// URL of a host and a port: {0}")]
    Malformed(InvalidOrigin),
    /// There is a user in the URL, which everybody sees.
    #[error("a user and password do not belong into the URL")]
    User,
}

impl Proxy {
    /// No proxy: every connection is made by ourselves.
    pub fn none() -> Self {
        Self::default()
    }

    /// A proxy for everything but the exceptions, which are written as in `NO_PROXY`: names with all names below them,
    /// addresses, networks, separated by commas.
    ///
    /// # Errors
    /// The URL has more to it than a host and a port.
    pub fn new(url: &str, credentials: Option<&Credentials>, exceptions: &str) -> Result<Self, InvalidProxy> {
        if url.contains('@') {
            return Err(InvalidProxy::User);
        }
        let origin = origin(url)?;
        let user =
            credentials.and_then(Credentials::password).map_or_else(String::new, |(name, password)| {
                let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
                format!("{}:{}@", encoded(name), encoded(password))
            });
        let url = format!("http://{user}{}:{}", origin.host(), origin.port());
        let matcher = Matcher::builder().all(url).no(exceptions.to_owned()).build();
        Ok(Self(Some(Arc::new(Rules { matcher, everything: true }))))
    }

    /// The proxy that the environment names, for `https` to other machines: `HTTPS_PROXY` or else `ALL_PROXY`, but for what
    /// `NO_PROXY` excepts. Variables may be in lower case, which then come first, as with curl.
    ///
    /// # Errors
    /// It names one that cannot be used. Going around it would be worse than not going.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidProxy> {
        let either = |lower: &str| variable(lower).or_else(|| variable(&lower.to_ascii_uppercase()));
        let some = |value: Option<String>| value.filter(|value| !value.trim().is_empty());
        let Some(url) = some(either("https_proxy")).or_else(|| some(either("all_proxy"))) else {
            return Ok(Self::none());
        };
        let bare = match url.split_once("://") {
            None => url.as_str(),
            Some(("http", rest)) => rest,
            Some(_) => return Err(InvalidProxy::Scheme),
        };
        let bare = bare.trim_end_matches('/');
        let (user, host) = bare.rsplit_once('@').map_or(("", bare), |(user, host)| (user, host));
        let origin = origin(&format!("http://{host}"))?;
        let at = if user.is_empty() { "" } else { "@" };
        let url = format!("http://{user}{at}{}:{}", origin.host(), origin.port());
        let matcher = Matcher::builder().https(url).no(either("no_proxy").unwrap_or_default()).build();
        Ok(Self(Some(Arc::new(Rules { matcher, everything: false }))))
    }

    /// The proxy that a connection to this URL goes through.
    pub(crate) fn intercept(&self, uri: &Uri) -> Option<Intercept> {
        let rules = self.0.as_ref()?;
        let elsewhere = || Origin::of(uri).is_some_and(|origin| !is_here(&origin));
        if rules.everything || elsewhere() { rules.matcher.intercept(uri) } else { None }
    }
}

fn origin(url: &str) -> Result<Origin, InvalidProxy> {
    let origin: Origin = url.trim_end_matches('/').parse().map_err(|error| match error {
        InvalidOrigin::Scheme => InvalidProxy::Scheme,
        InvalidOrigin::Excess | InvalidOrigin::Malformed => InvalidProxy::Malformed(error),
    })?;
    match origin.scheme() {
        Scheme::Http => Ok(origin),
        Scheme::Https => Err(InvalidProxy::Scheme),
    }
}

/// Whether it is this machine, which a proxy elsewhere takes for itself.
fn is_here(origin: &Origin) -> bool {
    origin.host() == "localhost"
        || origin.address().is_some_and(|address| Class::of(address) == Class::Loopback)
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Proxy(…)" } else { "Proxy(none)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(proxy: &Proxy, uri: &'static str) -> Option<(String, Option<String>)> {
        let intercept = proxy.intercept(&Uri::from_static(uri))?;
        let shown = intercept.basic_auth().map(|value| value.to_str().unwrap().to_owned());
        Some((intercept.uri().to_string(), shown))
    }

    fn environment(variables: &[(&str, &str)]) -> Result<Proxy, InvalidProxy> {
        Proxy::from_environment(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_configured_proxy_takes_all_but_the_exceptions() {
        let credentials = Credentials::new("user", "p@ss/word");
        let proxy =
            Proxy::new("http://proxy.example:3128", Some(&credentials), "ghcr.io,10.0.0.0/8").unwrap();
        let shown = Some("Basic dXNlcjpwQHNzL3dvcmQ=".to_owned());
        let expected = Some(("http://proxy.example:3128/".to_owned(), shown));
        assert_eq!(through(&proxy, "https://quay.io/v2/"), expected);
        assert_eq!(through(&proxy, "http://127.0.0.1:5000/v2/"), expected);
        assert_eq!(through(&proxy, "https://ghcr.io/v2/"), None);
        assert_eq!(through(&proxy, "https://pkg.ghcr.io/v2/"), None);
        assert_eq!(through(&proxy, "https://10.1.2.3/v2/"), None);
        assert!(!format!("{proxy:?}").contains("user"));
    }

    #[test]
    fn the_environment_s_proxy_is_for_https_to_other_machines() {
        let proxy =
            environment(&[("HTTPS_PROXY", "http://u:p@proxy.example:3128/"), ("no_proxy", "ghcr.io")])
                .unwrap();
        assert_eq!(
            through(&proxy, "https://quay.io/v2/"),
            Some(("http://proxy.example:3128/".to_owned(), Some("Basic dTpw".to_owned())))
        );
        for direct in [
            "http://quay.io/",
            "https://ghcr.io/",
            "https://localhost/",
            "https://127.0.0.1/",
            "https://[::1]/",
        ] {
            assert_eq!(through(&proxy, direct), None, "{direct}");
        }
        let bare = environment(&[("ALL_PROXY", "proxy.example:8080")]).unwrap();
        assert_eq!(through(&bare, "https://quay.io/"), Some(("http://proxy.example:8080/".to_owned(), None)));
        assert_eq!(through(&environment(&[("HTTPS_PROXY", "")]).unwrap(), "https://quay.io/"), None);
    }

    #[test]
    fn what_is_no_plain_proxy_is_refused_without_repeating_it() {
        assert_eq!(Proxy::new("https://a", None, "").unwrap_err(), InvalidProxy::Scheme);
        assert_eq!(Proxy::new("socks5://a", None, "").unwrap_err(), InvalidProxy::Scheme);
        assert_eq!(Proxy::new("http://user:hunter2@a", None, "").unwrap_err(), InvalidProxy::User);
        assert!(matches!(Proxy::new("http://a/b", None, "").unwrap_err(), InvalidProxy::Malformed(_)));
        assert_eq!(environment(&[("HTTPS_PROXY", "socks5://a:1")]).unwrap_err(), InvalidProxy::Scheme);
        assert!(matches!(
            environment(&[("HTTPS_PROXY", "http://u:hunter2@a/b")]),
            Err(InvalidProxy::Malformed(_))
        ));
    }
}
