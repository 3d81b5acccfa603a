//! What a registry is shown to be let in.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

/// A user's name and password, or a token in their place. `Debug` shows nothing of them.
#[derive(Clone, Eq, PartialEq)]
pub struct Credentials(Kind);

#[derive(Clone, Eq, PartialEq)]
enum Kind {
    Password {
        username: String,
        password: String,
    },
    /// What a realm gives tokens for, by OAuth 2: Docker's `identitytoken`.
    Identity(String),
}

impl Credentials {
    /// Takes the two as they are.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self(Kind::Password { username: username.into(), password: password.into() })
    }

    /// A refresh token, which a realm exchanges for tokens. It cannot be shown by `Basic`.
    pub fn identity_token(token: impl Into<String>) -> Self {
        Self(Kind::Identity(token.into()))
    }

    /// The name and the password, if it is made of these.
    pub fn password(&self) -> Option<(&str, &str)> {
        match &self.0 {
            Kind::Password { username, password } => Some((username, password)),
            Kind::Identity(_) => None,
        }
    }

    /// The refresh token, if it is one.
    pub(crate) fn refresh_token(&self) -> Option<&str> {
        match &self.0 {
            Kind::Password { .. } => None,
            Kind::Identity(token) => Some(token),
        }
    }

    /// The `Authorization` of [RFC 7617](https://www.rfc-editor.org/rfc/rfc7617), if they are a name and a password.
    #[expect(clippy::expect_used, reason = "base64 is visible characters alone")]
    pub(crate) fn basic(&self) -> Option<HeaderValue> {
        let (username, password) = self.password()?;
        let encoded = STANDARD.encode(format!("{username}:{password}"));
        let mut value = HeaderValue::try_from(format!("Basic {encoded}")).expect("a header's value");
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}
