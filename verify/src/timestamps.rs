//! Signed timestamps ([RFC 3161](https://www.rfc-editor.org/rfc/rfc3161)), where the library is not asked about them.

use policies::{Flaw, FlawKind};
use sigstore_verify::tsa::verify_timestamp_for_authority;
use sigstore_verify::types::{Bundle, SignatureBytes};

use crate::TrustRoot;
use crate::flaw::flaw;

/// When timestamp authorities saw a signature, in seconds since 1970.
///
/// # Errors
/// [`FlawKind::Timestamp`] where one does not verify. A timestamp that is there has to be right: it is never passed
/// over.
pub(crate) fn verify(bundle: &Bundle, signature: &[u8], trust_root: &TrustRoot) -> Result<Vec<i64>, Flaw> {
    let tokens = &bundle.verification_material.timestamp_verification_data.rfc3161_timestamps;
    if tokens.is_empty() {
        return Ok(Vec::new());
    }
    let signature = SignatureBytes::new(signature.to_vec());
    let authorities = trust_root.timestamp_authorities();
    let mut times = Vec::with_capacity(tokens.len());
    for token in tokens {
        let by =
            |authority| verify_timestamp_for_authority(&token.signed_timestamp, &signature, authority).ok();
        let time = authorities.iter().find_map(by);
        let time = time.ok_or_else(|| {
            flaw(
                FlawKind::Timestamp,
                "the signed timestamp is by no authority that is trusted, or of something else",
            )
        })?;
        times.push(time.as_second());
    }
    times.sort_unstable();
    Ok(times)
}
