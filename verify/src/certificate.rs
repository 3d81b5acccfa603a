//! Certificates as cosign writes them into annotations: PEM.

use policies::{Flaw, FlawKind};
use sigstore_verify::types::{DerCertificate, X509Certificate};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::flaw::flaw;

/// The most certificates of a chain that are looked at. Fulcio's has two.
const CHAIN_LIMIT: usize = 8;

/// The certificate that a signature was made under: exactly one.
pub(crate) fn leaf(pem: &str) -> Result<X509Certificate, Flaw> {
    let mut blocks = blocks(pem)?;
    match (blocks.pop(), blocks.is_empty()) {
        (Some(certificate), true) => Ok(X509Certificate::new(certificate)),
        (Some(_), false) => Err(flaw(FlawKind::Malformed, "there is more than one signing certificate")),
        (None, _) => Err(flaw(FlawKind::Malformed, "the signing certificate is no PEM")),
    }
}

/// The certificates between the leaf and a root. Roots are left out: they are trusted where a trust root has
/// them, and by no other way.
pub(crate) fn intermediates(pem: &str) -> Result<Vec<X509Certificate>, Flaw> {
    let blocks = blocks(pem)?;
    if blocks.len() > CHAIN_LIMIT {
        let detail = format!("the certificate chain has more than {CHAIN_LIMIT} certificates");
        return Err(flaw(FlawKind::Unsupported, detail));
    }
    let mut intermediates = Vec::with_capacity(blocks.len());
    for block in blocks {
        let parsed = parse(block.as_bytes())?;
        if parsed.tbs_certificate.issuer != parsed.tbs_certificate.subject {
            intermediates.push(X509Certificate::new(block));
        }
    }
    Ok(intermediates)
}

/// One certificate, in DER.
pub(crate) fn parse(der: &[u8]) -> Result<Certificate, Flaw> {
    Certificate::from_der(der)
        .map_err(|error| flaw(FlawKind::Malformed, format_args!("certificate is malformed: {error}")))
}

/// Every certificate of a text, in DER.
pub(crate) fn blocks(pem: &str) -> Result<Vec<DerCertificate>, Flaw> {
    let blocks = pem::parse_many(pem)
        .map_err(|error| flaw(FlawKind::Malformed, format_args!("certificate is no PEM: {error}")))?;
    blocks
        .into_iter()
        .map(|block| match block.tag() {
            "CERTIFICATE" => Ok(DerCertificate::new(block.into_contents())),
            other => Err(flaw(
                FlawKind::Malformed,
                format_args!("a PEM block is of type {other:?} where a certificate was expected"),
            )),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    /// A root and an intermediate that it issued.
    fn chain() -> (String, String) {
        let params = |name: &str| {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        };
        let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let root = params("root").self_signed(&root_key).unwrap();
        let issuer = Issuer::new(params("root"), root_key);
        let intermediate = params("intermediate").signed_by(&key, &issuer).unwrap();
        (root.pem(), intermediate.pem())
    }

    fn kind<T>(result: Result<T, Flaw>) -> Option<FlawKind> {
        result.err().map(|flaw| flaw.kind)
    }

    #[test]
    fn roots_are_no_part_of_a_chain() {
        let (root, intermediate) = chain();
        let found = intermediates(&format!("{intermediate}\n{root}")).unwrap();
        assert_eq!(found, [leaf(&intermediate).unwrap()]);
        assert_eq!(intermediates(&root).unwrap(), []);
    }

    #[test]
    fn one_signature_has_one_certificate() {
        let (root, intermediate) = chain();
        assert!(leaf(&root).is_ok());
        assert_eq!(kind(leaf(&format!("{root}{intermediate}"))), Some(FlawKind::Malformed));
        assert_eq!(kind(leaf("no certificate")), Some(FlawKind::Malformed));
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let key = "-----BEGIN PUBLIC KEY-----\nYWJjZA==\n-----END PUBLIC KEY-----\n";
        assert_eq!(kind(leaf(key)), Some(FlawKind::Malformed));
        assert_eq!(kind(intermediates(key)), Some(FlawKind::Malformed));
        assert_eq!(kind(intermediates(&key.replace("PUBLIC KEY", "CERTIFICATE"))), Some(FlawKind::Malformed));
        let (_, intermediate) = chain();
        assert!(intermediates(&intermediate.repeat(CHAIN_LIMIT)).is_ok());
        assert_eq!(kind(intermediates(&intermediate.repeat(CHAIN_LIMIT + 1))), Some(FlawKind::Unsupported));
    }
}
