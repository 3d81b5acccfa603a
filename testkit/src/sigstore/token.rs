//! Identity tokens ([JWT](https://www.rfc-editor.org/rfc/rfc7519)) that nobody vouches for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::{Deserialize, Serialize};

use super::answer::Refusal;
use crate::authority::{Identity, San};

const GITHUB: &str = "https://github.com/";
const WORKFLOWS: &str = "/.github/workflows/";

/// Whose token it is.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Holder {
    /// Whom a certificate is to name.
    pub(super) identity: Identity,
    /// What the holder signs to prove that they have the key.
    pub(super) proves_with: String,
}

/// The claims that matter here.
#[derive(Deserialize, Serialize)]
struct Claims {
    #[serde(rename = "iss")]
    issuer: String,
    #[serde(rename = "sub")]
    subject: String,
    #[serde(rename = "aud")]
    audience: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(default)]
    email_verified: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job_workflow_ref: Option<String>,
}

/// A token of this identity, which says that it is signed with RS256 and is not. Clients that ask a
/// [`Sigstore`](super::Sigstore) for a certificate hand it in.
///
/// Of a workflow on GitHub it says which one it is, of anybody else what they are called: further claims of the
/// identity are left out, and a host name or a user name becomes a URI.
pub fn token(identity: &Identity) -> String {
    let name = identity.subject.as_str();
    let email = match &identity.subject {
        San::Email(address) => Some(address.clone()),
        San::Uri(_) | San::Dns(_) | San::OtherName(_) => None,
    };
    let workflow = name.strip_prefix(GITHUB).filter(|path| path.contains(WORKFLOWS));
    let claims = Claims {
        issuer: identity.issuer.clone(),
        subject: name.to_owned(),
        audience: "sigstore".to_owned(),
        email_verified: email.is_some(),
        email,
        job_workflow_ref: workflow.map(str::to_owned),
    };
    let claims = serde_json::to_vec(&claims).unwrap_or_default();
    [&br#"{"alg":"RS256"}"#[..], &claims, b"unsigned"].map(|part| BASE64URL.encode(part)).join(".")
}

/// Reads a token as the public Sigstore does, and believes it.
pub(super) fn holder(token: &str) -> Result<Holder, Refusal> {
    let claims = token.split('.').nth(1).and_then(|part| BASE64URL.decode(part).ok());
    let claims: Claims = claims
        .and_then(|claims| serde_json::from_slice(&claims).ok())
        .filter(|claims: &Claims| claims.audience == "sigstore" && !claims.subject.is_empty())
        .ok_or(Refusal::Unknown("not an identity token for sigstore"))?;
    let names = [&claims.subject, claims.email.as_ref().unwrap_or(&claims.subject)];
    if names.iter().any(|name| !name.is_ascii()) {
        return Err(Refusal::Bad("a name that is not ASCII"));
    }
    Ok(match claims {
        Claims { email: Some(address), email_verified, issuer, .. } => {
            if !email_verified {
                return Err(Refusal::Unknown("the e-mail address is not verified"));
            }
            Holder { identity: Identity::email(&issuer, &address), proves_with: address }
        }
        Claims { job_workflow_ref: Some(path), issuer, subject, .. } => {
            let (repository, workflow) = path
                .split_once(WORKFLOWS)
                .filter(|_| path.is_ascii())
                .ok_or(Refusal::Bad("not the reference of a workflow"))?;
            let identity = Identity { issuer, ..Identity::github_workflow(repository, workflow) };
            Holder { identity, proves_with: subject }
        }
        Claims { issuer, subject, .. } => {
            Holder { identity: Identity::new(&issuer, San::Uri(subject.clone())), proves_with: subject }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_whose_it_is() {
        for identity in [
            Identity::github_workflow("acme/app", "release.yaml@refs/heads/main"),
            Identity::email("https://accounts.example", "dev@example.com"),
            Identity::new("https://spire.example", San::Uri("spiffe://example/ns/ci".to_owned())),
        ] {
            let holder = holder(&token(&identity)).unwrap();
            assert_eq!(holder.proves_with, identity.subject.as_str());
            assert_eq!(holder.identity, identity);
        }
    }

    #[test]
    fn nobody_is_known_by_what_is_no_token_for_sigstore() {
        let of = |claims: &str| format!("e30.{}.c2ln", BASE64URL.encode(claims));
        for token in [
            String::new(),
            "a.b.c".to_owned(),
            of("{}"),
            of(r#"{"iss":"i","sub":"s","aud":"another"}"#),
            of(r#"{"iss":"i","sub":"","aud":"sigstore"}"#),
            of(r#"{"iss":"i","sub":"s","aud":"sigstore","email":"a@b"}"#),
        ] {
            assert!(matches!(holder(&token), Err(Refusal::Unknown(_))), "{token}");
        }
        let odd = of(r#"{"iss":"i","sub":"é","aud":"sigstore"}"#);
        assert!(matches!(holder(&odd), Err(Refusal::Bad(_))));
    }
}
