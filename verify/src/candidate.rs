//! What to fetch of a manifest that holds signatures.

use std::collections::BTreeMap;

use oci::{Descriptor, Digest, Manifest, MediaType, Verified};

use crate::material::{InvalidMaterial, Material, PAYLOAD_LIMIT, SIGNATURES_LIMIT, within_limit};

/// A signature that a manifest names, whose payload is yet to be fetched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Candidate {
    /// The signed payload.
    pub payload: Digest,
    /// How many bytes the manifest says that it has: at most 1 MiB.
    pub size: u64,
    /// The signature, its certificate and its log entry: at most 256 KiB.
    pub annotations: BTreeMap<String, String>,
}

/// The signatures that a manifest names, in its order. An index names none, and layers of another kind are skipped.
///
/// # Errors
/// More than 64 signatures, a payload of more than 1 MiB, or annotations of more than 256 KiB refuse the manifest.
pub fn candidates(manifest: &Manifest) -> Result<Vec<Candidate>, InvalidMaterial> {
    let layers = match manifest {
        Manifest::Image(image) => image.layers.as_slice(),
        Manifest::Index(_) => &[],
    };
    let signatures: Vec<_> =
        layers.iter().filter(|layer| layer.media_type.as_str() == MediaType::SIMPLE_SIGNING).collect();
    if signatures.len() > SIGNATURES_LIMIT {
        return Err(InvalidMaterial::TooManySignatures);
    }
    signatures.into_iter().map(candidate).collect()
}

fn candidate(layer: &Descriptor) -> Result<Candidate, InvalidMaterial> {
    if layer.size > PAYLOAD_LIMIT as u64 {
        return Err(InvalidMaterial::PayloadTooLarge);
    }
    within_limit(&layer.annotations)?;
    Ok(Candidate { payload: layer.digest, size: layer.size, annotations: layer.annotations.clone() })
}

impl Candidate {
    /// This signature together with the payload that was fetched for it.
    ///
    /// # Errors
    /// [`InvalidMaterial::WrongPayload`] where that is another payload, or the limit that is exceeded.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the payload becomes part of the material, and whoever fetched it is done with it"
    )]
    pub fn material(self, payload: Verified) -> Result<Material, InvalidMaterial> {
        if payload.digest() != self.payload {
            return Err(InvalidMaterial::WrongPayload { want: self.payload, got: payload.digest() });
        }
        Material::simple_signing(payload.bytes().clone(), self.annotations)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::material::ANNOTATIONS_LIMIT;

    const PAYLOAD: &[u8] = b"payload";

    fn layer(media_type: &str, size: usize, annotation: &str) -> Value {
        json!({
            "mediaType": media_type,
            "digest": Digest::of(PAYLOAD),
            "size": size,
            "annotations": {"dev.cosignproject.cosign/signature": annotation},
        })
    }

    fn signature(size: usize, annotation: &str) -> Value {
        layer(MediaType::SIMPLE_SIGNING, size, annotation)
    }

    fn found_in(layers: &[Value]) -> Result<Vec<Candidate>, InvalidMaterial> {
        let config = layer("application/vnd.oci.image.config.v1+json", 2, "");
        let document = json!({"mediaType": MediaType::OCI_MANIFEST, "config": config, "layers": layers});
        let content = Verified::of(Bytes::from(document.to_string()));
        candidates(&Manifest::parse(&content, None).unwrap())
    }

    #[test]
    fn signatures_are_found_in_their_order_among_other_layers() {
        let found = found_in(&[
            layer(MediaType::DSSE_ENVELOPE, 1, "attestation"),
            signature(2, "first"),
            layer("application/vnd.oci.image.layer.v1.tar+gzip", 1 << 40, "image"),
            signature(3, "second"),
        ])
        .unwrap();
        let annotations: Vec<_> = found.iter().flat_map(|found| found.annotations.values()).collect();
        assert_eq!(annotations, ["first", "second"]);
        assert_eq!(found[0].payload, Digest::of(PAYLOAD));
        assert_eq!(found[1].size, 3);
    }

    #[test]
    fn an_index_names_no_signatures() {
        let document = json!({"mediaType": MediaType::OCI_INDEX, "manifests": [signature(1, "")]});
        let content = Verified::of(Bytes::from(document.to_string()));
        assert_eq!(candidates(&Manifest::parse(&content, None).unwrap()), Ok(Vec::new()));
    }

    #[test]
    fn a_manifest_beyond_a_limit_is_refused_whole() {
        let full = vec![signature(PAYLOAD_LIMIT, "x"); SIGNATURES_LIMIT];
        assert_eq!(found_in(&full).unwrap().len(), SIGNATURES_LIMIT);
        let over = vec![signature(1, "x"); SIGNATURES_LIMIT + 1];
        assert_eq!(found_in(&over), Err(InvalidMaterial::TooManySignatures));
        let large = [signature(1, "x"), signature(PAYLOAD_LIMIT + 1, "x")];
        assert_eq!(found_in(&large), Err(InvalidMaterial::PayloadTooLarge));
        let wordy = [signature(1, "x"), signature(1, &"x".repeat(ANNOTATIONS_LIMIT))];
        assert_eq!(found_in(&wordy), Err(InvalidMaterial::AnnotationsTooLarge));
    }

    #[test]
    fn only_the_payload_that_was_named_makes_material() {
        let candidate = found_in(&[signature(PAYLOAD.len(), "x")]).unwrap().remove(0);
        let other = Verified::of(Bytes::from_static(b"other"));
        assert_eq!(
            candidate.clone().material(other.clone()),
            Err(InvalidMaterial::WrongPayload { want: Digest::of(PAYLOAD), got: other.digest() })
        );
        assert!(candidate.material(Verified::of(Bytes::from_static(PAYLOAD))).is_ok());
    }
}
