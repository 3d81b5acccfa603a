//! What to fetch of a manifest that holds signatures.

use std::collections::BTreeMap;

use oci::{Descriptor, Digest, Manifest, MediaType, Verified};

use crate::material::{
    DOCUMENT_LIMIT, InvalidMaterial, Material, PAYLOAD_LIMIT, SIGNATURES_LIMIT, within_limit,
};

/// A signature that a manifest names, whose payload is yet to be fetched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Candidate {
    /// What the payload is.
    pub kind: CandidateKind,
    /// The payload: what is signed, or a document that has everything in it.
    pub payload: Digest,
    /// How many bytes the manifest says that it has: at most the [limit](CandidateKind::limit) of its kind.
    pub size: u64,
    /// The signature, its certificate and its log entry, where these are not in the payload: at most 256 KiB.
    pub annotations: BTreeMap<String, String>,
}

/// What the payload of a candidate is, by the media type of its layer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CandidateKind {
    /// A simple-signing payload: a signature of cosign's tag scheme.
    SimpleSigning,
    /// A DSSE envelope: an attestation of cosign's tag scheme.
    Envelope,
    /// A Sigstore bundle, of any version.
    Bundle,
}

/// The signatures of a manifest that are looked at, and whether there are others.
///
/// Whoever may push to a repository can add signatures to any image in it. So those within the limits count,
/// and only where none of them is enough is it unknown whether the image is signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Candidates {
    /// Those within the limits, in the manifest's order: at most 64.
    pub list: Vec<Candidate>,
    /// The first limit that kept another from being looked at.
    pub beyond: Option<InvalidMaterial>,
}

impl Candidates {
    /// The signatures that a manifest names, in its order. An index names none, and layers of another kind are skipped.
    ///
    /// Left out are those after the first 64, payloads larger than the limit of their kind, and annotations
    /// of more than 256 KiB.
    pub fn of(manifest: &Manifest) -> Self {
        let layers = match manifest {
            Manifest::Image(image) => image.layers.as_slice(),
            Manifest::Index(_) => &[],
        };
        let mut found = Self { list: Vec::new(), beyond: None };
        for (kind, layer) in layers.iter().filter_map(|layer| Some((CandidateKind::of(layer)?, layer))) {
            let within = if found.list.len() < SIGNATURES_LIMIT {
                candidate(kind, layer)
            } else {
                Err(InvalidMaterial::TooManySignatures)
            };
            match within {
                Ok(candidate) => found.list.push(candidate),
                Err(limit) => found.beyond = found.beyond.or(Some(limit)),
            }
        }
        found
    }
}

impl CandidateKind {
    fn of(layer: &Descriptor) -> Option<Self> {
        match layer.media_type.as_str() {
            MediaType::SIMPLE_SIGNING => Some(Self::SimpleSigning),
            MediaType::DSSE_ENVELOPE => Some(Self::Envelope),
            other => other.starts_with(MediaType::SIGSTORE_BUNDLE_PREFIX).then_some(Self::Bundle),
        }
    }

    /// The most bytes that such a payload may have: 1 MiB for simple signing, else 8 MiB.
    pub fn limit(self) -> usize {
        match self {
            Self::SimpleSigning => PAYLOAD_LIMIT,
            Self::Envelope | Self::Bundle => DOCUMENT_LIMIT,
        }
    }
}

