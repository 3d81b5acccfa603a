//! What a shared tier is made of.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use super::address::InvalidUrl;
use crate::{BoxError, Seals};

/// How long an answer is waited for where nothing else is said.
pub const BUDGET: Duration = Duration::from_millis(40);

/// How long a prefix may be: it is in every key.
const PREFIX: usize = 64;

/// Where the shared tier is, and how far it is trusted.
pub struct Settings {
    /// `redis://[user:password@]host[:port][/database]`, with `rediss` for TLS;
    /// `redis+sentinel://host,host/master[/database]`; `redis+cluster://host,host`.
    pub url: String,
    /// The ACL user, in place of the URL's.
    pub username: Option<String>,
    /// The password, in place of the URL's.
    pub password: Option<String>,
    /// The authorities that a server's certificate may be of, as PEM; the system's where there are none.
    pub ca: Option<Vec<u8>>,
    /// Our certificate and its key, as PEM.
    pub client: Option<(Vec<u8>, Vec<u8>)>,
    /// What every key and channel begins with, so that an ACL can be written for it: `~prefix:* &prefix:*`, and the
    /// commands `GETRANGE`, `GET`, `SET`, `DEL`, `PEXPIRE`, `EVAL`, `PUBLISH`, `SUBSCRIBE` and `PING`.
    pub prefix: String,
    /// How long an answer is waited for, before it is a miss.
    pub budget: Duration,
    /// The secrets' seals; `None` only where [`Trust::Material`] is all the trust there is. Without them, whoever
    /// writes to the store can make every replica look again for what it knows, and forget by a forged purge what is
    /// on its disk.
    pub seals: Option<Seals>,
    /// How far it is trusted.
    pub trust: Trust,
}

/// How far what others can write is trusted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Trust {
    /// As far as its seal proves it: also conclusions are shared.
    #[default]
    Sealed,
    /// Material alone is shared, from which every replica draws its own conclusions.
    Material,
}

/// Why there can be no shared tier. A server that does not answer is no such reason.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The URL says nowhere to connect to.
    #[error("the URL is unusable")]
    Url(#[from] InvalidUrl),
    /// Conclusions would be believed that anybody could have written. Give secrets, or trust material alone.
    #[error("conclusions are to be shared, and there is no secret to seal them with")]
    Unsealed,
    /// The prefix is longer than 64 bytes, or has another letter than `a-z`, `A-Z`, `0-9`, `.`, `:`, `_` and `-`:
    /// braces would choose a cluster's slot, and an asterisk would widen an ACL.
    #[error("a prefix is up to 64 letters, digits, and any of . : _ -")]
    Prefix,
    /// A budget of nothing, or of more than a second.
    #[error("a budget is above zero and at most a second")]
    Budget,
    /// The certificates cannot be read.
    #[error("the certificates are unusable")]
    Certificates(#[source] BoxError),
    /// The system has no thread to give.
    #[error("no thread could be started")]
    Thread(#[from] std::io::Error),
}

impl Settings {
    /// What most have: this URL, these seals, no certificates.
    pub fn new(url: impl Into<String>, seals: Seals) -> Self {
        Self {
            url: url.into(),
            username: None,
            password: None,
            ca: None,
            client: None,
            prefix: "countersign".to_owned(),
            budget: BUDGET,
            seals: Some(seals),
            trust: Trust::Sealed,
        }
    }

    /// Checks what can be checked without a server.
    pub(super) fn check(&self) -> Result<(), ConnectError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".:_-".contains(&byte);
        if self.prefix.len() > PREFIX || !self.prefix.bytes().all(fits) {
            return Err(ConnectError::Prefix);
        }
        if self.budget.is_zero() || self.budget > Duration::from_secs(1) {
            return Err(ConnectError::Budget);
        }
        let keyed = self.seals.as_ref().is_some_and(Seals::are_keyed);
        match self.trust {
            Trust::Sealed if !keyed => Err(ConnectError::Unsealed),
            Trust::Sealed | Trust::Material => Ok(()),
        }
    }
}

/// Neither the URL, which may hold a password, nor any other secret.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("prefix", &self.prefix)
            .field("budget", &self.budget)
            .field("trust", &self.trust)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new("redis://cache", Seals::new(&[std::array::from_fn(|at| at as u8)]).unwrap())
    }

    #[test]
    fn conclusions_are_not_shared_without_a_secret() {
        assert!(settings().check().is_ok());
        for seals in [None, Some(Seals::unkeyed())] {
            let unsealed = Settings { seals, ..settings() };
            assert!(matches!(unsealed.check(), Err(ConnectError::Unsealed)));
        }
        let material = Settings { seals: None, trust: Trust::Material, ..settings() };
        assert!(material.check().is_ok());
    }

    #[test]
    fn a_prefix_says_nothing_but_where_keys_begin() {
        for prefix in ["{a}", "a*", "a b", "ä", &"a".repeat(65)] {
            let settings = Settings { prefix: prefix.to_owned(), ..settings() };
            assert!(matches!(settings.check(), Err(ConnectError::Prefix)), "{prefix}");
        }
        for budget in [0, 1001] {
            let settings = Settings { budget: Duration::from_millis(budget), ..settings() };
            assert!(matches!(settings.check(), Err(ConnectError::Budget)), "{budget}");
        }
    }

    #[test]
    fn no_secret_is_printed() {
        let settings = Settings { url: "redis://:hunter2@cache".into(), ..settings() };
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
