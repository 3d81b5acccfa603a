//! What a registry wants to be shown, and whether it may ask for that.

use http::{HeaderMap, Uri, header};
use http_auth::{ChallengeRef, ParamValue, parse_challenges};

use crate::error::FetchError;
use crate::origin::{Origin, Scheme};
use crate::realm::Realm;

/// A challenge that may be answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Challenge {
    /// A token from this realm, which is one that may be asked.
    Bearer {
        /// Where tokens are to be had.
        realm: Uri,
        /// Whom the token is for.
        service: Option<String>,
    },
    /// The credentials, at the endpoint itself.
    Basic,
}

/// The most `WWW-Authenticate` headers that are looked at.
const HEADER_LIMIT: usize = 8;

/// The best of the challenges in an answer: a token, then the credentials.
///
/// # Errors
/// Refused, if tokens are to be had only where we do not go; unauthorised, if there is nothing that we can show.
pub(crate) fn choose(
    headers: &HeaderMap,
    endpoint: &Origin,
    realms: &[Realm],
) -> Result<Challenge, FetchError> {
    let values = headers.get_all(header::WWW_AUTHENTICATE).iter().take(HEADER_LIMIT);
    let challenges: Vec<_> =
        values.filter_map(|value| parse_challenges(value.to_str().ok()?).ok()).flatten().collect();
    let mut refusal = FetchError::Unauthorized;
    for challenge in challenges.iter().filter(|challenge| is(challenge, "Bearer")) {
        match bearer(challenge, endpoint, realms) {
            Ok(bearer) => return Ok(bearer),
            Err(foreign) => refusal = foreign,
        }
    }
    if challenges.iter().any(|challenge| is(challenge, "Basic")) {
        return Ok(Challenge::Basic);
    }
    Err(refusal)
}

fn is(challenge: &ChallengeRef<'_>, scheme: &str) -> bool {
    challenge.scheme.eq_ignore_ascii_case(scheme)
}

fn parameter(challenge: &ChallengeRef<'_>, name: &str) -> Option<String> {
    let (_, value) = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    Some(ParamValue::to_unescaped(value))
}

fn bearer(
    challenge: &ChallengeRef<'_>,
    endpoint: &Origin,
    realms: &[Realm],
) -> Result<Challenge, FetchError> {
    let malformed = || FetchError::Refused("it asks for a token without saying where from".to_owned());
    let realm: Uri =
        parameter(challenge, "realm").and_then(|realm| realm.parse().ok()).ok_or_else(malformed)?;
    let origin = Origin::of(&realm).ok_or_else(malformed)?;
    if !is_trusted(&origin, &realm, endpoint, realms) {
        return Err(FetchError::Refused(format!(
            "it asks for a token from {origin}, which is none of its realms"
        )));
    }
    let service = parameter(challenge, "service");
    Ok(Challenge::Bearer { realm, service })
}

/// Whether a realm may be asked, and shown credentials: it is the endpoint itself, or configured as a realm and as
/// private as the endpoint is.
fn is_trusted(origin: &Origin, realm: &Uri, endpoint: &Origin, realms: &[Realm]) -> bool {
    let private = match origin.scheme() {
        Scheme::Https => true,
        Scheme::Http => endpoint.scheme() == Scheme::Http && origin.host() == endpoint.host(),
    };
    origin == endpoint || (private && realms.iter().any(|listed| listed.covers(origin, realm)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(values: &[&str], endpoint: &str, realms: &[&str]) -> Result<Challenge, FetchError> {
        let headers = values.iter().map(|value| (header::WWW_AUTHENTICATE, value.parse().unwrap())).collect();
        let realms: Vec<_> = realms.iter().map(|realm| realm.parse().unwrap()).collect();
        choose(&headers, &endpoint.parse().unwrap(), &realms)
    }

    fn token_from(realm: &'static str) -> Challenge {
        Challenge::Bearer { realm: Uri::from_static(realm), service: Some("s".to_owned()) }
    }

    #[track_caller]
    fn trusts(realm: &'static str, endpoint: &str, realms: &[&str]) {
        let value = format!(r#"Bearer realm="{realm}",service="s",scope="x""#);
        assert_eq!(ask(&[&value], endpoint, realms).unwrap(), token_from(realm));
    }

    #[track_caller]
    fn refuses(realm: &str, endpoint: &str, realms: &[&str]) {
        let value = format!(r#"Bearer realm="{realm}",service="s""#);
        let outcome = ask(&[&value], endpoint, realms);
        assert!(matches!(outcome, Err(FetchError::Refused(_))), "{realm}: {outcome:?}");
    }

    #[test]
    fn a_token_is_asked_for_at_the_endpoint_and_at_configured_realms_alone() {
        let hub = "https://registry-1.docker.io";
        trusts("https://ghcr.io/token", "https://ghcr.io", &[]);
        trusts("https://auth.docker.io/token", hub, &["https://auth.docker.io"]);
        refuses("https://auth.docker.io/token", hub, &[]);
        trusts("https://auth.docker.io/token", hub, &["https://auth.docker.io/token"]);
        refuses("https://auth.docker.io/other", hub, &["https://auth.docker.io/token"]);
        refuses("https://evil.example/token", hub, &["https://auth.docker.io"]);
        refuses("https://auth.docker.io:444/token", hub, &["https://auth.docker.io"]);
        refuses("https://auth.docker.io.evil.example/token", hub, &["https://auth.docker.io"]);
        refuses("https://user@ghcr.io/token", "https://ghcr.io", &[]);
        refuses("/token", "https://ghcr.io", &[]);
        refuses("", "https://ghcr.io", &[]);
    }

    #[test]
    fn a_realm_in_the_clear_is_for_endpoints_in_the_clear_on_the_same_host() {
        refuses("http://ghcr.io/token", "https://ghcr.io", &["http://ghcr.io"]);
        trusts("http://a:5001/token", "http://a:5000", &["http://a:5001"]);
        refuses("http://b:5001/token", "http://a:5000", &["http://b:5001"]);
        refuses("http://a:5001/token", "http://a:5000", &[]);
    }

    #[test]
    fn every_challenge_is_looked_at() {
        let foreign = r#"Bearer realm="https://evil.example/token",service="s""#;
        let own = r#"bearer realm="https://a/token",service="s""#;
        let trusted = token_from("https://a/token");
        assert_eq!(ask(&[foreign, own], "https://a", &[]).unwrap(), trusted);
        let one_line = format!(r#"Negotiate, Basic realm="x", {own}"#);
        assert_eq!(ask(&[&one_line], "https://a", &[]).unwrap(), trusted);
        assert_eq!(ask(&[foreign, r#"Basic realm="x""#], "https://a", &[]).unwrap(), Challenge::Basic);
        for nothing in [&[][..], &["Negotiate"], &["=?="]] {
            assert!(matches!(ask(nothing, "https://a", &[]), Err(FetchError::Unauthorized)));
        }
    }
}
