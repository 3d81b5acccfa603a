//! The document that tells a verifier whom to trust.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::START;
use super::certificates::CertificateAuthority;
use super::managed_key::KeyKind;
use super::rekor::{Logs, TransparencyLog};
use super::sct::CertificateLog;
use super::timestamp::TimestampAuthority;

/// A `TrustedRoot` of the
/// [Sigstore protocol](https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto) as JSON:
/// every party is trusted from [`START`] on.
pub(super) fn document(
    certificates: &CertificateAuthority,
    certificate_log: &CertificateLog,
    logs: &Logs,
    timestamps: &TimestampAuthority,
) -> String {
    let root = json!({
        "certificateAuthorities": [authority("fulcio", "testkit-root", certificates.chain())],
        "ctlogs": [certificate_log_of(certificate_log)],
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "timestampAuthorities": [authority("timestamp", "testkit-tsa", timestamps.chain())],
        "tlogs": [transparency_log(&logs.first), transparency_log(&logs.second)],
    });
    format!("{root:#}\n")
}

fn authority(host: &str, common_name: &str, chain: [&[u8]; 2]) -> Value {
    let chain = chain.map(|certificate| json!({"rawBytes": BASE64.encode(certificate)}));
    json!({
        "certChain": {"certificates": chain},
        "subject": {"commonName": common_name, "organization": "testkit"},
        "uri": format!("https://{host}.testkit.example"),
        "validFor": since_start(),
    })
}

fn certificate_log_of(log: &CertificateLog) -> Value {
    let (id, spki) = (log.key().log_id(), log.key().spki());
    instance("https://ctfe.testkit.example", &id, KeyKind::EcdsaP256, spki)
}

fn transparency_log(log: &TransparencyLog) -> Value {
    instance(&log.base_url(), log.id(), log.key().kind(), log.key().public_der())
}

fn instance(base_url: &str, id: &[u8; 32], kind: KeyKind, spki: &[u8]) -> Value {
    json!({
        "baseUrl": base_url,
        "hashAlgorithm": "SHA2_256",
        "logId": {"keyId": BASE64.encode(id)},
        "publicKey": {
            "keyDetails": kind.details(),
            "rawBytes": BASE64.encode(spki),
            "validFor": since_start(),
        },
    })
}

#[expect(clippy::expect_used, reason = "the start is a constant of this crate")]
fn since_start() -> Value {
    let start = der::DateTime::from_unix_duration(Duration::from_secs(START)).expect("2026 is a year");
    json!({"start": start.to_string()})
}
