//! Who is at the other end of a connection, as far as the connection itself shows.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::ServerConnection;
use rustls_pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::asn1::{Ia5StringRef, PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::db::rfc4519::COMMON_NAME;
use x509_cert::der::{Any, Decode as _, Tag, Tagged as _};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::config::Certificate as Named;
use crate::hostname::Hostname;

/// Whoever is at the other end. What headers say of it is not believed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    /// Where it calls from.
    pub(crate) address: Option<IpAddr>,
    /// The name that it asked for as the handshake began.
    pub(crate) called: Option<Hostname>,
    /// What the certificate proves that it showed, which an authority of ours vouches for.
    pub(crate) names: Arc<[Named]>,
}

impl Peer {
    /// What a handshake showed that is over.
    pub(crate) fn shaken(address: Option<IpAddr>, connection: &ServerConnection) -> Self {
        let leaf = connection.peer_certificates().and_then(<[CertificateDer<'_>]>::first);
        Self {
            address,
            called: connection.server_name().and_then(|name| name.parse().ok()),
            names: leaf.map(names).unwrap_or_default().into(),
        }
    }
}

/// What a certificate proves. One that does not parse proves nothing.
fn names(certificate: &CertificateDer<'_>) -> Vec<Named> {
    let Ok(certificate) = Certificate::from_der(certificate) else { return Vec::new() };
    let certificate = certificate.tbs_certificate;
    let subject = certificate.subject.0.iter().flat_map(|set| set.0.iter());
    let common: Vec<_> = subject
        .filter(|attribute| attribute.oid == COMMON_NAME)
        .map(|attribute| text(&attribute.value))
        .collect();
    // Of two nobody can tell which one is meant.
    let common = match &common[..] {
        [Some(name)] => Some(Named::CommonName(name.clone())),
        _ => None,
    };
    let alternative = certificate.get::<SubjectAltName>().ok().flatten().map(|(_, names)| names.0);
    let alternative = alternative.unwrap_or_default().into_iter().filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(Named::Dns(printable(name.as_str())?.to_ascii_lowercase())),
        GeneralName::UniformResourceIdentifier(uri) => Some(Named::Uri(printable(uri.as_str())?)),
        GeneralName::OtherName(_)
        | GeneralName::Rfc822Name(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EdiPartyName(_)
        | GeneralName::IpAddress(_)
        | GeneralName::RegisteredId(_) => None,
    });
    common.into_iter().chain(alternative).collect()
}

fn text(value: &Any) -> Option<String> {
    let tag = value.tag();
    if tag == Tag::Utf8String {
        return printable(value.decode_as::<Utf8StringRef<'_>>().ok()?.as_str());
    }
    if tag == Tag::PrintableString {
        return printable(value.decode_as::<PrintableStringRef<'_>>().ok()?.as_str());
    }
    if tag == Tag::Ia5String {
        return printable(value.decode_as::<Ia5StringRef<'_>>().ok()?.as_str());
    }
    None
}

/// A name of printable ASCII, which alone a configuration can have: nothing that only looks like another, or is cut off by
/// a NUL.
fn printable(name: &str) -> Option<String> {
    let is = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    is.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn named(common: &[&str], dns: &[&str], uris: &[&str]) -> Vec<Named> {
        let mut params =
            CertificateParams::new(dns.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for name in common {
            params.distinguished_name.push(DnType::CommonName, *name);
        }
        for uri in uris {
            params.subject_alt_names.push(SanType::URI((*uri).try_into().unwrap()));
        }
        names(params.self_signed(&KeyPair::generate().unwrap()).unwrap().der())
    }

    #[test]
    fn a_certificate_proves_the_names_that_are_in_it() {
        let all = named(&["node-a"], &["Node.a.example"], &["spiffe://a.example/node"]);
        let (common, dns) = (Named::CommonName("node-a".into()), Named::Dns("node.a.example".into()));
        assert_eq!(all, [common, dns, Named::Uri("spiffe://a.example/node".into())]);
        assert_eq!(named(&[], &[], &[]), []);
    }

    #[test]
    fn a_name_that_only_looks_like_another_is_none() {
        for name in ["node-\u{430}", "node-a\0.evil", "node\u{200b}a", "node\n"] {
            assert_eq!(named(&[name], &[], &[]), [], "{name:?}");
        }
        assert_eq!(names(&CertificateDer::from(vec![0x30, 0x00])), []);
    }
}
