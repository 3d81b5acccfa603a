//! Amazon Elastic Container Registry.
//!
//! The token that Kubernetes mounts is exchanged for keys of a role
//! ([AssumeRoleWithWebIdentity](https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html)), and these sign
//! the question for a password
//! ([GetAuthorizationToken](https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html)).

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use serde::Deserialize;

use super::exchange::{Exchange, parse, uri};
use super::signature::{Keys, sign};
use super::{Lent, LoginError, blocking, file};
use crate::client::Ask;
use crate::credentials::Credentials;
use crate::fetch::Url;

/// How we log in to Amazon's registries.
#[derive(Clone, Debug)]
pub struct Ecr {
    /// The region of the registry.
    pub region: String,
    /// The role that we take on.
    pub role: String,
    /// The file of the token that lets us.
    pub token: PathBuf,
    /// Where roles are taken on: `https://sts.<region>.amazonaws.com`, unless it is elsewhere.
    pub sts: Url,
    /// Where passwords are to be had: `https://api.ecr.<region>.amazonaws.com`, unless it is elsewhere.
    pub api: Url,
}

const STS: &str = "AWS Security Token Service";
const ECR: &str = "Amazon ECR";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Passwords {
    authorization_data: Vec<Password>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Password {
    authorization_token: String,
    /// Seconds since 1970, with a fraction.
    expires_at: f64,
}

impl Ecr {
    /// Whether the token's file is there.
    pub(super) fn check(&self) -> Result<(), LoginError> {
        file::one_line(&self.token).map(drop)
    }

    pub(super) async fn lend(&self, exchange: &Exchange) -> Result<Lent, LoginError> {
        let path = self.token.clone();
        let keys = self.keys(exchange, &blocking(move || file::one_line(&path)).await?).await?;
        let mut ask = Ask::json(uri(&self.api), "{}".to_owned());
        for (name, value) in [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"),
        ] {
            ask.set(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        sign(&mut ask, &keys, &self.region, "ecr", Timestamp::now())
            .ok_or_else(|| service(ECR, "cannot be asked with the keys that were given"))?;
        password(&exchange.ask(ECR, &ask).await?, Timestamp::now())
    }

    async fn keys(&self, exchange: &Exchange, token: &str) -> Result<Keys, LoginError> {
        let fields = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", self.role.as_str()),
            ("RoleSessionName", "countersign"),
            ("WebIdentityToken", token),
        ];
        let answer = exchange.ask(STS, &Ask::form(uri(&self.sts), &fields)).await?;
        keys(&answer).ok_or_else(|| service(STS, "gave an answer without keys"))
    }
}

fn service(service: &'static str, reason: &str) -> LoginError {
    LoginError::Service { service, reason: reason.to_owned() }
}

/// The keys in an answer, which is XML. They are letters, digits and `+/=`, so that they stand there as they are.
fn keys(answer: &[u8]) -> Option<Keys> {
    let text = std::str::from_utf8(answer).ok()?;
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        let (value, _) = rest.split_once(&format!("</{name}>"))?;
        let known =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_');
        let value = value.trim();
        (!value.is_empty() && value.bytes().all(known)).then(|| value.to_owned())
    };
    Some(Keys {
        id: element("AccessKeyId")?,
        secret: element("SecretAccessKey")?,
        session: element("SessionToken")?,
    })
}

/// The password in an answer, which is `AWS:password` in base64.
fn password(answer: &[u8], now: Timestamp) -> Result<Lent, LoginError> {
    let no_sense = || service(ECR, "gave an answer that makes no sense");
    let given: Passwords = parse(ECR, answer)?;
    let given = given.authorization_data.into_iter().next().ok_or_else(no_sense)?;
    let pair = STANDARD.decode(&given.authorization_token).ok().and_then(|pair| String::from_utf8(pair).ok());
    let (username, password) = pair.as_deref().and_then(|pair| pair.split_once(':')).ok_or_else(no_sense)?;
    let left = given.expires_at - now.as_second() as f64;
    // More than a day is nothing that they say.
    let lifetime = Duration::from_secs_f64(left.clamp(0.0, 86_400.0));
    Ok(Lent::for_a_while(Credentials::new(username, password), lifetime))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_an_answer_of_sts() {
        let answer = include_str!("../../tests/data/assume-role-with-web-identity.xml");
        let keys = keys(answer.as_bytes()).unwrap();
        assert_eq!(keys.id, "ASgeIAIOSFODNN7EXAMPLE");
        assert_eq!(keys.secret, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY");
        assert!(keys.session.starts_with("AQoDYXdzEE0a8ANXXXXXXXXNO1ewxE5TijQyp"));
        for nothing in ["", "<AccessKeyId>a</AccessKeyId>", "<AccessKeyId><SecretAccessKey>"] {
            assert!(super::keys(nothing.as_bytes()).is_none());
        }
    }

    #[test]
    fn a_password_is_used_until_shortly_before_it_ends() {
        let answer = r#"{"authorizationData":[{"authorizationToken":"QVdTOnNlY3JldA==","expiresAt":1.700043200123E9,
            "proxyEndpoint":"https://012345678910.dkr.ecr.us-east-1.amazonaws.com"}]}"#;
        let lent = password(answer.as_bytes(), Timestamp::from_second(1_700_000_000).unwrap()).unwrap();
        assert_eq!(lent.credentials, Credentials::new("AWS", "secret"));
        assert_eq!((lent.fresh.unwrap().as_secs(), lent.valid.unwrap().as_secs()), (43_200 - 300, 43_200));
        assert!(password(br#"{"authorizationData":[]}"#, Timestamp::UNIX_EPOCH).is_err());
    }
}
