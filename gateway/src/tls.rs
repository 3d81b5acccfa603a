//! Certificates of the doors: from files, or of an authority of our own.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

use crate::config::TlsFiles;

/// Why a door has no certificate.
#[derive(Debug, Error)]
pub(crate) enum TlsError {
    /// A file cannot be read or is no PEM of its kind.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The certificate and the key do not go together, or are of an unsupported kind.
    #[error("the certificate and its key cannot be used")]
    Unusable(#[from] rustls::Error),
    /// A certificate could not be made.
    #[error("no certificate could be made")]
    Mint(#[from] rcgen::Error),
    /// What was made could not be kept.
    #[error("{path}: cannot be written")]
    Keep {
        /// Which file.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

fn file(path: &Path) -> impl FnOnce(rustls_pki_types::pem::Error) -> TlsError + '_ {
    move |error| TlsError::File { path: path.display().to_string(), reason: error.to_string() }
}

/// A server that shows the certificate in these files.
pub(crate) fn from_files(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .map_err(file(&files.certificate))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(file(&files.certificate))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(file(&files.key))?;
    server(chain, key)
}

/// A server that shows a certificate of our own authority, which is made once and kept in `directory`:
/// `ca.pem` is what an API server needs as `caBundle`. The certificate itself is made anew at each start.
pub(crate) fn of_our_own(directory: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let (certificate_path, key_path) = (directory.join("ca.pem"), directory.join("ca.key"));
    if !certificate_path.exists() || !key_path.exists() {
        mint_authority(&certificate_path, &key_path)?;
    }
    let read = |path: &Path| {
        std::fs::read_to_string(path)
            .map_err(|error| TlsError::File { path: path.display().to_string(), reason: error.to_string() })
    };
    let authority_key = KeyPair::from_pem(&read(&key_path)?)?;
    let issuer = Issuer::new(authority_params()?, authority_key);
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names())?;
    params.distinguished_name.push(DnType::CommonName, "countersign");
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &issuer)?;
    let key = PrivateKeyDer::try_from(key.serialize_der())
        .map_err(|reason| TlsError::File { path: "minted key".into(), reason: reason.to_owned() })?;
    server(vec![certificate.der().clone()], key)
}

/// The names under which a webhook is reached: on this machine, and as a Service of the usual names.
fn names() -> Vec<String> {
    ["localhost", "127.0.0.1", "::1", "countersign", "countersign.countersign.svc"]
        .map(str::to_owned)
        .to_vec()
}

fn authority_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "Countersign webhook authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn mint_authority(certificate_path: &Path, key_path: &Path) -> Result<(), TlsError> {
    let key = KeyPair::generate()?;
    let certificate = authority_params()?.self_signed(&key)?;
    let keep = |path: &Path, source| TlsError::Keep { path: path.display().to_string(), source };
    write_private(key_path, key.serialize_pem().as_bytes()).map_err(|error| keep(key_path, error))?;
    std::fs::write(certificate_path, certificate.pem()).map_err(|error| keep(certificate_path, error))
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn server(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
