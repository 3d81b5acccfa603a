//! Who may operate the gateway: whoever came by the socket, or shows the token.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use oci::Digest;

use crate::config::short_secret;
use crate::reply::{Body, text};

/// How short a token may be. Nobody guesses that many characters over a network, if they are random.
const SHORTEST: usize = 16;

/// How a request came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Via {
    /// By the socket, which its owner alone can open.
    Socket,
    /// By the address, from anybody who can reach it.
    Address,
}

/// That somebody may operate the gateway.
#[derive(Debug)]
pub(crate) struct Operator(());

/// What has to be shown.
#[derive(Debug)]
pub(crate) struct Access {
    /// Read whenever it is needed, so that replacing the file replaces the token.
    token: Option<PathBuf>,
}

impl Access {
    /// What this file says, if there is one.
    ///
    /// # Errors
    /// Where it cannot be read, or holds no token.
    pub(crate) fn new(token: Option<PathBuf>) -> anyhow::Result<Self> {
        if let Some(path) = &token {
            read(path).with_context(|| format!("admin.tokenFile: {}", path.display()))?;
        }
        Ok(Self { token })
    }

    /// Whether a request may operate the gateway, or the answer that it gets.
    pub(crate) fn check(&self, via: Via, headers: &HeaderMap) -> Result<Operator, Response<Body>> {
        self.check_by(via, |token| shows(headers, token))
    }

    /// Whether a request may read what an operator may. Browsers show the token as the password of anybody; since they
    /// would do so for other sites' requests too, that lets nobody change anything.
    pub(crate) fn check_reader(&self, via: Via, headers: &HeaderMap) -> Result<(), Response<Body>> {
        let read = |token: &str| shows(headers, token) || shows_as_password(headers, token);
        let checked = self.check_by(via, read).map(|_| ());
        checked.map_err(|mut refused| {
            if refused.status() == StatusCode::UNAUTHORIZED {
                let challenge = HeaderValue::from_static("Basic realm=\"Countersign\", charset=\"UTF-8\"");
                refused.headers_mut().append(header::WWW_AUTHENTICATE, challenge);
            }
            refused
        })
    }

    fn check_by(&self, via: Via, shows: impl Fn(&str) -> bool) -> Result<Operator, Response<Body>> {
        match (via, &self.token) {
            (Via::Socket, _) => Ok(Operator(())),
            (Via::Address, None) => Err(text(
                StatusCode::FORBIDDEN,
                "this is answered over admin.socket, or here with the token of admin.tokenFile where that is set",
            )),
            (Via::Address, Some(path)) => match read(path) {
                Ok(token) if shows(&token) => Ok(Operator(())),
                Ok(_) => Err(unauthorized()),
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "admin.tokenFile cannot be read");
                    Err(text(StatusCode::SERVICE_UNAVAILABLE, "admin.tokenFile cannot be read"))
                }
            },
        }
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    let token = short_secret(path)?;
    ensure!(token.len() >= SHORTEST, "a token has {SHORTEST} characters or more");
    Ok(token)
}

fn shows(headers: &HeaderMap, token: &str) -> bool {
    shown(headers, "bearer").is_some_and(|shown| same(shown.as_bytes(), token))
}

fn shows_as_password(headers: &HeaderMap, token: &str) -> bool {
    let decoded = shown(headers, "basic").and_then(|shown| STANDARD.decode(shown).ok()).unwrap_or_default();
    let password = decoded.iter().position(|byte| *byte == b':').map(|colon| &decoded[colon + 1..]);
    password.is_some_and(|password| same(password, token))
}

/// What is shown in this scheme, if it is the one thing that is.
fn shown<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let mut shown = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (shown.next(), shown.next()) else {
        return None;
    };
    let (scheme, shown) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case(wanted).then(|| shown.trim())
}

/// Compared as hashes, so that the time that it takes says nothing of the token, not even its length.
fn same(shown: &[u8], token: &str) -> bool {
    let (shown, token) = (Digest::of(shown), Digest::of(token.as_bytes()));
    aws_lc_rs::constant_time::verify_slices_are_equal(shown.hash(), token.hash()).is_ok()
}

