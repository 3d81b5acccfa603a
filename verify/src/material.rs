//! Material: bytes that may be a signature, kept as they were found.

use std::collections::BTreeMap;

use bytes::Bytes;
use oci::Digest;
use thiserror::Error;

use crate::log_entry;

mod encoding;

/// The most bytes that a simple-signing payload may have. Real ones have a few hundred.
pub(crate) const PAYLOAD_LIMIT: usize = 1024 * 1024;

/// The most bytes that the annotations of one signature may have, names and values together. Real ones have about
/// ten thousand.
pub(crate) const ANNOTATIONS_LIMIT: usize = 256 * 1024;

/// The most signatures that are looked at in one manifest.
pub(crate) const SIGNATURES_LIMIT: usize = 64;

/// One piece of material: a raw candidate, with everything that is needed to check it.
///
/// It proves nothing until it is [checked](crate::check), and it is worth keeping: checking it again asks nobody.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Material(Kind);

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A layer of cosign's tag scheme.
    SimpleSigning {
        /// The signed bytes.
        payload: Bytes,
        /// What the layer's descriptor says of them: signature, certificate, log entry.
        annotations: BTreeMap<String, String>,
    },
}

/// Why something is not material. It is refused as a whole, since what is beyond a limit might be what matters.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidMaterial {
    /// A manifest has more signatures than are looked at.
    #[error("manifest has more than {SIGNATURES_LIMIT} signatures")]
    TooManySignatures,
    /// A payload is larger than is looked at.
    #[error("signed payload is larger than {PAYLOAD_LIMIT} bytes")]
    PayloadTooLarge,
    /// The annotations of a signature are larger than is looked at.
    #[error("annotations are larger than {ANNOTATIONS_LIMIT} bytes")]
    AnnotationsTooLarge,
    /// The payload is not the one that the manifest names.
    #[error("payload is {got} where the manifest names {want}")]
    WrongPayload {
        /// The digest in the manifest.
        want: Digest,
        /// The digest of what came.
        got: Digest,
    },
    /// Kept bytes are not an encoding of material, or of a version that is not read any more.
    #[error("encoding is malformed or of another version")]
    Malformed,
}

impl Material {
    /// A signature of the tag scheme.
    pub(crate) fn simple_signing(
        payload: Bytes,
        annotations: BTreeMap<String, String>,
    ) -> Result<Self, InvalidMaterial> {
        if payload.len() > PAYLOAD_LIMIT {
            return Err(InvalidMaterial::PayloadTooLarge);
        }
        within_limit(&annotations)?;
        Ok(Self(Kind::SimpleSigning { payload, annotations }))
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.0
    }

    /// The address of this material: the `sha256` of its [encoding](Self::encode).
    pub fn digest(&self) -> Digest {
        Digest::of(&self.encode())
    }

    /// The one way to write this material down. It begins with its version.
    pub fn encode(&self) -> Bytes {
        encoding::write(&self.0)
    }

    /// Reads what [`encode`](Self::encode) wrote, and nothing else: whatever decodes encodes to the same bytes.
    ///
    /// # Errors
    /// [`InvalidMaterial::Malformed`], or the limit that is exceeded.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidMaterial> {
        match encoding::read(bytes)? {
            Kind::SimpleSigning { payload, annotations } => Self::simple_signing(payload, annotations),
        }
    }

    /// When a log recorded this, in seconds since 1970, as the material itself says. Nothing vouches for it yet.
    ///
    /// A check made while this is in the future finds a flaw that lies in the clock and not in the material. Facts
    /// found then may be used but not be remembered.
    pub fn claimed_time(&self) -> Option<i64> {
        match &self.0 {
            Kind::SimpleSigning { annotations, .. } => log_entry::claimed_time(annotations),
        }
    }
}

/// Checks that annotations are few enough to be looked at.
pub(crate) fn within_limit(annotations: &BTreeMap<String, String>) -> Result<(), InvalidMaterial> {
    let size: usize = annotations.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > ANNOTATIONS_LIMIT {
        return Err(InvalidMaterial::AnnotationsTooLarge);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn material_beyond_a_limit_is_refused() {
        let large = Bytes::from(vec![b' '; PAYLOAD_LIMIT + 1]);
        let largest = large.slice(1..);
        assert!(Material::simple_signing(largest, BTreeMap::new()).is_ok());
        assert_eq!(Material::simple_signing(large, BTreeMap::new()), Err(InvalidMaterial::PayloadTooLarge));

        let value = "x".repeat(ANNOTATIONS_LIMIT - 1);
        assert!(Material::simple_signing(Bytes::new(), annotations(&[("a", &value)])).is_ok());
        assert_eq!(
            Material::simple_signing(Bytes::new(), annotations(&[("ab", &value)])),
            Err(InvalidMaterial::AnnotationsTooLarge)
        );
    }

    #[test]
    fn the_address_covers_payload_and_annotations() {
        let digest = |payload: &'static str, pairs: &[(&str, &str)]| {
            let payload = Bytes::from_static(payload.as_bytes());
            Material::simple_signing(payload, annotations(pairs)).unwrap().digest()
        };
        let all = [
            digest("", &[]),
            digest("a", &[]),
            digest("", &[("a", "")]),
            digest("", &[("", "a")]),
            digest("a", &[("a", "")]),
            digest("", &[("a", "b"), ("c", "d")]),
            digest("", &[("a", "bcd")]),
        ];
        for (index, digest) in all.iter().enumerate() {
            assert!(!all[..index].contains(digest), "{index}");
        }
    }

    #[test]
    fn the_claimed_time_is_the_log_entrys() {
        let entry = r#"{"SignedEntryTimestamp":"","Payload":{"integratedTime":1664111795}}"#;
        let time = |pairs: &[(&str, &str)]| {
            Material::simple_signing(Bytes::new(), annotations(pairs)).unwrap().claimed_time()
        };
        assert_eq!(time(&[("dev.sigstore.cosign/bundle", entry)]), Some(1_664_111_795));
        assert_eq!(time(&[("dev.sigstore.cosign/bundle", "{}")]), None);
        assert_eq!(time(&[]), None);
    }
}
