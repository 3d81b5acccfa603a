//! Credentials and certificate authorities, read from the files that the configuration names.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use oci::Host;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use upstream::Credentials;

use super::CredentialFiles;

/// The certificate authorities in a PEM file.
///
/// # Errors
/// Where the file cannot be read or has none.
pub fn authorities(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let authorities = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("ca: {}", path.display()))?;
    if authorities.is_empty() {
        bail!("ca: {}: no certificate in it", path.display());
    }
    Ok(authorities)
}

/// The credentials for one upstream.
///
/// # Errors
/// Where a file cannot be read, or a Docker configuration says nothing of the upstream. No secret is in the error.
pub fn credentials(files: &CredentialFiles, host: &Host) -> anyhow::Result<Credentials> {
    match files {
        CredentialFiles::Separate { username, password } => {
            Ok(Credentials::new(one_line(username)?, one_line(password)?))
        }
        CredentialFiles::DockerConfig(path) => {
            let text = read(path)?;
            from_docker(&text, host).with_context(|| format!("credentials.dockerConfig: {}", path.display()))
        }
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("credentials: {}", path.display()))
}

pub(super) fn one_line(path: &Path) -> anyhow::Result<String> {
    Ok(read(path)?.trim_end_matches(['\r', '\n']).to_owned())
}

/// The most bytes of a file that holds one secret.
const SHORT: u64 = 4096;

/// The secret in a file of one line.
pub(crate) fn short_secret(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(SHORT + 1).read_to_string(&mut text)?;
    ensure!(text.len() as u64 <= SHORT, "has more than {SHORT} bytes");
    let text = text.trim_end_matches(['\r', '\n']);
    ensure!(!text.contains(['\r', '\n']), "has more than one line");
    Ok(text.to_owned())
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: std::collections::BTreeMap<String, DockerAuth>,
}

#[derive(Deserialize)]
struct DockerAuth {
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
}

/// The entry of a Docker `config.json` whose name means this host, exactly.
fn from_docker(text: &str, host: &Host) -> anyhow::Result<Credentials> {
    // The error of a JSON parser may quote what it stumbled over, which here may be a secret.
    let config: DockerConfig =
        serde_json::from_str(text).map_err(|_| anyhow::anyhow!("is no Docker configuration"))?;
    let entry = config.auths.into_iter().find(|(name, _)| means(name, host));
    let Some((_, entry)) = entry else { bail!("has no entry for {host}") };
    match entry {
        DockerAuth { username: Some(username), password: Some(password), .. } => {
            Ok(Credentials::new(username, password))
        }
        DockerAuth { auth: Some(auth), .. } => {
            use base64::Engine as _;
            let decoded = base64::engine::general_purpose::STANDARD.decode(auth.trim()).ok();
            let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
            match decoded.as_deref().and_then(|pair| pair.split_once(':')) {
                Some((username, password)) => Ok(Credentials::new(username.to_owned(), password.to_owned())),
                None => bail!("the entry for {host} is not user:password in base64"),
            }
        }
        DockerAuth { .. } => bail!("the entry for {host} has no credentials in it"),
    }
}

/// Entries are named by host, or by a URL as Docker Hub's is.
fn means(name: &str, host: &Host) -> bool {
    let name = name.strip_prefix("https://").unwrap_or(name);
    let name = name.split('/').next().unwrap_or(name);
    name.parse::<Host>().is_ok_and(|named| named == *host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn docker(text: &str, host: &str) -> anyhow::Result<Credentials> {
        from_docker(text, &host.parse().unwrap())
    }

    #[test]
    fn an_entry_is_matched_by_its_whole_host() {
        let text = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "dTpw"}, "ghcr.io": {"username": "a", "password": "b"}}}"#;
        assert!(docker(text, "docker.io").is_ok());
        assert!(docker(text, "ghcr.io").is_ok());
        for other in ["ghcr.io.evil.example", "hcr.io", "io", "ghcr.io:5000"] {
            assert!(docker(text, other).is_err(), "{other}");
        }
    }

    #[test]
    fn no_secret_is_in_an_error() {
        for text in
            [r#"{"auths": {"ghcr.io": {"auth": "hunter2"}}}"#, r#"{"auths": {"ghcr.io": {"auth": hunter2}}}"#]
        {
            let error = format!("{:#}", docker(text, "ghcr.io").unwrap_err());
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
