//! What a request shows of who sends it.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Request, header};

use crate::config::Certificate;
use crate::hostname::Hostname;
use crate::peer::Peer;

/// Everything that a caller may be told by. What other machines say of it in headers is not among that.
#[derive(Debug, Default)]
pub(super) struct Signs {
    /// What it calls the gateway: in the request, and where it asked for a certificate. That these are one is not for
    /// granted.
    pub(super) hostnames: Vec<Hostname>,
    /// The repository that it asks for, as it spells it, if it asks for something of one.
    pub(super) repository: Option<String>,
    pub(super) certificates: Arc<[Certificate]>,
    pub(super) credential: Option<Fingerprint>,
    pub(super) address: Option<IpAddr>,
}

/// What somebody logs in with, under a key that this process made up. Two are compared without its being told how much of
/// them is the same, and none can be read from it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// That of a user name and a password.
    pub(crate) fn basic(username: &str, password: &str) -> Self {
        Self::of(b"basic", &[username.as_bytes(), password.as_bytes()])
    }

    /// That of a token.
    pub(crate) fn bearer(token: &str) -> Self {
        Self::of(b"bearer", &[token.as_bytes()])
    }

    /// What a request logs in with. Of two ways at once none is taken.
    fn shown(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(shown), None) = (all.next(), all.next()) else { return None };
        let (scheme, rest) = shown.to_str().ok()?.split_once(' ')?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Self::bearer(rest));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
        // A password may have colons, and a user name none (RFC 7617).
        let (username, password) = decoded.split_once(':')?;
        Some(Self::basic(username, password))
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

impl Signs {
    /// What this request shows, and the connection that it came by.
    pub(super) fn of<B>(request: &Request<B>, peer: &Peer) -> Self {
        let by_header =
            request.headers().get_all(header::HOST).iter().map(|host| Hostname::of(host.to_str().ok()?));
        let by_uri = request.uri().authority().map(|authority| Hostname::of(authority.as_str()));
        let hostnames = by_header.chain(by_uri).flatten().chain(peer.called.clone()).collect();
        Self {
            hostnames,
            repository: request.uri().path().strip_prefix("/v2/").map(str::to_owned),
            certificates: peer.names.clone(),
            credential: Fingerprint::shown(request.headers()),
            address: peer.address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(values: &[&str]) -> Option<Fingerprint> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        Fingerprint::shown(&headers)
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
    fn every_name_that_a_request_calls_counts() {
        let request = Request::builder().uri("http://a.example/v2/").header("host", "B.example:5000");
        let signs = Signs::of(&request.body(()).unwrap(), &Peer::default());
        let names: Vec<_> = signs.hostnames.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["b.example", "a.example"]);
        assert_eq!(signs.repository.as_deref(), Some(""));
    }
}
