//! The certificate of the admission door that all replicas show: in a Secret, so that an API server that reaches any of them
//! finds the same.
//!
//! An authority is made for each certificate, and its key forgotten at once. A new certificate is shown only after its
//! authority has been where API servers look, beside the one before it.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::Client;
use kube::api::{Api, DynamicObject};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

use super::kind::Kind;
use super::watch::said;
use crate::tls::{Shown, authority_params};

/// What the Secret is called.
pub(super) const SECRET: &str = "countersign-webhook";

/// How long a certificate holds.
const HOLDS: Duration = Duration::from_secs(90 * 24 * 3600);

/// How long before its end the next one is made.
const AHEAD: Duration = Duration::from_secs(30 * 24 * 3600);

const DAY: i64 = 24 * 3600;

/// How often it is looked for another one.
const LOOK: Duration = Duration::from_secs(5);

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);

const ENDS: &str = "policy.countersign.dev/ends";
const NAMES: &str = "policy.countersign.dev/names";

/// A certificate, its authority and its key, in PEM.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Pair {
    authority: String,
    certificate: String,
    key: String,
    names: BTreeSet<String>,
    /// In seconds since 1970.
    ends: i64,
}

/// What the Secret holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Kept {
    /// What API servers are to trust: the authorities of the one that is shown and of the one that will be, or was.
    pub(super) authorities: String,
    shown: Pair,
    next: Option<Pair>,
}

impl Kept {
    /// A first one.
    pub(super) fn first(names: &BTreeSet<String>, now: i64) -> Result<Self, rcgen::Error> {
        let shown = Pair::mint(names, now)?;
        Ok(Self { authorities: shown.authority.clone(), shown, next: None })
    }

    /// Whether another one is needed: it ends soon, or there are more names than it is for.
    pub(super) fn is_due(&self, names: &BTreeSet<String>, now: i64) -> bool {
        self.next.is_none() && (self.shown.ends - now < seconds(AHEAD) || !names.is_subset(&self.shown.names))
    }

    /// The same with the next one made, and its authority among those to trust.
    pub(super) fn prepared(&self, names: &BTreeSet<String>, now: i64) -> Result<Self, rcgen::Error> {
        let next = Pair::mint(names, now)?;
        let authorities = format!("{}{}", self.shown.authority, next.authority);
        Ok(Self { authorities, shown: self.shown.clone(), next: Some(next) })
    }

    /// The same with the next one shown. The authority before it goes with the certificate after it: some replicas show the
    /// old one for a while.
    pub(super) fn promoted(&self) -> Option<Self> {
        let next = self.next.clone()?;
        Some(Self { authorities: self.authorities.clone(), shown: next, next: None })
    }

    pub(super) fn read(secret: &DynamicObject) -> Option<Self> {
        let field = |key: &str| {
            let text = secret.data.get("data")?.get(key)?.as_str()?;
            String::from_utf8(STANDARD.decode(text).ok()?).ok()
        };
        let annotation = |key: &str| secret.metadata.annotations.as_ref()?.get(key);
        let names = annotation(NAMES)?.split(',').map(str::to_owned).collect();
        let shown = Pair {
            authority: field("authority.crt")?,
            certificate: field("tls.crt")?,
            key: field("tls.key")?,
            names,
            ends: annotation(ENDS)?.parse().ok()?,
        };
        let next = field("next").and_then(|text| Pair::parse(&text));
        Some(Self { authorities: field("ca.crt")?, shown, next })
    }

    /// Puts it into a Secret.
    pub(super) fn write(&self, secret: &mut DynamicObject) {
        let encode = |text: &str| STANDARD.encode(text);
        let mut data = json!({
            "ca.crt": encode(&self.authorities), "authority.crt": encode(&self.shown.authority),
            "tls.crt": encode(&self.shown.certificate), "tls.key": encode(&self.shown.key),
        });
        if let Some(next) = &self.next {
            data["next"] = json!(encode(&next.render().to_string()));
        }
        secret.data = json!({"type": "kubernetes.io/tls", "data": data});
        let annotations = secret.metadata.annotations.get_or_insert_default();
        annotations.insert(ENDS.to_owned(), self.shown.ends.to_string());
        let names: Vec<&str> = self.shown.names.iter().map(String::as_str).collect();
        annotations.insert(NAMES.to_owned(), names.join(","));
    }
}

