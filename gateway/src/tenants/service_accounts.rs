//! Tokens of service accounts that are bound to a Pod: which namespace whoever shows one pulls for.
//!
//! A kubelet whose credential plugin asks for such tokens has the API server make one for the Pod that it pulls for, and
//! shows it as a password. What the API server signed is proof of the Pod's namespace; that the Pod is still there is not
//! asked, so such tokens should be short-lived, as those that kubelets ask for are.

use std::collections::HashMap;

use anyhow::{Context as _, bail};
use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use crate::config;

/// What the API server of one cluster signs tokens with, and whom those are for that are believed.
pub(super) struct ServiceAccounts {
    issuer: String,
    /// By what tokens call them: each token has one key at most that could have signed it.
    keys: HashMap<String, Key>,
}

/// What somebody shows who may be a Pod's kubelet.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Token {
    /// It is no token of this issuer, and so not for us to judge: a registry's, say.
    Foreign,
    /// Whoever shows it pulls for a Pod of this namespace.
    Bound(String),
    /// It is said to be of this issuer, and is not believed: why.
    Refused(String),
}

/// A key, and what a token has to be like that it signed.
struct Key {
    key: DecodingKey,
    wanted: Validation,
}

/// Whose a token says that it is.
#[derive(Deserialize)]
struct Claimed {
    iss: String,
}

/// What is read of a token.
#[derive(Deserialize)]
struct Claims {
    #[serde(rename = "kubernetes.io")]
    kubernetes: Bound,
}

/// What a token is bound to.
#[derive(Deserialize)]
struct Bound {
    namespace: String,
    /// One that is bound to no Pod says nothing of who pulls.
    #[expect(dead_code, reason = "that it is there is what counts")]
    pod: Pod,
}

#[derive(Deserialize)]
struct Pod {
    #[expect(dead_code, reason = "that it is there is what counts")]
    uid: String,
}

/// How large a file of keys may be, and how many keys may be in it.
const FILE: u64 = 256 * 1024;
const KEYS: usize = 32;

/// How long a token may be.
const TOKEN: usize = 16 * 1024;

/// By how much the clocks of the API server and of this machine may differ, in seconds.
const CLOCKS: u64 = 30;

impl ServiceAccounts {
    /// Reads the keys.
    ///
    /// # Errors
    /// The file cannot be read, or has a key in it that cannot be used, or none.
    pub(super) fn read(settings: &config::ServiceAccounts) -> anyhow::Result<Self> {
        let read = || {
            let set: JwkSet = serde_json::from_slice(&config::short_file(&settings.keys, FILE)?)?;
            if set.keys.is_empty() || set.keys.len() > KEYS {
                bail!("has {} keys, and there must be from 1 to {KEYS}", set.keys.len());
            }
            let mut keys = HashMap::with_capacity(set.keys.len());
            for key in &set.keys {
                let Some(id) = &key.common.key_id else { bail!("has a key without a kid") };
                let made = Key::new(key, settings).with_context(|| format!("the key {id:?}"))?;
                if keys.insert(id.clone(), made).is_some() {
                    bail!("has two keys {id:?}");
                }
            }
            Ok(keys)
        };
        let named = || format!("registry.serviceAccounts.keys: {}", settings.keys.display());
        Ok(Self { issuer: settings.issuer.clone(), keys: read().with_context(named)? })
    }

    /// What a text says that may be such a token. What is not signed by one of the keys says nothing but whether it wants to
    /// be taken for one.
    pub(super) fn judge(&self, text: &str) -> Token {
        match insecure_decode_claims::<Claimed>(text) {
            Ok(claimed) if claimed.iss == self.issuer => {}
            Ok(_) | Err(_) => return Token::Foreign,
        }
        match self.namespace(text) {
            Ok(namespace) => Token::Bound(namespace),
            Err(why) => Token::Refused(why),
        }
    }

    fn namespace(&self, token: &str) -> Result<String, String> {
        if token.len() > TOKEN {
            return Err(format!("it has more than {TOKEN} bytes"));
        }
        let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
        let id = header.kid.ok_or("it does not say which key signed it")?;
        let key = self.keys.get(&id).ok_or_else(|| format!("there is no key {id:?}"))?;
        let token = jsonwebtoken::decode::<Claims>(token, &key.key, &key.wanted);
        token.map(|token| token.claims.kubernetes.namespace).map_err(|error| error.to_string())
    }
}

impl Key {
    fn new(key: &Jwk, settings: &config::ServiceAccounts) -> anyhow::Result<Self> {
        if matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption)) {
            bail!("is for encryption");
        }
        let (algorithm, called) = algorithm(key)?;
        if key.common.key_algorithm.is_some_and(|said| said != called) {
            bail!("is for another algorithm than {algorithm:?}");
        }
        let mut wanted = Validation::new(algorithm);
        wanted.leeway = CLOCKS;
        wanted.validate_nbf = true;
        wanted.set_issuer(&[&settings.issuer]);
        wanted.set_audience(&[&settings.audience]);
        wanted.set_required_spec_claims(&["exp", "iss", "aud"]);
        Ok(Self { key: DecodingKey::from_jwk(key)?, wanted })
    }
}

/// What a key signs by: what API servers do, which is RS256 or ES256 and its like, and nothing that a token says.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library may come to know more, and none of it is used here"
)]
fn algorithm(key: &Jwk) -> anyhow::Result<(Algorithm, KeyAlgorithm)> {
    match &key.algorithm {
        AlgorithmParameters::RSA(_) => Ok((Algorithm::RS256, KeyAlgorithm::RS256)),
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => Ok((Algorithm::ES256, KeyAlgorithm::ES256)),
            EllipticCurve::P384 => Ok((Algorithm::ES384, KeyAlgorithm::ES384)),
            _ => bail!("is of a curve that is not used here"),
        },
        _ => bail!("is neither of RSA nor of an elliptic curve"),
    }
}

#[cfg(test)]
mod tests;
