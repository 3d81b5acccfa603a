//! Who may read: challenges, the token endpoint, and the tokens it gives out.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::percent_decode_str;

use super::Seen;

/// What a client has to show.
#[derive(Clone, Debug)]
pub struct Auth {
    /// Who is let in.
    pub login: Login,
    /// How the client is asked to show it.
    pub challenge: Challenge,
}

/// Who is let in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Login {
    /// Whoever has a token, which everybody is given: Docker Hub's way with public images.
    Anyone,
    /// Whoever knows the password.
    Only {
        /// The user's name.
        username: String,
        /// The password.
        password: String,
    },
}

/// How a client is asked for what it has to show.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Challenge {
    /// By `Basic`, at every request.
    Basic,
    /// By `Bearer`, with tokens that say they last so many seconds.
    Bearer {
        /// Where tokens are to be had.
        realm: RealmAt,
        /// Their `expires_in`. They are taken until revoked, whatever it says.
        expires_in: u64,
    },
}

/// Where tokens are to be had.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RealmAt {
    /// At `/token` of the registry itself.
    Own,
    /// At this URL. Another registry with the same [`Auth`] gives tokens that are taken here.
    Other(String),
}

impl Auth {
    /// Tokens of the registry's own for whoever knows the password.
    pub fn bearer(username: &str, password: &str) -> Self {
        Self {
            login: Login::Only { username: username.to_owned(), password: password.to_owned() },
            challenge: Challenge::Bearer { realm: RealmAt::Own, expires_in: 300 },
        }
    }

    /// Tokens of the registry's own for everybody.
    pub fn anonymous() -> Self {
        Self { login: Login::Anyone, ..Self::bearer("", "") }
    }

    /// The password itself, at every request.
    pub fn basic(username: &str, password: &str) -> Self {
        Self { challenge: Challenge::Basic, ..Self::bearer(username, password) }
    }

    /// The same, with tokens to be had elsewhere.
    #[must_use]
    pub fn with_realm(self, url: String) -> Self {
        self.with_challenge(|expires_in| Challenge::Bearer { realm: RealmAt::Other(url), expires_in })
    }

    /// The same, with tokens that say they last so many seconds.
    #[must_use]
    pub fn with_lifetime(self, expires_in: u64) -> Self {
        let realm = match &self.challenge {
            Challenge::Bearer { realm, .. } => realm.clone(),
            Challenge::Basic => RealmAt::Own,
        };
        self.with_challenge(|_| Challenge::Bearer { realm, expires_in })
    }

    fn with_challenge(self, challenge: impl FnOnce(u64) -> Challenge) -> Self {
        let challenge = challenge(self.expires_in());
        Self { challenge, ..self }
    }

    pub(super) fn expires_in(&self) -> u64 {
        match self.challenge {
            Challenge::Bearer { expires_in, .. } => expires_in,
            Challenge::Basic => 300,
        }
    }

    /// The `WWW-Authenticate` of a registry at this URL.
    pub(super) fn challenge(&self, url: &str, scope: &str) -> String {
        match &self.challenge {
            Challenge::Basic => r#"Basic realm="testkit""#.to_owned(),
            Challenge::Bearer { realm, .. } => {
                let realm = match realm {
                    RealmAt::Own => format!("{url}/token"),
                    RealmAt::Other(url) => url.clone(),
                };
                format!(r#"Bearer realm="{realm}",service="testkit",scope="{scope}""#)
            }
        }
    }

    /// Whether the request shows what this asks for.
    pub(super) fn admits(&self, seen: &Seen, scope: &str, revoked: u64) -> bool {
        match &self.challenge {
            Challenge::Basic => self.knows(seen),
            Challenge::Bearer { .. } => seen
                .authorization()
                .and_then(|value| value.strip_prefix("Bearer "))
                .and_then(read)
                .is_some_and(|(serial, granted)| serial > revoked && covers(&granted, scope)),
        }
    }

    /// Whether the request may have a token: whether it carries the password, if there is one, by `Basic` or as a refresh
    /// token.
    pub(super) fn knows(&self, seen: &Seen) -> bool {
        match &self.login {
            Login::Anyone => true,
            Login::Only { username, password } => {
                let expected = format!("Basic {}", STANDARD.encode(format!("{username}:{password}")));
                seen.authorization() == Some(&expected)
                    || parameter(seen, "refresh_token").as_ref() == Some(password)
            }
        }
    }
}

/// The value of a parameter of the query, decoded; its first, if there are several.
pub(super) fn parameter(seen: &Seen, name: &str) -> Option<String> {
    let query = seen.query.as_deref()?;
    let (_, value) =
        query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?;
    percent_decode_str(value).decode_utf8().ok().map(|value| value.into_owned())
}

/// How many tokens there have been, in this process. A token's number says whether it was issued before a revocation.
static ISSUED: AtomicU64 = AtomicU64::new(0);

/// The number of the last token that was issued.
pub(super) fn last_issued() -> u64 {
    ISSUED.load(Ordering::SeqCst)
}

/// A new token for a scope. It says itself what it is for, so that any registry can read it.
pub(super) fn issue(scope: &str) -> String {
    let serial = ISSUED.fetch_add(1, Ordering::SeqCst) + 1;
    format!("testkit.{serial}.{}", URL_SAFE_NO_PAD.encode(scope))
}

fn read(token: &str) -> Option<(u64, String)> {
    let (serial, scope) = token.strip_prefix("testkit.")?.split_once('.')?;
    let scope = String::from_utf8(URL_SAFE_NO_PAD.decode(scope).ok()?).ok()?;
    Some((serial.parse().ok()?, scope))
}

/// Whether a granted `repository:<name>:<actions>` is good for a wanted one of a single action.
fn covers(granted: &str, wanted: &str) -> bool {
    let split = |scope: &str| {
        scope.rsplit_once(':').map(|(resource, actions)| (resource.to_owned(), actions.to_owned()))
    };
    match (split(granted), split(wanted)) {
        (_, None) => true,
        (Some((granted, actions)), Some((wanted, action))) => {
            granted == wanted && actions.split(',').any(|granted| granted == action)
        }
        (None, Some(_)) => false,
    }
}
