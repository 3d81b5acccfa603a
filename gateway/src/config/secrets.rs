//! Certificates, keys and passwords, read from the files that the configuration names.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use upstream::Identity;

use super::TlsFiles;

/// The certificate authorities in a PEM file.
///
/// # Errors
/// Where the file cannot be read or has none.
pub fn authorities(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    certificates(path).with_context(|| format!("ca: {}", path.display()))
}

/// A client certificate and its key.
///
/// # Errors
/// Where a file cannot be read or has none.
pub fn identity(files: &TlsFiles) -> anyhow::Result<Identity> {
    let TlsFiles { certificate, key } = files;
    let chain =
        certificates(certificate).with_context(|| format!("clientCertificate: {}", certificate.display()))?;
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| format!("clientKey: {}", key.display()))?;
    Ok(Identity::new(chain, key))
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>)?;
    if certificates.is_empty() {
        bail!("no certificate in it");
    }
    Ok(certificates)
}

/// The most bytes of a file that holds one secret.
const SHORT: u64 = 4096;

/// The bytes of a file of at most so many.
///
/// # Errors
/// Where it cannot be read, or has more.
pub(crate) fn short_file(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    ensure!(bytes.len() as u64 <= limit, "has more than {limit} bytes");
    Ok(bytes)
}

/// The secret in a file of one line.
pub(crate) fn short_secret(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(SHORT + 1).read_to_string(&mut text)?;
    ensure!(text.len() as u64 <= SHORT, "has more than {SHORT} bytes");
    let text = text.trim_end_matches(['\r', '\n']);
    ensure!(!text.contains(['\r', '\n']), "has more than one line");
    Ok(text.to_owned())
}