fn candidate(kind: CandidateKind, layer: &Descriptor) -> Result<Candidate, InvalidMaterial> {
    if layer.size > kind.limit() as u64 {
        return Err(InvalidMaterial::PayloadTooLarge { limit: kind.limit() });
    }
    let annotations = match kind {
        CandidateKind::SimpleSigning | CandidateKind::Envelope => layer.annotations.clone(),
        // A bundle has everything in it. What lies beside it must not make two pieces of material of one.
        CandidateKind::Bundle => BTreeMap::new(),
    };
    within_limit(&annotations)?;
    Ok(Candidate { kind, payload: layer.digest, size: layer.size, annotations })
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
        let payload = payload.bytes().clone();
        match self.kind {
            CandidateKind::SimpleSigning => Material::simple_signing(payload, self.annotations),
            CandidateKind::Envelope => Material::envelope(payload, self.annotations),
            CandidateKind::Bundle => Material::bundle(payload),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::material::ANNOTATIONS_LIMIT;

    const PAYLOAD: &[u8] = b"payload";
    const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

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

    fn manifest(layers: &[Value]) -> Manifest {
        let config = layer("application/vnd.oci.image.config.v1+json", 2, "");
        let document = json!({"mediaType": MediaType::OCI_MANIFEST, "config": config, "layers": layers});
        let content = Verified::of(Bytes::from(document.to_string()));
        Manifest::parse(&content, None).unwrap()
    }

    /// What is found where nothing is beyond a limit.
    fn found_in(layers: &[Value]) -> Vec<Candidate> {
        let Candidates { list, beyond } = Candidates::of(&manifest(layers));
        assert_eq!(beyond, None);
        list
    }

    #[test]
    fn signatures_are_found_in_their_order_among_other_layers() {
        let found = found_in(&[
            layer(MediaType::DSSE_ENVELOPE, 1, "attestation"),
            signature(2, "first"),
            layer("application/vnd.oci.image.layer.v1.tar+gzip", 1 << 40, "image"),
            layer(BUNDLE, 4, "nothing that counts"),
            layer("application/vnd.dev.sigstore.bundle+json;version=0.2", 5, ""),
            signature(3, "second"),
        ]);
        let kinds: Vec<_> = found.iter().map(|found| (found.kind, found.size)).collect();
        let (simple, bundle) = (CandidateKind::SimpleSigning, CandidateKind::Bundle);
        assert_eq!(kinds, [(CandidateKind::Envelope, 1), (simple, 2), (bundle, 4), (bundle, 5), (simple, 3)]);
        let annotations: Vec<_> = found.iter().flat_map(|found| found.annotations.values()).collect();
        assert_eq!(annotations, ["attestation", "first", "second"]);
        assert_eq!(found[0].payload, Digest::of(PAYLOAD));
    }

    #[test]
    fn an_index_names_no_signatures() {
        let document = json!({"mediaType": MediaType::OCI_INDEX, "manifests": [signature(1, "")]});
        let content = Verified::of(Bytes::from(document.to_string()));
        let found = Candidates::of(&Manifest::parse(&content, None).unwrap());
        assert_eq!(found, Candidates { list: Vec::new(), beyond: None });
    }

    #[test]
    fn a_manifest_is_read_up_to_its_limits() {
        #[track_caller]
        fn check(layers: &[Value], within: usize, limit: &InvalidMaterial) {
            let found = Candidates::of(&manifest(layers));
            assert_eq!((found.list.len(), found.beyond.as_ref()), (within, Some(limit)));
        }
        let full = vec![signature(PAYLOAD_LIMIT, "x"); SIGNATURES_LIMIT];
        assert_eq!(found_in(&full).len(), SIGNATURES_LIMIT);
        let over = vec![signature(1, "x"); SIGNATURES_LIMIT + 1];
        check(&over, SIGNATURES_LIMIT, &InvalidMaterial::TooManySignatures);
        let large = [signature(PAYLOAD_LIMIT + 1, "x"), signature(1, "x")];
        check(&large, 1, &InvalidMaterial::PayloadTooLarge { limit: PAYLOAD_LIMIT });
        for kind in [BUNDLE, MediaType::DSSE_ENVELOPE] {
            assert_eq!(found_in(&[layer(kind, DOCUMENT_LIMIT, "x")]).len(), 1);
            let large = [layer(kind, DOCUMENT_LIMIT + 1, "x"), signature(1, "x")];
            check(&large, 1, &InvalidMaterial::PayloadTooLarge { limit: DOCUMENT_LIMIT });
        }
        let wordy = [signature(1, "x"), signature(1, &"x".repeat(ANNOTATIONS_LIMIT)), signature(1, "x")];
        check(&wordy, 2, &InvalidMaterial::AnnotationsTooLarge);
    }

    #[test]
    fn only_the_payload_that_was_named_makes_material() {
        for kind in [MediaType::SIMPLE_SIGNING, MediaType::DSSE_ENVELOPE, BUNDLE] {
            let candidate = found_in(&[layer(kind, PAYLOAD.len(), "x")]).remove(0);
            let other = Verified::of(Bytes::from_static(b"other"));
            assert_eq!(
                candidate.clone().material(other.clone()),
                Err(InvalidMaterial::WrongPayload { want: Digest::of(PAYLOAD), got: other.digest() })
            );
            assert!(candidate.material(Verified::of(Bytes::from_static(PAYLOAD))).is_ok());
        }
    }
}
