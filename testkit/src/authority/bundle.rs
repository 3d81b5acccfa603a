//! Sigstore bundles of version 0.3.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use oci::Digest;
use serde_json::{Value, json};

use super::signing::Signing;

/// Signs, records and writes it down as a
/// [bundle](https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto)
/// with a message signature.
pub(super) fn message(signing: &Signing<'_>) -> Value {
    let (signature, entry) = signing.record();
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "messageSignature": {
            "messageDigest": {
                "algorithm": "SHA2_256",
                "digest": BASE64.encode(Digest::of(&signing.payload).hash()),
            },
            "signature": BASE64.encode(signature),
        },
        "verificationMaterial": {
            "certificate": {"rawBytes": BASE64.encode(signing.certificate())},
            "tlogEntries": [signing.log().prove(&entry)],
        },
    })
}
