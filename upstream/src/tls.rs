//! Whose certificates are believed.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;

use crate::BuildError;

/// TLS 1.2 and 1.3 with the system's authorities and some more.
pub(crate) fn config(more: &[CertificateDer<'static>]) -> Result<ClientConfig, BuildError> {
    let mut roots = system_roots().clone();
    for authority in more {
        roots.add(authority.clone()).map_err(BuildError::Authority)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(BuildError::Tls)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
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
