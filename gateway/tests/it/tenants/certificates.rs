//! Tenants that are told by the certificates that they show.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{Two, of};
use crate::stage::Gateway;

/// An authority of certificates for callers and for doors.
pub(crate) struct Issued {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A certificate and its key, in PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Issued {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate of this common name, and these alternative names.
    pub(crate) fn issue(&self, common: &str, alternative: &[&str]) -> Pair {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, common);
        for name in alternative {
            params.subject_alt_names.push(match (name.contains("://"), name.parse()) {
                (true, _) => SanType::URI((*name).try_into().unwrap()),
                (false, Ok(address)) => SanType::IpAddress(address),
                (false, Err(_)) => SanType::DnsName((*name).try_into().unwrap()),
            });
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }
}

/// Keys of `registry` with which the door shows a certificate of this authority, and asks for one of it.
pub(crate) fn keys(directory: &Path, authority: &Issued) -> String {
    let door = authority.issue("door", &["localhost", "127.0.0.1"]);
    for (file, text) in
        [("door.crt", &door.certificate), ("door.key", &door.key), ("callers.crt", &authority.pem)]
    {
        std::fs::write(directory.join(file), text).unwrap();
    }
    let directory = directory.display();
    format!(
        ", tls: {{certificate: {directory}/door.crt, key: {directory}/door.key}}, clientCa: {directory}/callers.crt"
    )
}

/// The status and the reason of an answer to whoever shows this; nothing where the handshake fails.
async fn ask(
    door: SocketAddr,
    host: &str,
    path: &str,
    authority: &Issued,
    shown: Option<&Pair>,
) -> Option<(u16, String)> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_root_certificates(roots);
    let tls = match shown {
        None => tls.with_no_client_auth(),
        Some(pair) => {
            let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()];
            tls.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap())
                .unwrap()
        }
    };
    let https =
        hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(https);
    let request = Request::get(format!("https://localhost:{}{path}", door.port())).header("host", host);
    let answer = client.request(request.body(Full::default()).unwrap()).await.ok()?;
    let reason = answer.headers().get("countersign-reason").map_or("", |reason| reason.to_str().unwrap());
    Some((answer.status().as_u16(), reason.to_owned()))
}

#[tokio::test]
async fn a_caller_is_the_tenant_that_its_certificate_names() {
    let two = Two::new().await;
    let digest = two.stage.signed(1, "acme/app", "v1").digest();
    let authority = Issued::new();
    let tenant = |name: &str, callers: &str| {
        let by_name = two.tenant(name, "");
        let host = format!("{{hostnames: [{name}.mirror.example]}}");
        assert!(by_name.contains(&host));
        by_name.replace(&host, callers)
    };
    let tenants = [
        tenant("a", "{certificates: [{commonName: node-a}, {uri: 'spiffe://a.example/node'}]}"),
        tenant(
            "b",
            "{certificates: [{dns: node.b.example}]}, {hostnames: [b.mirror.example], certificates: [{commonName: node-b}]}",
        ),
    ];
    let keys = two.keys(&tenants, &keys(two.stage.directory.path(), &authority));
    let gateway = Gateway::start(&two.stage.configuration(&keys)).await;
    let path = of("acme/app", &format!("manifests/{digest}"));
    let others = Issued::new();
    let common = |name: &str| authority.issue(name, &[]);
    for (is, host, shown) in [
        (Some((200, "satisfied")), "localhost", Some(common("node-a"))),
        (Some((200, "satisfied")), "localhost", Some(authority.issue("x", &["spiffe://a.example/node"]))),
        (Some((403, "wrong-identity")), "localhost", Some(authority.issue("x", &["node.b.example"]))),
        (Some((403, "wrong-identity")), "b.mirror.example", Some(common("node-b"))),
        (Some((403, "unproven-tenant")), "localhost", Some(common("node-b"))),
        (Some((403, "unproven-tenant")), "b.mirror.example", None),
        // The name of one and the certificate of the other; or both in one certificate.
        (Some((403, "contradicting-tenants")), "b.mirror.example", Some(common("node-a"))),
        (
            Some((403, "contradicting-tenants")),
            "localhost",
            Some(authority.issue("node-a", &["node.b.example"])),
        ),
        (Some((403, "unknown-tenant")), "localhost", Some(common("NODE-A"))),
        (Some((403, "unknown-tenant")), "localhost", Some(common("node-a "))),
        (
            Some((403, "unknown-tenant")),
            "localhost",
            Some(authority.issue("x", &["spiffe://a.example/node/x"])),
        ),
        (Some((403, "unknown-tenant")), "localhost", None),
        // Nobody whom the door believes vouches for it.
        (None, "localhost", Some(others.issue("node-a", &[]))),
    ] {
        let answer = ask(gateway.registry(), host, &path, &authority, shown.as_ref()).await;
        let answer = answer.as_ref().map(|(status, reason)| (*status, &**reason));
        assert_eq!(answer, is, "{host} {:?}", shown.map(|pair| pair.certificate));
    }
}
