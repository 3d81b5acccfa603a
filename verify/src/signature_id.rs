//! What a signature is called where it has to be told from others.

use oci::{Algorithm, Hasher};
use pem::{EncodeConfig, LineEnding, Pem};
use sigstore_verify::types::DerCertificate;

/// The sha256, in hexadecimal, of a signature and then its certificate, if one vouches for the signer.
///
/// policy-controller calls signatures by the same name, so the certificate is in PEM as Go writes it, whatever
/// it was in. A certificate that nobody looked at is no part of it.
pub(crate) fn of(signature: &[u8], certificate: Option<&DerCertificate>) -> String {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(signature);
    if let Some(certificate) = certificate {
        let block = Pem::new("CERTIFICATE", certificate.as_bytes());
        let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
        hasher.update(pem::encode_config(&block, lines).as_bytes());
    }
    hasher.finish().hex()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_called_by_itself_and_its_certificate_as_go_writes_it() {
        let hash = |text: &str| oci::Digest::of(text.as_bytes()).hex();
        assert_eq!(of(b"signature", None), hash("signature"));
        let certificate = DerCertificate::new(vec![0; 49]);
        let lines = format!("{}\n{}\n", "A".repeat(64), "AA==");
        let pem = format!("-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n");
        assert_eq!(of(b"signature", Some(&certificate)), hash(&format!("signature{pem}")));
    }
}
