//! A certificate log, and the signed timestamps that it gives for pre-certificates (RFC 6962 §3).

use super::key::Key;

/// SHA-256 and ECDSA in the numbering of TLS 1.2 (RFC 5246 §7.4.1.4.1).
const ECDSA_WITH_SHA256: [u8; 2] = [4, 3];
const VERSION_1: u8 = 0;
const CERTIFICATE_TIMESTAMP: u8 = 0;
const PRECERTIFICATE: [u8; 2] = [0, 1];
const NO_EXTENSIONS: [u8; 2] = [0, 0];

/// A log that promises to publish the certificates that it is shown.
#[derive(Debug)]
pub(super) struct CertificateLog {
    key: Key,
}

/// What the log signs of a certificate before there is one.
pub(super) struct Precertificate<'a> {
    /// The SHA-256 of the issuing key's `SubjectPublicKeyInfo`.
    pub(super) issuer_key_hash: [u8; 32],
    /// The certificate's content without the timestamps, in DER.
    pub(super) tbs: &'a [u8],
}

impl CertificateLog {
    pub(super) fn new(seed: &str) -> Self {
        Self { key: Key::seeded(&format!("{seed}/ctfe")) }
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// One `SignedCertificateTimestamp`, in the encoding of TLS.
    fn timestamp(&self, precertificate: &Precertificate<'_>, milliseconds: u64) -> Vec<u8> {
        let signature = self.key.sign(&signed_part(precertificate, milliseconds));
        let timestamp = [
            &[VERSION_1][..],
            &self.key.log_id(),
            &milliseconds.to_be_bytes(),
            &NO_EXTENSIONS,
            &ECDSA_WITH_SHA256,
            &prefixed(&signature),
        ]
        .concat();
        prefixed(&timestamp)
    }
}

/// A `SignedCertificateTimestampList` with a timestamp of each of these logs, in the encoding of TLS.
pub(super) fn timestamps(
    logs: &[&CertificateLog],
    precertificate: &Precertificate<'_>,
    milliseconds: u64,
) -> Vec<u8> {
    let list: Vec<u8> = logs.iter().flat_map(|log| log.timestamp(precertificate, milliseconds)).collect();
    prefixed(&list)
}

/// The `digitally-signed struct` of RFC 6962 §3.2 for a pre-certificate entry.
fn signed_part(precertificate: &Precertificate<'_>, milliseconds: u64) -> Vec<u8> {
    let length = length(precertificate.tbs).to_be_bytes();
    [
        &[VERSION_1, CERTIFICATE_TIMESTAMP][..],
        &milliseconds.to_be_bytes(),
        &PRECERTIFICATE,
        &precertificate.issuer_key_hash,
        &length[1..],
        precertificate.tbs,
        &NO_EXTENSIONS,
    ]
    .concat()
}

/// Bytes behind their length in two bytes.
fn prefixed(bytes: &[u8]) -> Vec<u8> {
    [&length(bytes).to_be_bytes()[2..], bytes].concat()
}

#[expect(clippy::expect_used, reason = "certificates made here have a few kilobytes")]
fn length(bytes: &[u8]) -> u32 {
    u16::try_from(bytes.len()).map(u32::from).expect("below 64 KiB")
}

#[cfg(test)]
mod tests {
    use p256::ecdsa::signature::Verifier;
    use p256::ecdsa::{DerSignature, VerifyingKey};
    use p256::pkcs8::DecodePublicKey;

    use super::*;

    #[test]
    fn a_timestamp_list_has_the_layout_of_the_specification() {
        let log = CertificateLog::new("seed");
        let precertificate = Precertificate { issuer_key_hash: [7; 32], tbs: b"content" };
        let list = timestamps(&[&log], &precertificate, 0x0102_0304_0506_0708);

        let (timestamp, signature) = list[4..].split_at(1 + 32 + 8 + 2 + 2 + 2);
        assert_eq!(list[..2], u16::try_from(list.len() - 2).unwrap().to_be_bytes());
        assert_eq!(list[2..4], u16::try_from(list.len() - 4).unwrap().to_be_bytes());
        assert_eq!(timestamp[0], 0);
        assert_eq!(timestamp[1..33], log.key.log_id());
        assert_eq!(timestamp[33..41], [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(timestamp[41..45], [0, 0, 4, 3]);
        assert_eq!(timestamp[45..], u16::try_from(signature.len()).unwrap().to_be_bytes());

        let message =
            [&[0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1][..], &[7; 32], &[0, 0, 7], b"content", &[0, 0]].concat();
        let key = VerifyingKey::from_public_key_der(log.key.spki()).unwrap();
        key.verify(&message, &DerSignature::from_bytes(signature).unwrap()).unwrap();
    }
}