impl Pair {
    fn mint(names: &BTreeSet<String>, now: i64) -> Result<Self, rcgen::Error> {
        let ends = now + seconds(HOLDS);
        let key = KeyPair::generate()?;
        let mut params = authority_params()?;
        validity(&mut params, now, ends);
        params.distinguished_name.push(DnType::OrganizationalUnitName, now.to_string());
        let authority = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>())?;
        validity(&mut params, now, ends);
        params.distinguished_name.push(DnType::CommonName, "countersign");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &issuer)?.pem();
        Ok(Self { authority, certificate, key: key.serialize_pem(), names: names.clone(), ends })
    }

    fn render(&self) -> Value {
        json!({
            "authority": self.authority, "certificate": self.certificate, "key": self.key, "names": self.names,
            "ends": self.ends,
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let pair: Value = serde_json::from_str(text).ok()?;
        let field = |key: &str| pair[key].as_str().map(str::to_owned);
        let names = pair["names"].as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        Some(Self {
            authority: field("authority")?,
            certificate: field("certificate")?,
            key: field("key")?,
            names,
            ends: pair["ends"].as_i64()?,
        })
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// From when on and until when something made now holds, to the day: clocks may be apart.
fn validity(params: &mut CertificateParams, now: i64, ends: i64) {
    let day = |seconds: i64| {
        let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
        let date = jiff::tz::Offset::UTC.to_datetime(time);
        rcgen::date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    params.not_before = day(now - DAY);
    params.not_after = day(ends + DAY);
}

pub(super) fn secrets(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Kind::Secret.everywhere(client, namespace)
}

/// Shows what is in the Secret, for ever; nothing where there is no door to show it at.
pub(super) async fn show(client: &Client, namespace: &str, shown: Option<&Shown>) {
    let Some(shown) = shown else { return std::future::pending().await };
    let api = secrets(client, namespace);
    let (mut before, mut complaint) = (None, None);
    loop {
        let read = tokio::time::timeout(ANSWER, api.get_opt(SECRET)).await;
        let kept = match read {
            Ok(Ok(Some(secret))) => Kept::read(&secret).ok_or_else(|| "is none of ours".to_owned()).map(Some),
            // Nobody leads yet, or nobody asked for it.
            Ok(Ok(None)) => Ok(None),
            Ok(Err(error)) => Err(said(error)),
            Err(_) => Err("no answer came in time".to_owned()),
        };
        let done = kept.and_then(|kept| match kept {
            Some(kept) if before.as_ref() != Some(&kept.shown) => {
                replace(shown, &kept.shown)?;
                tracing::info!("the certificate that the replicas share is shown");
                before = Some(kept.shown);
                Ok(())
            }
            _ => Ok(()),
        });
        if let Err(why) = &done
            && complaint.as_ref() != Some(why)
        {
            tracing::warn!(secret = SECRET, why, "the certificate that replicas share cannot be read");
        }
        complaint = done.err();
        tokio::time::sleep(LOOK).await;
    }
}

fn replace(shown: &Shown, pair: &Pair) -> Result<(), String> {
    let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).map_err(|error| error.to_string())?;
    shown.replace(chain, key).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_secret_gives_back_what_was_put_into_it() {
        let now = 1_800_000_000;
        let kept = Kept::first(&names(&["a.b.svc", "127.0.0.1"]), now).unwrap();
        let next = kept.prepared(&names(&["a.b.svc"]), now).unwrap();
        for kept in [kept, next] {
            let mut secret = DynamicObject::new(SECRET, &Kind::Secret.resource());
            kept.write(&mut secret);
            assert_eq!(Kept::read(&secret), Some(kept));
        }
        assert_eq!(Kept::read(&DynamicObject::new(SECRET, &Kind::Secret.resource())), None);
    }

    #[test]
    fn the_next_one_is_trusted_before_it_is_shown_and_the_last_one_while_it_may_be() {
        let now = 1_800_000_000;
        let kept = Kept::first(&names(&["a"]), now).unwrap();
        assert!(!kept.is_due(&names(&["a"]), now) && kept.promoted().is_none());
        assert!(kept.is_due(&names(&["a", "b"]), now));
        let later = kept.shown.ends - 24 * 3600;
        assert!(kept.is_due(&names(&["a"]), later));
        let prepared = kept.prepared(&names(&["a"]), later).unwrap();
        assert_eq!(prepared.shown, kept.shown);
        assert!(!prepared.is_due(&names(&["a"]), later));
        let promoted = prepared.promoted().unwrap();
        assert_ne!(promoted.shown, kept.shown);
        for kept in [&prepared, &promoted] {
            assert!(kept.authorities.contains(&prepared.shown.authority), "{kept:?}");
            assert!(kept.authorities.contains(&promoted.shown.authority), "{kept:?}");
        }
        // The authority before the last is trusted no more.
        let again = promoted.prepared(&names(&["a"]), later).unwrap();
        assert!(!again.authorities.contains(&kept.shown.authority));
    }
}
