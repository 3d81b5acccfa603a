//! The annotations in which cosign keeps a signature of the tag scheme.

/// The signature over the layer's content, in base64.
pub(super) const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// The log entry and its promise, as JSON.
pub(super) const BUNDLE: &str = "dev.sigstore.cosign/bundle";
/// The signer's certificate, in PEM.
pub(super) const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
/// The certificates above it, in PEM, the root last.
pub(super) const CHAIN: &str = "dev.sigstore.cosign/chain";
/// The answer of a timestamp authority, in base64 in JSON.
pub(super) const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";
/// What kind of statement an envelope holds.
pub(super) const PREDICATE_TYPE: &str = "predicateType";
