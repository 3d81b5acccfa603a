//! `countersign verify-bundle`: the command line that Sigstore's conformance suite speaks.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use oci::Digest;
use policies::{HashAlgorithm, PublicKey};
use verify::{Artifact, Expected, TrustRoot};

use super::{Answer, complain, say};

/// The most bytes of any file that is read.
const FILE_LIMIT: u64 = 64 * 1024 * 1024;

/// What a bundle is verified against.
#[derive(Args, Debug)]
pub(super) struct VerifyBundle {
    /// The Sigstore bundle, in JSON.
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// The subject that the certificate must name.
    #[arg(
        long,
        value_name = "SUBJECT",
        requires = "certificate_oidc_issuer",
        required_unless_present = "key"
    )]
    certificate_identity: Option<String>,
    /// The issuer that must have vouched for it.
    #[arg(long, value_name = "URL", requires = "certificate_identity")]
    certificate_oidc_issuer: Option<String>,
    /// The public key that must have signed, in PEM.
    #[arg(long, value_name = "FILE", conflicts_with = "certificate_identity")]
    key: Option<PathBuf>,
    /// The trust root; the embedded one of the public-good instance without it.
    #[arg(long, value_name = "FILE", conflicts_with = "staging")]
    trusted_root: Option<PathBuf>,
    /// Trust the staging instance instead.
    #[arg(long)]
    staging: bool,
    /// The artifact: a file, or its digest as sha256:HEX.
    #[arg(value_name = "FILE_OR_DIGEST")]
    artifact: String,
}

/// Verifies the bundle and says why not.
pub(super) fn verify_bundle(arguments: &VerifyBundle) -> anyhow::Result<Answer> {
    let bundle = read(&arguments.bundle)?;
    let trust_root = trust_root(arguments)?;
    let artifact = match arguments.artifact.parse::<Digest>() {
        Ok(digest) => Artifact::Digest(digest),
        Err(_) => Artifact::Bytes(read(Path::new(&arguments.artifact))?.into()),
    };
    let key = arguments.key.as_deref().map(one_key).transpose()?;
    let expected = match (&key, &arguments.certificate_identity, &arguments.certificate_oidc_issuer) {
        (Some(key), _, _) => Expected::Key(key),
        (None, Some(subject), Some(issuer)) => Expected::Identity { subject, issuer },
        (None, _, _) => anyhow::bail!("an identity and its issuer are wanted, or a key"),
    };
    match verify::verify_bundle(&artifact, &bundle, expected, &trust_root) {
        Ok(()) => {
            say("verified");
            Ok(Answer::Yes)
        }
        Err(flaw) => {
            complain(&format!("not verified ({}): {}", flaw.kind.as_str(), flaw.detail));
            Ok(Answer::No)
        }
    }
}

fn trust_root(arguments: &VerifyBundle) -> anyhow::Result<TrustRoot> {
    let trust_root = match &arguments.trusted_root {
        Some(path) => {
            let text = String::from_utf8(read(path)?).with_context(|| format!("{}", path.display()))?;
            TrustRoot::from_json(&text)
        }
        None if arguments.staging => TrustRoot::staging(),
        None => TrustRoot::public_good(),
    };
    trust_root.context("the trust root cannot be used")
}

fn one_key(path: &Path) -> anyhow::Result<PublicKey> {
    let text = String::from_utf8(read(path)?).with_context(|| format!("{}", path.display()))?;
    let mut keys =
        PublicKey::from_pem(&text, HashAlgorithm::Sha256).with_context(|| format!("{}", path.display()))?;
    match (keys.pop(), keys.is_empty()) {
        (Some(key), true) => Ok(key),
        _ => anyhow::bail!("{}: one key is wanted", path.display()),
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let size = std::fs::metadata(path).with_context(|| format!("{}", path.display()))?.len();
    anyhow::ensure!(size <= FILE_LIMIT, "{}: larger than {FILE_LIMIT} bytes", path.display());
    std::fs::read(path).with_context(|| format!("{}", path.display()))
}
