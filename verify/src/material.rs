//! Material: bytes that may be a signature, kept as they were found.

use std::collections::BTreeMap;

use bytes::Bytes;
use oci::Digest;
use thiserror::Error;

use crate::envelope::Envelope;
use crate::{legacy_bundle, log_entry, sigstore_bundle};

mod encoding;

/// The most bytes that a simple-signing payload may have. Real ones have a few hundred.
pub(crate) const PAYLOAD_LIMIT: usize = 1024 * 1024;

/// The most bytes that a DSSE envelope or a Sigstore bundle may have. A software bill of materials is in
/// some.
pub(crate) const DOCUMENT_LIMIT: usize = 8 * 1024 * 1024;

/// The most bytes that the annotations of one signature may have, names and values together. Real ones have
/// about ten thousand.
pub(crate) const ANNOTATIONS_LIMIT: usize = 256 * 1024;

/// The most annotations that one signature may have.
pub(crate) const ANNOTATION_COUNT_LIMIT: usize = 1024;

/// The most signatures that are looked at for one image.
pub(crate) const SIGNATURES_LIMIT: usize = 64;

/// One piece of material: a raw candidate, with everything that is needed to check it.
///
/// It proves nothing until it is [checked](crate::check()), and it is worth keeping: checking it again asks
/// nobody.
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
    /// A layer of cosign's tag scheme that carries a statement.
    Envelope {
        /// A DSSE envelope, in JSON.
        envelope: Bytes,
        /// What the layer's descriptor says of it: certificate, log entry.
        annotations: BTreeMap<String, String>,
    },
    /// A Sigstore bundle, which has everything in it.
    Bundle {
        /// The bundle, in JSON.
        json: Bytes,
    },
}

/// Why something is not material. It is refused as a whole, since what is beyond a limit might be what
/// matters.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidMaterial {
    /// There are more signatures than are looked at.
    #[error("there are more than {SIGNATURES_LIMIT} signatures")]
    TooManySignatures,
    /// There are more manifests that may hold signatures than are looked at.
    #[error("there are more manifests that may hold signatures than are looked at")]
    TooManyManifests,
    /// The list of what refers to an image goes on for longer than is read.
    #[error("the list of referrers has more pages than are read")]
    TooManyPages,
    /// All that an image's signatures sign is more than is looked at.
    #[error("the signatures of the image are larger than is looked at, taken together")]
    TooMuch,
    /// Something that may hold a signature is not what it is said to be.
    #[error("something that may hold a signature is not what it is said to be")]
    Unusable,
    /// A payload, an envelope or a bundle is larger than is looked at.
    #[error("signed payload is larger than {limit} bytes")]
    PayloadTooLarge {
        /// The most bytes that it may have.
        limit: usize,
    },
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
    /// The most bytes that the [encoding](Self::encode) of any material has.
    pub const ENCODED_LIMIT: u64 =
        (DOCUMENT_LIMIT + ANNOTATIONS_LIMIT + 16 * (ANNOTATION_COUNT_LIMIT + 1) + 64) as u64;

    /// A signature of the tag scheme.
    pub(crate) fn simple_signing(
        payload: Bytes,
        annotations: BTreeMap<String, String>,
    ) -> Result<Self, InvalidMaterial> {
        if payload.len() > PAYLOAD_LIMIT {
            return Err(InvalidMaterial::PayloadTooLarge { limit: PAYLOAD_LIMIT });
        }
        within_limit(&annotations)?;
        Ok(Self(Kind::SimpleSigning { payload, annotations }))
    }

    /// An attestation of the tag scheme.
    pub(crate) fn envelope(
        envelope: Bytes,
        annotations: BTreeMap<String, String>,
    ) -> Result<Self, InvalidMaterial> {
        if envelope.len() > DOCUMENT_LIMIT {
            return Err(InvalidMaterial::PayloadTooLarge { limit: DOCUMENT_LIMIT });
        }
        within_limit(&annotations)?;
        Ok(Self(Kind::Envelope { envelope, annotations }))
    }

    /// A Sigstore bundle.
    pub(crate) fn bundle(json: Bytes) -> Result<Self, InvalidMaterial> {
        if json.len() > DOCUMENT_LIMIT {
            return Err(InvalidMaterial::PayloadTooLarge { limit: DOCUMENT_LIMIT });
        }
        Ok(Self(Kind::Bundle { json }))
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

    /// Reads what [`encode`](Self::encode) wrote, and nothing else: whatever decodes encodes to the same
    /// bytes.
    ///
    /// # Errors
    /// [`InvalidMaterial::Malformed`], or the limit that is exceeded.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidMaterial> {
        match encoding::read(bytes)? {
            Kind::SimpleSigning { payload, annotations } => Self::simple_signing(payload, annotations),
            Kind::Envelope { envelope, annotations } => Self::envelope(envelope, annotations),
            Kind::Bundle { json } => Self::bundle(json),
        }
    }

    /// The statement that this carries, if it carries one: JSON, as in-toto has it.
    ///
    /// Nothing vouches for it. It is to be kept by its digest, and read only where facts about this material
    /// name that digest.
    pub fn statement(&self) -> Option<Bytes> {
        let envelope = match &self.0 {
            Kind::SimpleSigning { .. } => return None,
            Kind::Envelope { envelope, .. } => Envelope::parse(envelope).ok()?,
            Kind::Bundle { json } => sigstore_bundle::envelope(json)?,
        };
        Some(envelope.payload)
    }

    /// When this was recorded or seen, in seconds since 1970, as the material itself says. Nothing vouches
    /// for it yet.
    ///
    /// A check made while this is in the future finds a flaw that lies in the clock and not in the material.
    /// Facts found then may be used but not be remembered.
    pub fn claimed_time(&self) -> Option<i64> {
        match &self.0 {
            Kind::SimpleSigning { annotations, .. } | Kind::Envelope { annotations, .. } => {
                log_entry::claimed_time(annotations).max(legacy_bundle::claimed_time(annotations))
            }
            Kind::Bundle { json } => sigstore_bundle::claimed_time(json),
        }
    }
}

