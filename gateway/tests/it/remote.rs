//! Programs of policies that are on a server: fetched by HTTPS, and used if they are what their checksum says.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use oci::Digest;
use rustls_pki_types::PrivateKeyDer;

use super::cli::exits;
use super::stage::{HOST, POLICY, Stage};

/// Serves one text to whoever asks, by HTTPS under a certificate that is written here.
fn serve(text: &'static str, certificate: &Path) -> SocketAddr {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(certificate, cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let (listener, config) = (TcpListener::bind("127.0.0.1:0").unwrap(), Arc::new(config));
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let session = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(session, stream.unwrap());
            // A request without a body fits into one read.
            if stream.read(&mut [0; 4096]).is_ok_and(|length| length > 0) {
                let head =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
                drop(stream.write_all(format!("{head}{text}").as_bytes()));
                stream.conn.send_close_notify();
                drop(stream.flush());
            }
        }
    });
    address
}

async fn verify(stage: &Stage, policy: &str, certificate: &Path) -> Output {
    stage.policy("acme.yaml", policy);
    let (configuration, policy) =
        (stage.configuration(""), stage.directory.path().join("policies/acme.yaml"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command
        .args(["verify", &format!("{HOST}/acme/app:v1"), "--config"])
        .arg(configuration)
        .arg("--policy")
        .arg(policy);
    command.env("SSL_CERT_FILE", certificate);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_on_a_server_counts_if_it_is_what_its_checksum_says() {
    const PROGRAM: &str = "size(authorityMatches) == 1";
    let stage = Stage::new().await;
    stage.signed(1, "acme/app", "v1");
    let certificate = stage.directory.path().join("server.pem");
    let port = serve(PROGRAM, &certificate).port();
    let policy = |sha256: &str| {
        format!(
            "{POLICY}  policy: {{type: cel, remote: {{url: 'https://localhost:{port}/p.cel', sha256sum: '{sha256}'}}}}\n"
        )
    };
    let right = policy(&Digest::of(PROGRAM.as_bytes()).hex());
    exits(&verify(&stage, &right, &certificate).await, 0, &["allowed"]);
    let other = verify(&stage, &policy(&"0".repeat(64)), &certificate).await;
    exits(&other, 1, &["cannot be used", "failed to check sha256sum from policy remote"]);
    let unknown = stage.directory.path().join("trusted_root.json");
    exits(&verify(&stage, &right, &unknown).await, 1, &["failed to fetch content from policy url"]);
}
