//! Object stores as processes: versitygw, which speaks as S3 does and keeps each object in a file, and Azurite, which is
//! Microsoft's own stand-in for Azure. No server that is to be had speaks what is asked of Google's.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use oci::Digest;

use crate::e2e::parts::{Running, free_address, listening};

/// What nobody may read anywhere: a key, as Azure writes them.
pub(in crate::e2e) const SECRET: &str = "bm9ib2R5IG1heSByZWFkIHRoaXMgYW55d2hlcmU=";

const ACCESS_KEY: &str = "countersign";
const BUCKET: &str = "layers";

/// A store with one bucket, which ends with its handle.
pub(super) struct ObjectStore {
    kind: Kind,
    address: SocketAddr,
    environment: Vec<(&'static str, &'static str)>,
    process: Running,
    /// Last, so that the process is gone when its files are.
    directory: tempfile::TempDir,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    S3,
    S3OverTls,
    Azure,
}

impl ObjectStore {
    pub(super) async fn s3() -> Self {
        Self::start(Kind::S3).await
    }

    /// The same, with a certificate of an authority of its own.
    pub(super) async fn s3_over_tls() -> Self {
        Self::start(Kind::S3OverTls).await
    }

    pub(super) async fn azure() -> Self {
        let store = Self::start(Kind::Azure).await;
        make_container(store.address).await;
        store
    }

    async fn start(kind: Kind) -> Self {
        let (directory, address) = (tempfile::TempDir::new().unwrap(), free_address());
        let mut command = match kind {
            Kind::S3 | Kind::S3OverTls => versitygw(address, directory.path(), kind == Kind::S3OverTls),
            Kind::Azure => azurite(address, directory.path()),
        };
        let program = command.get_program().to_owned();
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.unwrap_or_else(|error| {
            panic!("{}: {error}; `scripts/install-tools e2e` installs it", program.display())
        });
        let process = Running(process);
        listening(address).await;
        let environment = match kind {
            Kind::S3 | Kind::S3OverTls => {
                vec![("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET)]
            }
            Kind::Azure => {
                vec![("AZURE_STORAGE_ACCOUNT_NAME", ACCESS_KEY), ("AZURE_STORAGE_ACCOUNT_KEY", SECRET)]
            }
        };
        Self { kind, address, environment, process, directory }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// What a gateway has in its environment.
    pub(super) fn environment(&self) -> &[(&'static str, &'static str)] {
        &self.environment
    }

    /// Gives gateways from now on a secret that the store does not know.
    pub(super) fn forget_credentials(&mut self) {
        self.environment[1].1 = "d3Jvbmc=";
    }

    /// The keys of `storage.object`.
    pub(super) fn keys(&self) -> String {
        self.keys_at(self.port())
    }

    /// The same for whoever reaches it at another port.
    pub(super) fn keys_at(&self, port: u16) -> String {
        match self.kind {
            Kind::S3 => {
                format!("url: 's3://{BUCKET}/of/all', endpoint: 'http://127.0.0.1:{port}', region: us-east-1")
            }
            Kind::S3OverTls => format!(
                "url: 's3://{BUCKET}', endpoint: 'https://127.0.0.1:{port}', region: us-east-1, ca: {}/tls.pem",
                self.directory.path().display()
            ),
            Kind::Azure => {
                format!("url: 'az://{BUCKET}/of/all', endpoint: 'http://127.0.0.1:{port}/{ACCESS_KEY}'")
            }
        }
    }

    /// The file that a plain S3 keeps an object in.
    pub(super) fn object(&self, digest: &Digest) -> PathBuf {
        assert!(self.kind == Kind::S3);
        self.directory.path().join("buckets").join(BUCKET).join("of/all/sha256").join(digest.hex())
    }

    pub(super) fn kill(&mut self) {
        self.process.kill();
    }
}

/// It makes a bucket of every directory that it finds.
fn versitygw(address: SocketAddr, directory: &Path, tls: bool) -> Command {
    let [buckets, sidecar] = ["buckets", "sidecar"].map(|name| directory.join(name));
    std::fs::create_dir_all(buckets.join(BUCKET)).unwrap();
    std::fs::create_dir(&sidecar).unwrap();
    let mut command = Command::new("versitygw");
    command.args(["--port", &address.to_string(), "--access", ACCESS_KEY, "--secret", SECRET, "--quiet"]);
    if tls {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let [certificate, key] = ["tls.pem", "tls.key"].map(|name| directory.join(name));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        command.arg("--cert").arg(certificate).arg("--key").arg(key);
    }
    // Not every filesystem that tests run on has extended attributes.
    command.arg("posix").arg("--sidecar").arg(sidecar).arg(buckets);
    command
}

fn azurite(address: SocketAddr, directory: &Path) -> Command {
    let mut command = Command::new("azurite-blob");
    command.args(["--blobHost", &address.ip().to_string(), "--blobPort", &address.port().to_string()]);
    command.args(["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location"]).arg(directory);
    command.env("AZURITE_ACCOUNTS", format!("{ACCESS_KEY}:{SECRET}"));
    command
}

/// Makes the container, which nobody finds there. The request is signed by "Authorize with Shared Key".
async fn make_container(address: SocketAddr) {
    let (date, version) = ("Sun, 01 Nov 2026 00:00:00 GMT", "2021-08-06");
    let headers = format!("x-ms-date:{date}\nx-ms-version:{version}\n");
    let resource = format!("/{ACCESS_KEY}/{ACCESS_KEY}/{BUCKET}\nrestype:container");
    let to_sign = format!("PUT{}{headers}{resource}", "\n".repeat(12));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64_STANDARD.decode(SECRET).unwrap());
    let signature = BASE64_STANDARD.encode(hmac::sign(&key, to_sign.as_bytes()));
    let request = Request::put(format!("http://{address}/{ACCESS_KEY}/{BUCKET}?restype=container"))
        .header("x-ms-date", date)
        .header("x-ms-version", version)
        .header("authorization", format!("SharedKey {ACCESS_KEY}:{signature}"))
        .body(Empty::<Bytes>::new())
        .unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let status = client.request(request).await.unwrap().status();
    assert_eq!(status, 201);
}
