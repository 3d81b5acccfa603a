//! Signed timestamps ([RFC 3161](https://www.rfc-editor.org/rfc/rfc3161)), where the library is not asked
//! about them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use policies::{Flaw, FlawKind};
use sigstore_verify::tsa::verify_timestamp_for_authority;
use sigstore_verify::types::{Bundle, SignatureBytes};
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::SubjectKeyIdentifier;

use crate::TrustRoot;
use crate::claimed::Claimed;
use crate::demand;
use crate::flaw::flaw;

/// What a timestamp says that it is (`id-ct-TSTInfo`), in DER. Its time follows.
const CONTENT_TYPE: &[u8] = b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x04";

/// Takes the timestamps out that are by authorities that the trust root does not know. Whether what is left is
/// enough is for others to say.
///
/// A timestamp lies beside a signature and is not signed with it: whoever could put a strange one there could
/// leave it out. Those that name a known authority stay and have to be right, and so has what is no timestamp
/// at all.
pub(crate) fn pass_over_strangers(bundle: &mut Bundle, trust_root: &TrustRoot) {
    let tokens = &mut bundle.verification_material.timestamp_verification_data.rfc3161_timestamps;
    tokens.retain(|token| {
        let token = token.signed_timestamp.as_bytes();
        claimed_time(token).is_none() || trust_root.knows_stamper(token)
    });
}

/// What the statement of a signer's identity looks like in a timestamp by whoever has this certificate, in
/// DER: its issuer and serial number, or its key identifier (RFC 5652, 5.3).
pub(crate) fn marks(certificate: &[u8]) -> Vec<Vec<u8>> {
    let Ok(certificate) = Certificate::from_der(certificate) else {
        // Nothing can verify by it either.
        return Vec::new();
    };
    let content = &certificate.tbs_certificate;
    let name =
        content.issuer.to_der().and_then(|issuer| Ok([issuer, content.serial_number.to_der()?].concat()));
    let key = content.get::<SubjectKeyIdentifier>().ok().flatten().and_then(|(_, key)| {
        let key = key.0.as_bytes();
        Some([&[0x80, u8::try_from(key.len()).ok()?], key].concat())
    });
    name.ok().into_iter().chain(key).collect()
}

/// When timestamp authorities saw something.
///
/// # Errors
/// [`FlawKind::Timestamp`] where one does not verify.
pub(crate) fn verify(bundle: &Bundle, seen: &[u8], trust_root: &TrustRoot) -> Result<Vec<Timestamp>, Flaw> {
    let tokens = &bundle.verification_material.timestamp_verification_data.rfc3161_timestamps;
    if tokens.is_empty() {
        return Ok(Vec::new());
    }
    let seen = SignatureBytes::new(seen.to_vec());
    let authorities = trust_root.timestamp_authorities();
    let times = tokens.iter().map(|token| {
        let by = |authority| verify_timestamp_for_authority(&token.signed_timestamp, &seen, authority).ok();
        let time = authorities.iter().find_map(by);
        time.ok_or_else(|| {
            flaw(FlawKind::Timestamp, "the signed timestamp is by nobody trusted, or of something else")
        })
    });
    let mut times = times.collect::<Result<Vec<_>, _>>()?;
    demand::past(&times, FlawKind::Timestamp)?;
    times.sort_unstable();
    Ok(times)
}

/// Takes the timestamps out that are of something else than the signature, and verifies them: the library
/// takes all for timestamps of the signature.
///
/// # Errors
/// [`FlawKind::Timestamp`] where one does not verify.
pub(crate) fn take_of_document(
    claimed: &mut Claimed,
    trust_root: &TrustRoot,
) -> Result<Vec<Timestamp>, Flaw> {
    let Some(document) = &claimed.stamped else {
        return Ok(Vec::new());
    };
    let times = verify(&claimed.bundle, document, trust_root)?;
    claimed.bundle.verification_material.timestamp_verification_data.rfc3161_timestamps.clear();
    Ok(times)
}

/// When a timestamp says that it was made, in seconds since 1970. Nothing vouches for it.
pub(crate) fn claimed_time(token: &[u8]) -> Option<i64> {
    let at = token.windows(CONTENT_TYPE.len()).position(|window| window == CONTENT_TYPE)?;
    let content = token.get(at..)?;
    // A GeneralizedTime: its tag, its length, and then YYYYMMDDHHMMSS.
    let times = content.windows(16).filter(|window| window[0] == 0x18 && (15..=23).contains(&window[1]));
    times.filter_map(|window| seconds(window.get(2..)?)).next()
}

fn seconds(digits: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(digits).ok()?;
    let time = DateTime::strptime("%Y%m%d%H%M%S", text).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_claimed_time_is_the_first_after_what_it_says_that_it_is() {
        let token = |before: &[u8], time: &[u8]| [before, CONTENT_TYPE, b"\x02\x01\x01", time].concat();
        let time = b"\x18\x0f20230111165257Z\x18\x0f20990101000000Z";
        assert_eq!(claimed_time(&token(b"\x18\x0f20200101000000Z", time)), Some(1_673_455_977));
        assert_eq!(claimed_time(&token(b"", b"\x18\x13202301111652570123Z")), Some(1_673_455_977));
        assert_eq!(claimed_time(&token(time, b"")), None);
        assert_eq!(claimed_time(&token(b"", b"\x18\x0f20231311165257Z")), None);
        assert_eq!(claimed_time(b""), None);
        // What looks like a time under another tag, or in another length, is none.
        assert_eq!(claimed_time(&token(b"", b"\x17\x0f20230111165257Z")), None);
        assert_eq!(claimed_time(&token(b"", b"\x18\x1820230111165257Z")), None);
    }
}
