//! Where tokens are to be had.

use std::fmt;
use std::str::FromStr;

use http::Uri;

use crate::origin::{InvalidOrigin, Origin};

/// An origin that a registry may send us to for tokens, credentials in hand; and where a path is given, that path alone.
///
/// A path matters where a host is shared: who may put something at another path of it must not be shown a password.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Realm {
    origin: Origin,
    path: Option<Box<str>>,
}

impl Realm {
    /// The origin.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether a URL, whose origin this is, is in it.
    pub(crate) fn covers(&self, origin: &Origin, uri: &Uri) -> bool {
        self.origin == *origin && self.path.as_deref().is_none_or(|path| path == uri.path())
    }
}

impl From<Origin> for Realm {
    fn from(origin: Origin) -> Self {
        Self { origin, path: None }
    }
}

impl FromStr for Realm {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidOrigin::Scheme)?;
        let Some((host, path)) = rest.split_once('/') else {
            return text.parse().map(Origin::into);
        };
        // A slash alone could mean the origin or one page of it.
        if path.is_empty() || path.contains(['?', '#', '\\']) || path.split('/').any(|part| part == "..") {
            return Err(InvalidOrigin::Excess);
        }
        let path = format!("/{path}");
        let uri: Uri = path.parse().map_err(|_| InvalidOrigin::Malformed)?;
        let origin = format!("{scheme}://{host}").parse()?;
        Ok(Self { origin, path: Some(uri.path().into()) })
    }
}

impl fmt::Display for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path.as_deref().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_realm_is_an_origin_or_one_path_of_it() {
        let covers = |realm: &str, url: &'static str| {
            let uri = Uri::from_static(url);
            realm.parse::<Realm>().unwrap().covers(&Origin::of(&uri).unwrap(), &uri)
        };
        assert!(covers("https://a.example", "https://a.example/any?x"));
        assert!(covers("https://a.example/token", "https://a.example/token?x=y"));
        assert!(!covers("https://a.example/token", "https://a.example/token/more"));
        assert!(!covers("https://a.example/token", "https://a.example/Token"));
        assert!(!covers("https://a.example/token", "https://b.example/token"));
        assert!(!covers("https://a.example/token", "https://a.example:444/token"));
    }

    #[test]
    fn what_could_mean_two_things_is_no_realm() {
        for text in [
            "a.example/token",
            "ftp://a.example/token",
            "https://a.example/",
            "https://a.example/token?x",
            "https://a.example/a/../b",
            "https://user@a.example/token",
            "https:///token",
        ] {
            assert!(text.parse::<Realm>().is_err(), "{text}");
        }
        assert_eq!(
            "https://A.example:443/jwt/auth".parse::<Realm>().unwrap().to_string(),
            "https://a.example/jwt/auth"
        );
    }
}
