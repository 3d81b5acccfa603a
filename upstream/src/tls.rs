//! Whose certificates are believed, and which one is ours.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::BuildError;

/// A client certificate and its key, shown to one endpoint. `Debug` shows neither.
#[derive(Clone)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

impl Identity {
    /// A certificate chain, leaf first, and the leaf's key.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Self {
        Self { chain, key: Arc::new(key) }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(…)")
    }
}

/// TLS 1.2 and 1.3 with the system's authorities and some more, showing a certificate if there is one.
///
/// # Errors
/// Where a certificate or key is none.
pub fn config(
    more: &[CertificateDer<'static>],
    identity: Option<&Identity>,
) -> Result<ClientConfig, BuildError> {
    let mut roots = system_roots().clone();
    for authority in more {
        roots.add(authority.clone()).map_err(BuildError::Authority)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(BuildError::Tls)?
        .with_root_certificates(roots);
    match identity {
        Some(identity) => builder
            .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
            .map_err(BuildError::Identity),
        None => Ok(builder.with_no_client_auth()),
    }
}

/// The system's authorities, read once in the life of the process; Mozilla's, where the system has none, as in a
/// container image without them.
fn system_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        let (_, unusable) = roots.add_parsable_certificates(native.certs);
        if unusable > 0 {
            tracing::warn!(unusable, "some of the system's certificate authorities are malformed");
        }
        if roots.is_empty() {
            tracing::info!("the system has no certificate authorities, so the built-in ones are used");
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        roots
    })
}
