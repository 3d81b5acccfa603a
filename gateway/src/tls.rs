//! Certificates of the doors: from files, or of an authority of our own. What a door shows can change while it is open.

use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::crypto::aws_lc_rs;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
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

/// How often it is looked whether files hold another certificate.
const LOOK: Duration = Duration::from_secs(5);

/// The certificate that a door shows.
#[derive(Debug)]
pub(crate) struct Shown(ArcSwap<CertifiedKey>);

impl Shown {
    fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Arc<Self>, TlsError> {
        Ok(Arc::new(Self(ArcSwap::from_pointee(certified(chain, key)?))))
    }

    /// Shows another certificate to whoever connects from now on.
    ///
    /// # Errors
    /// Why it cannot be shown. The one before it stays.
    pub(crate) fn replace(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<(), TlsError> {
        self.0.store(Arc::new(certified(chain, key)?));
        Ok(())
    }

    /// A server that shows it.
    pub(crate) fn server(self: &Arc<Self>) -> Result<Arc<ServerConfig>, TlsError> {
        self.server_for(WebPkiClientVerifier::no_client_auth())
    }

    /// A server that shows it, and asks who calls: a certificate that is shown has to be of one of these authorities, and
    /// whoever has none may do without.
    pub(crate) fn server_that_asks(
        self: &Arc<Self>,
        authorities: Vec<CertificateDer<'static>>,
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority)?;
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = verifier.allow_unauthenticated().build();
        self.server_for(verifier.map_err(|error| rustls::Error::General(error.to_string()))?)
    }

    fn server_for(
        self: &Arc<Self>,
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(self.clone());
        // Whoever comes back is spared the handshake: an API server opens connections in bursts. Nothing is kept of it here,
        // and nothing is read before the handshake is over, which could be sent again by somebody else.
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Shows what is in these files, whenever that is another certificate than before, until `stop` resolves.
    pub(crate) async fn follow(self: Arc<Self>, files: TlsFiles, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut complaint = None;
        loop {
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let (shown, read) = (self.clone(), files.clone());
            let looked = tokio::task::spawn_blocking(move || shown.look(&read)).await;
            complaint = match looked {
                Ok(Ok(true)) => {
                    tracing::info!(certificate = %files.certificate.display(), "a new certificate is shown");
                    None
                }
                Ok(Ok(false)) | Err(_) => None,
                Ok(Err(error)) => {
                    let error = crate::undecided::with_causes(&error);
                    if complaint.as_ref() != Some(&error) {
                        tracing::error!(error, "a new certificate cannot be shown, the one before it stays");
                    }
                    Some(error)
                }
            };
        }
    }

    fn look(&self, files: &TlsFiles) -> Result<bool, TlsError> {
        let (chain, key) = read(files)?;
        if chain == self.0.load().cert {
            return Ok(false);
        }
        self.replace(chain, key)?;
        Ok(true)
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, TlsError> {
    Ok(CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())?)
}

/// The certificate in these files.
pub(crate) fn from_files(files: &TlsFiles) -> Result<Arc<Shown>, TlsError> {
    let (chain, key) = read(files)?;
    Shown::new(chain, key)
}

fn read(files: &TlsFiles) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .map_err(file(&files.certificate))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(file(&files.certificate))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(file(&files.key))?;
    Ok((chain, key))
}

/// A certificate of our own authority, which is made once and kept in `directory`:
/// `ca.pem` is what an API server needs as `caBundle`. The certificate itself is made anew at each start.
pub(crate) fn of_our_own(directory: &Path) -> Result<Arc<Shown>, TlsError> {
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
    Shown::new(vec![certificate.der().clone()], key)
}

/// The names under which a webhook is reached: on this machine, and as a Service of the usual names.
fn names() -> Vec<String> {
    ["localhost", "127.0.0.1", "::1", "countersign", "countersign.countersign.svc"]
        .map(str::to_owned)
        .to_vec()
}

pub(crate) fn authority_params() -> Result<CertificateParams, rcgen::Error> {
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
