//! The document that tells a verifier whom to trust.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::START;
use super::certificates::CertificateAuthority;
use super::key::Key;
use super::rekor::TransparencyLog;
use super::sct::CertificateLog;

/// A `TrustedRoot` of the
/// [Sigstore protocol](https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto) as JSON:
/// every party is trusted from [`START`] on.
pub(super) fn document(
    certificates: &CertificateAuthority,
    certificate_log: &CertificateLog,
    log: &TransparencyLog,
) -> String {
    let chain = certificates.chain().map(|certificate| json!({"rawBytes": BASE64.encode(certificate)}));
    let root = json!({
        "certificateAuthorities": [{
            "certChain": {"certificates": chain},
            "subject": {"commonName": "testkit-root", "organization": "testkit"},
            "uri": "https://fulcio.testkit.example",
            "validFor": since_start(),
        }],
        "ctlogs": [instance("https://ctfe.testkit.example", certificate_log.key())],
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "timestampAuthorities": [],
        "tlogs": [instance("https://rekor.testkit.example", log.key())],
    });
    format!("{root:#}\n")
}

fn instance(base_url: &str, key: &Key) -> Value {
    json!({
        "baseUrl": base_url,
        "hashAlgorithm": "SHA2_256",
        "logId": {"keyId": BASE64.encode(key.log_id())},
        "publicKey": {
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "rawBytes": BASE64.encode(key.spki()),
            "validFor": since_start(),
        },
    })
}

#[expect(clippy::expect_used, reason = "the start is a constant of this crate")]
fn since_start() -> Value {
    let start = der::DateTime::from_unix_duration(Duration::from_secs(START)).expect("2026 is a year");
    json!({"start": start.to_string()})
}
