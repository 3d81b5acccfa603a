//! Registries over TLS.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use oci::Digest;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use testkit::registry::{Fault, Registry, Seen};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use upstream::{FetchError, Identity, Outage, Settings, Upstream};

use crate::{repository, settings};

/// TLS in front of a registry, at a port of its own, with a certificate that nobody knows.
struct Front {
    url: String,
    certificate: CertificateDer<'static>,
    /// How many clients showed a certificate, and how many did not.
    shown: Arc<[AtomicUsize; 2]>,
}

impl Front {
    fn shown(&self) -> [usize; 2] {
        [0, 1].map(|index| self.shown[index].load(Ordering::SeqCst))
    }
}

async fn front(registry: &Registry, protocols: &[&str]) -> Front {
    front_asking_for(registry, protocols, None).await
}

/// The same, which asks its clients for this certificate, and lets them in without.
async fn front_asking_for(
    registry: &Registry,
    protocols: &[&str],
    client: Option<&CertificateDer<'static>>,
) -> Front {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = client.map(|certificate| {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .allow_unauthenticated()
            .build()
            .unwrap()
    });
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.unwrap_or_else(WebPkiClientVerifier::no_client_auth))
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let (acceptor, behind) = (TlsAcceptor::from(Arc::new(config)), registry.address());
    let shown: Arc<[AtomicUsize; 2]> = Arc::default();
    let counts = shown.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, counts) = (acceptor.clone(), counts.clone());
            tokio::spawn(async move {
                let mut client = acceptor.accept(stream).await?;
                let nothing = client.get_ref().1.peer_certificates().is_none();
                counts[usize::from(nothing)].fetch_add(1, Ordering::SeqCst);
                let mut server = TcpStream::connect(behind).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    Front { url, certificate, shown }
}

fn trusting(front: &Front, more: &[&Front]) -> Settings {
    let certificates = [front].into_iter().chain(more.iter().copied());
    Settings {
        ca: Some(certificates.map(|front| front.certificate.clone()).collect()),
        ..settings(&front.url)
    }
}

async fn small(settings: Settings, digest: &Digest) -> Result<(), FetchError> {
    let upstream = Upstream::new(settings).unwrap();
    upstream.small_blob(&repository(), digest, 100).await.map(drop)
}

#[tokio::test]
async fn a_configured_authority_is_believed_and_another_is_not() {
    let registry = Registry::start().await;
    let digest = registry.put_blob("acme/app", "content");
    for protocols in [&["http/1.1"][..], &["h2"], &["h2", "http/1.1"], &[]] {
        let front = front(&registry, protocols).await;
        let outcome = small(trusting(&front, &[]), &digest).await;
        assert!(outcome.is_ok(), "{protocols:?}: {outcome:?}");
    }

    registry.clear_requests();
    let front = front(&registry, &[]).await;
    let outcome = small(settings(&front.url), &digest).await;
    assert!(
        matches!(&outcome, Err(FetchError::Unavailable(outage)) if matches!(**outage, Outage::Connect(_))),
        "{outcome:?}"
    );
    assert!(registry.requests().is_empty());
}

#[tokio::test]
async fn a_redirect_out_of_tls_is_refused() {
    let storage = Registry::start().await;
    let digest = storage.put_blob("acme/app", "content");
    let registry = Registry::start().await;
    let path = format!("/v2/acme/app/blobs/{digest}");
    let front_of_storage = front(&storage, &["http/1.1"]).await;
    let front = front(&registry, &["http/1.1"]).await;

    let to = |url: &str| Fault::StatusWith(307, vec![("location", format!("{url}{path}"))]);
    registry.fault_times(1, Seen::is_blob, to(&storage.url()));
    let outcome = small(trusting(&front, &[&front_of_storage]), &digest).await;
    assert!(matches!(outcome, Err(FetchError::Refused(_))), "{outcome:?}");
    assert!(storage.requests().is_empty());

    // Within TLS it is followed, on this machine too, since that is where the registry is.
    registry.fault_times(1, Seen::is_blob, to(&front_of_storage.url));
    small(trusting(&front, &[&front_of_storage]), &digest).await.unwrap();
}

#[tokio::test]
async fn a_client_certificate_is_shown_at_the_endpoint_and_not_where_it_redirects_to() {
    let registry = Registry::start().await;
    let storage = Registry::start().await;
    let digest = storage.put_blob("acme/app", "content");
    let made = rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let identity = Identity::new(vec![certificate.clone()], key);
    assert_eq!(format!("{identity:?}"), "Identity(…)");

    let endpoint = front_asking_for(&registry, &["http/1.1"], Some(&certificate)).await;
    let elsewhere = front_asking_for(&storage, &["http/1.1"], Some(&certificate)).await;
    let location = format!("{}/v2/acme/app/blobs/{digest}", elsewhere.url);
    registry.fault(Seen::is_blob, Fault::StatusWith(307, vec![("location", location)]));
    let settings = Settings { identity: Some(identity), ..trusting(&endpoint, &[&elsewhere]) };
    small(settings, &digest).await.unwrap();
    assert_eq!((endpoint.shown(), elsewhere.shown()), ([1, 0], [0, 1]));
}
