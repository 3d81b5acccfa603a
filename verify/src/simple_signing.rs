//! The payload that cosign signs: which image a signature is of.

use oci::Digest;
use policies::{Flaw, FlawKind};
use serde_json::Value;

use crate::flaw::flaw;
use crate::unique_json;

/// What cosign writes as `critical.type`, in its
/// [specification of signatures](https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md).
const TYPE: &str = "cosign container image signature";

/// The image that a payload speaks of.
///
/// `critical.identity.docker-reference` is deliberately not compared with anything. It names the registry
/// that the signer pushed to, which is not where a mirrored image is pulled from; what is bound is the
/// digest.
///
/// # Errors
/// A payload that is not of cosign's type, or that could be read in two ways, is [`FlawKind::Malformed`].
pub(crate) fn subject(payload: &[u8]) -> Result<Digest, Flaw> {
    let malformed = |detail: String| flaw(FlawKind::Malformed, detail);
    let document = unique_json::parse(payload)
        .map_err(|error| malformed(format!("signed payload is malformed: {error}")))?;
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
    match text("/critical/type") {
        Some(TYPE) => {}
        Some(other) => return Err(malformed(format!("signed payload is of type {other:?}"))),
        None => return Err(malformed("signed payload has no critical.type".into())),
    }
    text("/critical/image/docker-manifest-digest")
        .ok_or_else(|| malformed("signed payload names no critical.image.docker-manifest-digest".into()))?
        .parse()
        .map_err(|error| malformed(format!("signed payload names no digest: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn payload(digest: &str, kind: &str) -> String {
        format!(
            r#"{{"critical":{{"identity":{{"docker-reference":"ghcr.io/acme/app"}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"{kind}"}},"optional":{{"a":"b"}}}}"#
        )
    }

    #[track_caller]
    fn refuses(payload: &str) {
        let refused = subject(payload.as_bytes()).map_err(|flaw| flaw.kind);
        assert_eq!(refused, Err(FlawKind::Malformed), "{payload}");
    }

    #[test]
    fn a_payload_speaks_of_one_digest() {
        assert_eq!(subject(payload(DIGEST, TYPE).as_bytes()), Ok(Digest::of(b"")));
    }

    #[test]
    fn another_kind_of_payload_speaks_of_nothing() {
        refuses(&payload(DIGEST, "atomic container signature"));
        refuses(&payload(DIGEST, ""));
        refuses(&payload(&DIGEST.to_uppercase(), TYPE));
        refuses(&payload("latest", TYPE));
        refuses(&payload(DIGEST, TYPE).replace("critical", "Critical"));
        refuses(&payload(DIGEST, TYPE).replace("docker-manifest-digest", "digest"));
        refuses(&format!(r#"{{"critical":["{TYPE}","{DIGEST}"]}}"#));
        refuses(&format!("[{}]", payload(DIGEST, TYPE)));
        refuses("");
        refuses("null");
    }

    #[test]
    fn a_payload_with_two_readings_is_refused() {
        let good = payload(DIGEST, TYPE);
        refuses(&good.replace(r#""type""#, &format!(r#""type":"{TYPE}","type""#)));
        refuses(&good.replace(r#""image""#, r#""image":{"docker-manifest-digest":"x"},"image""#));
        refuses(&good.replace(r#""a":"b""#, r#""a":"b","a":"b""#));
        refuses(&format!("{good}{good}"));
    }
}
