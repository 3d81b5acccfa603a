//! The program.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use testkit::authority::Identity;
use testkit::sigstore::{Log, Sigstore, token};

use super::PROVENANCE;
use super::ways::{Signer, Way};

/// cosign with a home of its own, told to sign against the stand-in and to trust its authority alone.
pub(super) struct Cosign {
    directory: PathBuf,
    url: String,
}

/// A key pair that cosign made.
#[derive(Debug)]
pub(super) struct KeyPair {
    prefix: PathBuf,
}

impl KeyPair {
    /// The public half in PEM.
    pub(super) fn public(&self) -> String {
        std::fs::read_to_string(self.file("pub")).unwrap()
    }

    pub(super) fn file(&self, extension: &str) -> String {
        self.prefix.with_extension(extension).display().to_string()
    }
}

/// By what cosign is to verify.
pub(super) enum Trust<'a> {
    Identity(&'a Identity),
    Key(&'a str),
}

impl Cosign {
    pub(super) fn new(directory: &Path, sigstore: &Sigstore) -> Self {
        let directory = directory.join("cosign");
        std::fs::create_dir(&directory).unwrap();
        for log in [Log::First, Log::Second, Log::None] {
            std::fs::write(directory.join(format!("{log:?}.json")), sigstore.signing_config(log)).unwrap();
        }
        std::fs::write(directory.join("root.json"), sigstore.trusted_root()).unwrap();
        std::fs::write(directory.join("predicate.json"), r#"{"buildDefinition": {}, "runDetails": {}}"#)
            .unwrap();
        Self { directory, url: sigstore.url() }
    }

    pub(super) fn generate_key_pair(&self, name: &str) -> KeyPair {
        let prefix = self.directory.join(name);
        self.succeeds(&["generate-key-pair", "--output-key-prefix", &prefix.display().to_string()]);
        KeyPair { prefix }
    }

    pub(super) fn sign(&self, reference: &str, way: Way, signer: &Signer) {
        let flags = self.flags(way, signer);
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        self.succeeds(&[&["sign", "--yes"], &flags[..], &[reference]].concat());
    }

    /// Attests a provenance.
    pub(super) fn attest(&self, reference: &str, way: Way, signer: &Signer) {
        let flags = self.flags(way, signer);
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let predicate = self.file("predicate.json");
        let what = ["attest", "--yes", "--type", PROVENANCE, "--predicate", &predicate];
        self.succeeds(&[&what, &flags[..], &[reference]].concat());
    }

    fn flags(&self, way: Way, signer: &Signer) -> Vec<String> {
        let mut flags = match way {
            Way::Tag => vec![
                "--new-bundle-format=false".to_owned(),
                "--use-signing-config=false".to_owned(),
                format!("--fulcio-url={}", self.url),
                format!("--rekor-url={}", self.url),
            ],
            Way::Bundle(log) => vec![format!("--signing-config={}", self.file(&format!("{log:?}.json")))],
        };
        flags.push(format!("--trusted-root={}", self.file("root.json")));
        flags.push(match signer {
            Signer::Identity(identity) => format!("--identity-token={}", token(identity)),
            Signer::Key(pair) => format!("--key={}", pair.file("key")),
        });
        flags
    }

    /// Whether cosign verifies the signatures of an image, or its provenances; and what it says.
    pub(super) fn verify(&self, command: &[&str], reference: &str, trust: &Trust<'_>) -> (bool, String) {
        let by = match trust {
            Trust::Identity(identity) => vec![
                format!("--certificate-identity={}", identity.subject.as_str()),
                format!("--certificate-oidc-issuer={}", identity.issuer),
            ],
            Trust::Key(public) => {
                let path = self.directory.join("key.pub");
                std::fs::write(&path, public).unwrap();
                vec![format!("--key={}", path.display())]
            }
        };
        let root = format!("--trusted-root={}", self.file("root.json"));
        // Up to version 2 a log is asked where no entry comes along. It would be the public one.
        let log = format!("--rekor-url={}", self.url);
        let by: Vec<_> = by.iter().map(String::as_str).chain([&root[..], &log]).collect();
        let output = self.run(&[command, &by[..], &[reference]].concat());
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn file(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    fn succeeds(&self, arguments: &[&str]) {
        let output = self.run(arguments);
        assert!(output.status.success(), "cosign {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new("cosign")
            .args(arguments)
            .env("HOME", &self.directory)
            .env("TUF_ROOT", self.directory.join("tuf"))
            .env("COSIGN_PASSWORD", "")
            // Whatever is not on loopback is out of reach.
            .env("HTTP_PROXY", "http://127.0.0.1:9")
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .output()
            .unwrap_or_else(|error| panic!("cosign: {error}; `make test` installs it"))
    }
}
