//! `sigstoreKeys`: authorities and logs by their keys. Every item is checked, and everything wrong with any is reported.

use const_oid::db::rfc5280::ID_CE_BASIC_CONSTRAINTS;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::BasicConstraints;

use super::{AuthorityKeys, LogKey, SigstoreKeys, bytes};
use crate::object::{Object, Report};

/// How many authorities or logs of a kind there may be, and how many certificates in a chain.
const ITEM_LIMIT: usize = 64;
const CHAIN_LIMIT: usize = 16;

const AUTHORITY_FIELDS: [&str; 3] = ["subject", "uri", "certChain"];

pub(super) fn read(keys: &Object<'_>, report: &mut Report) -> Option<SigstoreKeys> {
    keys.only(&["certificateAuthorities", "tLogs", "ctLogs", "timestampAuthorities"], report);
    if !keys.has("certificateAuthorities") && !keys.has("timestampAuthorities") {
        // Policy-controller spells the one like this, here and below.
        report.errors.neither(["certificateAuthority", "timestampAuthorities"].map(|key| keys.at(key)));
    }
    let authorities = keys.objects("certificateAuthorities", ITEM_LIMIT, report);
    let authorities = authorities.into_iter().enumerate().map(|(index, authority)| {
        let path = format!("{}[{index}]", keys.at("certificateAuthority"));
        self::authority(&authority.known_as(path), report)
    });
    let certificate_authorities = authorities.collect::<Vec<_>>();
    let stampers = keys.objects("timestampAuthorities", ITEM_LIMIT, report);
    let timestamp_authorities =
        stampers.iter().map(|authority| stamper(authority, report)).collect::<Vec<_>>();
    let mut logs = |key: &str| {
        let logs = keys.objects(key, ITEM_LIMIT, report);
        logs.iter().map(|item| log(item, report)).collect::<Option<Vec<_>>>()
    };
    let (transparency_logs, certificate_logs) = (logs("tLogs"), logs("ctLogs"));
    Some(SigstoreKeys {
        certificate_authorities: certificate_authorities.into_iter().collect::<Option<_>>()?,
        transparency_logs: transparency_logs?,
        certificate_logs: certificate_logs?,
        timestamp_authorities: timestamp_authorities.into_iter().collect::<Option<_>>()?,
    })
}

fn authority(authority: &Object<'_>, report: &mut Report) -> Option<AuthorityKeys> {
    let (organization, common_name, uri) = names(authority, report);
    let chain = bytes(authority, "certChain", report)?;
    let Some(chain) = certificates(&chain) else {
        report.errors.invalid("error splitting the certificates", authority.at("certChain"), "");
        return None;
    };
    Some(AuthorityKeys { organization, common_name, uri, chain })
}

/// A timestamp authority: at most one certificate of its own, which comes first.
fn stamper(stamper: &Object<'_>, report: &mut Report) -> Option<AuthorityKeys> {
    let mut read = authority(stamper, report)?;
    let own = |der: &Vec<u8>| !issues(der);
    if read.chain.iter().filter(|der| own(der)).count() > 1 {
        let why = "certificate chain must contain at most one TSA certificate";
        report.errors.invalid(why, stamper.at("certChain"), "");
        return None;
    }
    read.chain.sort_by_key(|der| !own(der));
    Some(read)
}

fn names(authority: &Object<'_>, report: &mut Report) -> (String, String, String) {
    authority.only(&AUTHORITY_FIELDS, report);
    let subject = authority.object("subject", report);
    let mut named = |key: &str| match &subject {
        Some(subject) => {
            subject.require(&[key], report);
            subject.text(key, report).unwrap_or_default().to_owned()
        }
        None => {
            report.errors.missing(format!("{}.{key}", authority.at("subject")));
            String::new()
        }
    };
    let (organization, common_name) = (named("organization"), named("commonName"));
    if let Some(subject) = &subject {
        subject.only(&["organization", "commonName"], report);
    }
    authority.require(&["uri"], report);
    if !authority.has("certChain") {
        report.errors.missing(authority.at("certchain"));
    }
    (organization, common_name, authority.text("uri", report).unwrap_or_default().to_owned())
}

fn log(log: &Object<'_>, report: &mut Report) -> Option<LogKey> {
    log.only(&["baseURL", "hashAlgorithm", "publicKey"], report);
    log.require(&["baseURL", "hashAlgorithm", "publicKey"], report);
    let hash_algorithm = log.text("hashAlgorithm", report).and_then(|text| {
        let known = match text {
            "sha-256" | "sha256" => Some("SHA2_256"),
            "sha-384" | "sha384" => Some("SHA2_384"),
            "sha-512" | "sha512" => Some("SHA2_512"),
            _ => None,
        };
        if known.is_none() {
            report.errors.invalid(
                text,
                log.at("hashAlgorithm"),
                "only sha-256, sha-384 and sha-512 are known",
            );
        }
        known
    });
    let pem = bytes(log, "publicKey", report)?;
    let key = pem::parse(&pem).ok().filter(|block| block.tag() == "PUBLIC KEY");
    if key.is_none() {
        report.errors.invalid("not a public key in PEM", log.at("publicKey"), "");
    }
    let base_url = log.text("baseURL", report)?.to_owned();
    Some(LogKey { base_url, hash_algorithm: hash_algorithm?, key: key?.into_contents() })
}

/// The certificates of a PEM text in DER. One that is none makes them all none.
fn certificates(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let blocks = pem::parse_many(text).ok()?;
    let whole = blocks
        .iter()
        .all(|block| block.tag() == "CERTIFICATE" && Certificate::from_der(block.contents()).is_ok());
    let some = (1..=CHAIN_LIMIT).contains(&blocks.len());
    (whole && some).then(|| blocks.into_iter().map(pem::Pem::into_contents).collect())
}

/// Whether a certificate is one that may issue others.
fn issues(der: &[u8]) -> bool {
    let Ok(certificate) = Certificate::from_der(der) else { return false };
    let extensions = certificate.tbs_certificate.extensions.unwrap_or_default();
    extensions.iter().filter(|extension| extension.extn_id == ID_CE_BASIC_CONSTRAINTS).any(|extension| {
        BasicConstraints::from_der(extension.extn_value.as_bytes()).is_ok_and(|basic| basic.ca)
    })
}
