//! What a client logs in with, and how it is known again without being kept.

use std::fmt;
use std::sync::OnceLock;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use oci::Name;

/// What a request logs in with. `Debug` shows nothing of it.
#[derive(Clone, Eq, PartialEq)]
pub(crate) enum Login {
    Basic { username: String, password: String },
    Bearer(String),
}

/// That whoever sends a request was told to be a tenant by what it logs in with, which is between the two of us then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToldByLogin;

/// What somebody logs in with, under a key that this process made up. Two are compared without its being told how much of
/// them is the same, and none can be read from it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Fingerprint([u8; 32]);

impl Login {
    /// What a request logs in with. Of two ways at once none is taken.
    pub(crate) fn shown(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(shown), None) = (all.next(), all.next()) else { return None };
        let (scheme, rest) = shown.to_str().ok()?.split_once(' ')?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Self::Bearer(rest.to_owned()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
        // A password may have colons, and a user name none (RFC 7617).
        let (username, password) = decoded.split_once(':')?;
        Some(Self::Basic { username: username.to_owned(), password: password.to_owned() })
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::Basic { username, password } => Fingerprint::basic(username, password),
            Self::Bearer(token) => Fingerprint::bearer(token),
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(…)")
    }
}

impl Fingerprint {
    /// That of a user name and a password.
    pub(crate) fn basic(username: &str, password: &str) -> Self {
        Self::of(b"basic", &[username.as_bytes(), password.as_bytes()])
    }

    /// That of a token.
    pub(crate) fn bearer(token: &str) -> Self {
        Self::of(b"bearer", &[token.as_bytes()])
    }

    /// That of a user name and a password for one repository of one registry.
    pub(crate) fn for_repository(name: &Name, username: &str, password: &str) -> Self {
        let (host, repository) = (name.host.as_str().as_bytes(), name.repository.as_str().as_bytes());
        Self::of(b"repository", &[host, repository, username.as_bytes(), password.as_bytes()])
    }

    fn of(scheme: &[u8], parts: &[&[u8]]) -> Self {
        let mut context = hmac::Context::with_key(key());
        for part in [scheme].iter().chain(parts) {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.sign().as_ref());
        Self(bytes)
    }
}

/// Made up anew by every process.
#[expect(clippy::expect_used, reason = "a process without randomness could not have made a TLS key either")]
fn key() -> &'static hmac::Key {
    static KEY: OnceLock<hmac::Key> = OnceLock::new();
    KEY.get_or_init(|| {
        let mut secret = [0; 32];
        aws_lc_rs::rand::fill(&mut secret).expect("the system has randomness");
        hmac::Key::new(hmac::HMAC_SHA256, &secret)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(values: &[&str]) -> Option<Fingerprint> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        Login::shown(&headers).map(|login| login.fingerprint())
    }

    #[test]
    fn what_is_logged_in_with_is_known_again_and_nothing_like_it() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let is = Fingerprint::basic("team", "pass:word");
        assert_eq!(shown(&[&basic("team:pass:word")]), Some(is));
        assert_eq!(shown(&["bearer token"]), Some(Fingerprint::bearer("token")));
        for other in ["team:pass:wor", "tea:mpass:word", "team:", "TEAM:pass:word", "team:pass:word\0"] {
            assert_ne!(shown(&[&basic(other)]), Some(is), "{other}");
        }
        assert_ne!(Fingerprint::bearer("a"), Fingerprint::basic("a", ""));
        for values in [&[][..], &["Basic"], &["Basic ?"], &["Digest a"], &["Bearer a", "Bearer a"]] {
            assert_eq!(shown(values), None, "{values:?}");
        }
    }

    #[test]
    fn what_is_proven_of_one_repository_is_of_no_other() {
        let of = |name: &str, username: &str| {
            let reference: oci::Reference = name.parse().unwrap();
            Fingerprint::for_repository(reference.name(), username, "secret")
        };
        assert_eq!(of("ghcr.io/acme/app", "a"), of("ghcr.io/acme/app", "a"));
        for (name, username) in [
            ("ghcr.io/acme/app2", "a"),
            ("ghcr.io/acme", "app/a"),
            ("quay.io/acme/app", "a"),
            ("ghcr.io/acme/app", "A"),
        ] {
            assert_ne!(of(name, username), of("ghcr.io/acme/app", "a"), "{name} {username}");
        }
        assert_ne!(of("ghcr.io/acme/app", "a"), Fingerprint::basic("a", "secret"));
    }
}
