//! The document that cosign signs for an image.

use bytes::Bytes;
use oci::Digest;
use serde_json::json;

const IMAGE_SIGNATURE: &str = "cosign container image signature";

/// The [simple-signing](https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md#simple-signing) payload
/// that says an image was signed, as cosign writes it without annotations.
pub(super) fn payload(digest: &Digest, docker_reference: &str) -> Bytes {
    payload_of_type(IMAGE_SIGNATURE, digest, docker_reference)
}

/// The same document under a `critical.type` that other signers use, and cosign does not.
pub(super) fn misnamed(digest: &Digest, docker_reference: &str) -> Bytes {
    payload_of_type("atomic container signature", digest, docker_reference)
}

fn payload_of_type(kind: &str, digest: &Digest, docker_reference: &str) -> Bytes {
    let document = json!({
        "critical": {
            "identity": {"docker-reference": docker_reference},
            "image": {"docker-manifest-digest": digest.to_string()},
            "type": kind,
        },
        "optional": null,
    });
    Bytes::from(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_byte_for_byte_what_cosign_writes() {
        let hash = "c05263d2ff654c3a94243662440913f045075d59c436e2c69e9145ec2b87a321";
        let digest = format!("sha256:{hash}").parse().unwrap();
        let payload = payload(&digest, "index.docker.io/salrashid123/server_image");
        // The digest of the layer of a published signature of this image.
        assert_eq!(
            Digest::of(&payload).hex(),
            "d8a030716080e45139ff0d6d8de7649cc500dc34ff2b9d699200c0a5d550464b"
        );
    }
}