/// Checks that annotations are few enough to be looked at.
pub(crate) fn within_limit(annotations: &BTreeMap<String, String>) -> Result<(), InvalidMaterial> {
    let size: usize = annotations.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > ANNOTATIONS_LIMIT || annotations.len() > ANNOTATION_COUNT_LIMIT {
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
        assert_eq!(
            Material::simple_signing(large.clone(), BTreeMap::new()),
            Err(InvalidMaterial::PayloadTooLarge { limit: PAYLOAD_LIMIT })
        );
        assert!(Material::envelope(large, BTreeMap::new()).is_ok());
        let large = Bytes::from(vec![b' '; DOCUMENT_LIMIT + 1]);
        let refused = Err(InvalidMaterial::PayloadTooLarge { limit: DOCUMENT_LIMIT });
        assert!(Material::bundle(large.slice(1..)).is_ok());
        assert_eq!(Material::bundle(large.clone()), refused);
        assert_eq!(Material::envelope(large, BTreeMap::new()), refused);

        let value = "x".repeat(ANNOTATIONS_LIMIT - 1);
        assert!(Material::simple_signing(Bytes::new(), annotations(&[("a", &value)])).is_ok());
        assert_eq!(
            Material::simple_signing(Bytes::new(), annotations(&[("ab", &value)])),
            Err(InvalidMaterial::AnnotationsTooLarge)
        );
        let many: BTreeMap<_, _> =
            (0..=ANNOTATION_COUNT_LIMIT).map(|number| (number.to_string(), String::new())).collect();
        assert_eq!(Material::simple_signing(Bytes::new(), many), Err(InvalidMaterial::AnnotationsTooLarge));
    }

    #[test]
    fn no_encoding_is_larger_than_is_said() {
        let names = (0..ANNOTATION_COUNT_LIMIT).map(|number| format!("{number:0256}"));
        let annotations = names.map(|name| (name, String::new())).collect();
        let material = Material::envelope(vec![b' '; DOCUMENT_LIMIT].into(), annotations).unwrap();
        assert!(material.encode().len() as u64 <= Material::ENCODED_LIMIT);
    }

    #[test]
    fn what_kind_it_is_distinguishes_material() {
        let bytes = Bytes::from_static(b"{}");
        let all = [
            Material::simple_signing(bytes.clone(), BTreeMap::new()).unwrap(),
            Material::envelope(bytes.clone(), BTreeMap::new()).unwrap(),
            Material::bundle(bytes).unwrap(),
        ];
        for (index, material) in all.iter().enumerate() {
            assert_eq!(Material::decode(&material.encode()).as_ref(), Ok(material));
            assert!(all[..index].iter().all(|other| other.digest() != material.digest()));
        }
    }

    #[test]
    fn a_statement_is_given_where_there_is_one() {
        let envelope = r#"{"payloadType":"a","payload":"c3RhdGVtZW50","signatures":[{"sig":"c2ln"}]}"#;
        let statement = |material: Result<Material, InvalidMaterial>| material.unwrap().statement();
        let expected = Some(Bytes::from_static(b"statement"));
        assert_eq!(statement(Material::envelope(envelope.into(), BTreeMap::new())), expected);
        let bundle = |content: &str| Bytes::from(format!("{{{content}}}"));
        assert_eq!(statement(Material::bundle(bundle(&format!(r#""dsseEnvelope":{envelope}"#)))), expected);
        assert_eq!(statement(Material::bundle(bundle(r#""messageSignature":{}"#))), None);
        assert_eq!(statement(Material::simple_signing(envelope.into(), BTreeMap::new())), None);
        assert_eq!(statement(Material::envelope("{".into(), BTreeMap::new())), None);
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
