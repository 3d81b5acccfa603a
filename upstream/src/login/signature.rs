//! Requests signed for AWS, by [version 4](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).

use std::fmt;

use aws_lc_rs::{digest, hmac};
use http::{HeaderName, HeaderValue, header};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::client::Ask;
use crate::origin::Origin;

/// Keys for a while. `Debug` shows none.
pub(super) struct Keys {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) session: String,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Signs a request as it is, and nothing may be changed of it after; its path is that of a root, and it has no query.
/// Nothing, if that cannot be said in headers.
pub(super) fn sign(ask: &mut Ask, keys: &Keys, region: &str, service: &str, now: Timestamp) -> Option<()> {
    let now = now.to_zoned(TimeZone::UTC);
    let (date, time) = (now.strftime("%Y%m%d").to_string(), now.strftime("%Y%m%dT%H%M%SZ").to_string());
    let host = host(ask)?;
    let mut sensitive = HeaderValue::try_from(&keys.session).ok()?;
    sensitive.set_sensitive(true);
    ask.set(HeaderName::from_static("x-amz-security-token"), sensitive);
    ask.set(HeaderName::from_static("x-amz-date"), HeaderValue::try_from(&time).ok()?);

    let mut signed = vec![("host".to_owned(), host)];
    for (name, value) in ask.headers() {
        if *name == header::CONTENT_TYPE || name.as_str().starts_with("x-amz-") {
            signed.push((name.as_str().to_owned(), value.to_str().ok()?.trim().to_owned()));
        }
    }
    signed.sort();
    let names = signed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
    let headers: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let (path, payload) = (ask.uri.path(), hash(ask.body()));
    let canonical = format!("{}\n{path}\n\n{headers}\n{names}\n{payload}", ask.method);

    let scope = format!("{date}/{region}/{service}/aws4_request");
    let text = format!("{ALGORITHM}\n{time}\n{scope}\n{}", hash(canonical.as_bytes()));
    let mut key = format!("AWS4{}", keys.secret).into_bytes();
    for part in [date.as_str(), region, service, "aws4_request"] {
        key = mac(&key, part);
    }
    let signature = hex(&mac(&key, &text));
    let value =
        format!("{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}", keys.id);
    let mut value = HeaderValue::try_from(value).ok()?;
    value.set_sensitive(true);
    ask.set(header::AUTHORIZATION, value);
    Some(())
}

/// The host as the request will have it: with its port, unless that goes without saying.
fn host(ask: &Ask) -> Option<String> {
    let origin = Origin::of(&ask.uri)?.to_string();
    origin.split_once("://").map(|(_, host)| host.to_owned())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hash(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key that AWS derives in its own documentation, of a secret, a day, a region and a service.
    #[test]
    fn the_signing_key_is_the_documented_one() {
        let mut key = b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_vec();
        for part in ["20150830", "us-east-1", "iam", "aws4_request"] {
            key = mac(&key, part);
        }
        assert_eq!(hex(&key), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    }

    #[test]
    fn what_is_sent_is_what_was_signed() {
        let uri = http::Uri::from_static("https://api.ecr.us-east-1.amazonaws.com/");
        let mut ask = Ask::json(uri, "{}".to_owned());
        let keys = Keys { id: "AKID".to_owned(), secret: "secret".to_owned(), session: "session".to_owned() };
        let now = Timestamp::from_second(1_440_938_160).unwrap();
        sign(&mut ask, &keys, "us-east-1", "ecr", now).unwrap();
        let header = |name: &str| ask.headers().get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(header("x-amz-date"), "20150830T123600Z");
        let authorization = header("authorization");
        let expected = "AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/ecr/aws4_request, \
                        SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=";
        assert!(authorization.starts_with(expected), "{authorization}");
        assert_eq!(format!("{keys:?}"), "Keys(…)");
    }
}