fn unauthorized() -> Response<Body> {
    tracing::warn!("somebody without the token tried to operate the gateway");
    let mut refused = text(StatusCode::UNAUTHORIZED, "the token of admin.tokenFile is wanted");
    refused.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    refused
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "correct horse battery";

    #[track_caller]
    fn status(access: &Access, via: Via, shown: &[&str]) -> u16 {
        let mut headers = HeaderMap::new();
        for shown in shown {
            headers.append(header::AUTHORIZATION, shown.parse().unwrap());
        }
        access.check(via, &headers).map_or_else(|refused| refused.status().as_u16(), |_| 200)
    }

    #[test]
    fn at_the_address_nothing_but_the_token_will_do() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
        let access = Access::new(Some(file.clone())).unwrap();
        let right = format!("Bearer {TOKEN}");
        assert_eq!(status(&access, Via::Address, &[&right]), 200);
        assert_eq!(status(&access, Via::Address, &[&format!("bearer {TOKEN}")]), 200);
        let wrong = [
            "Bearer correct horse batter",
            "Bearer ",
            "Bearer",
            "",
            TOKEN,
            "Basic correct horse battery",
            "Bearer correct horse battery!",
        ];
        for wrong in wrong {
            assert_eq!(status(&access, Via::Address, &[wrong]), 401, "{wrong:?}");
        }
        assert_eq!(status(&access, Via::Address, &[]), 401);
        assert_eq!(status(&access, Via::Address, &[&right, &right]), 401, "twice is not once");
        assert_eq!(status(&access, Via::Socket, &[]), 200);

        std::fs::write(&file, "another token altogether").unwrap();
        assert_eq!(status(&access, Via::Address, &[&right]), 401, "it was replaced");
        std::fs::write(&file, "").unwrap();
        assert_eq!(status(&access, Via::Address, &["Bearer "]), 503, "no token is not an empty one");
        std::fs::remove_file(&file).unwrap();
        assert_eq!(status(&access, Via::Address, &[&right]), 503);
        assert_eq!(status(&access, Via::Socket, &[]), 200);
    }

    #[test]
    fn without_a_token_the_address_is_no_way_in() {
        let access = Access::new(None).unwrap();
        assert_eq!(status(&access, Via::Address, &["Bearer "]), 403);
        assert_eq!(status(&access, Via::Address, &[]), 403);
        assert_eq!(status(&access, Via::Socket, &[]), 200);
    }

    #[test]
    fn a_browser_may_read_and_change_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        std::fs::write(&file, TOKEN).unwrap();
        let access = Access::new(Some(file)).unwrap();
        let headers = |text: &str| {
            HeaderMap::from_iter([(
                header::AUTHORIZATION,
                format!("Basic {}", STANDARD.encode(text)).parse().unwrap(),
            )])
        };
        let right = headers(&format!("anybody:{TOKEN}"));
        assert!(access.check_reader(Via::Address, &right).is_ok());
        assert!(access.check(Via::Address, &right).is_err());
        for wrong in [format!("anybody:{TOKEN}x"), TOKEN.to_owned(), format!("{TOKEN}:"), String::new()] {
            let refused = access.check_reader(Via::Address, &headers(&wrong)).unwrap_err();
            let mut challenges = refused.headers().get_all(header::WWW_AUTHENTICATE).iter();
            assert!(challenges.next_back().unwrap().to_str().unwrap().starts_with("Basic"), "{wrong}");
        }
    }

    #[test]
    fn what_anybody_guesses_is_refused_at_start() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        for token in ["", "\n", "short"] {
            std::fs::write(&file, token).unwrap();
            let error = format!("{:#}", Access::new(Some(file.clone())).unwrap_err());
            assert!(error.contains("admin.tokenFile"), "{error}");
        }
        assert!(Access::new(Some(directory.path().join("missing"))).is_err());
    }
}
