//! The manifests under which cosign pushes signatures and attestations of the tag scheme.

use std::collections::BTreeMap;

use bytes::Bytes;
use oci::{Attachment, Digest, MediaType};
use serde::Serialize;

use super::SignedLayer;

/// The moment that Go writes for none, which is when cosign's manifests say they were made.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Everything that must be pushed for signatures to be found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignatureManifest {
    /// The manifest, as cosign writes it.
    pub manifest: Bytes,
    /// The manifest's media type.
    pub media_type: MediaType,
    /// The blob that the manifest names as its configuration.
    pub config: Bytes,
    /// The blobs that the manifest names as layers, in order.
    pub payloads: Vec<Bytes>,
}

impl SignatureManifest {
    /// The tag that the signatures of an image are looked for under.
    ///
    /// # Panics
    /// Of a digest that is no sha256, which has none.
    pub fn tag_for(digest: &Digest) -> String {
        tag(Attachment::Signatures, digest)
    }

    /// The tag that the attestations of an image are looked for under.
    ///
    /// # Panics
    /// Of a digest that is no sha256, which has none.
    pub fn attestation_tag_for(digest: &Digest) -> String {
        tag(Attachment::Attestations, digest)
    }
}

#[expect(clippy::expect_used, reason = "the functions above say so")]
fn tag(kind: Attachment, digest: &Digest) -> String {
    kind.tag(digest, "").expect("a sha256").as_str().to_owned()
}

/// The fields in the order in which cosign writes them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema_version: u8,
    media_type: &'static str,
    config: Descriptor<'a>,
    layers: Vec<Descriptor<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    media_type: &'static str,
    size: usize,
    digest: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a BTreeMap<String, String>>,
}

#[derive(Serialize)]
struct Config {
    architecture: &'static str,
    created: &'static str,
    history: Vec<Step>,
    os: &'static str,
    rootfs: RootFilesystem,
    config: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Step {
    created: &'static str,
}

#[derive(Serialize)]
struct RootFilesystem {
    r#type: &'static str,
    diff_ids: Vec<Digest>,
}

/// The `.sig` manifest over these signatures, and the blobs that belong to it.
pub fn signature_manifest(layers: &[SignedLayer]) -> SignatureManifest {
    manifest(layers, MediaType::SIMPLE_SIGNING)
}

/// The `.att` manifest over these signed statements, and the blobs that belong to it.
pub fn attestation_manifest(layers: &[SignedLayer]) -> SignatureManifest {
    manifest(layers, MediaType::DSSE_ENVELOPE)
}

fn manifest(layers: &[SignedLayer], layer_type: &'static str) -> SignatureManifest {
    let config = json(&Config {
        architecture: "",
        created: NEVER,
        history: layers.iter().map(|_| Step { created: NEVER }).collect(),
        os: "",
        rootfs: RootFilesystem {
            r#type: "layers",
            diff_ids: layers.iter().map(|layer| Digest::of(&layer.payload)).collect(),
        },
        config: BTreeMap::new(),
    });
    let document = Document {
        schema_version: 2,
        media_type: MediaType::OCI_MANIFEST,
        config: descriptor("application/vnd.oci.image.config.v1+json", &config, None),
        layers: layers
            .iter()
            .map(|layer| descriptor(layer_type, &layer.payload, Some(&layer.annotations)))
            .collect(),
    };
    SignatureManifest {
        manifest: json(&document),
        media_type: MediaType::new(MediaType::OCI_MANIFEST),
        payloads: layers.iter().map(|layer| layer.payload.clone()).collect(),
        config,
    }
}

fn descriptor<'a>(
    media_type: &'static str,
    content: &[u8],
    annotations: Option<&'a BTreeMap<String, String>>,
) -> Descriptor<'a> {
    Descriptor { media_type, size: content.len(), digest: Digest::of(content), annotations }
}

#[expect(clippy::expect_used, reason = "maps here have text for keys, and writing to memory does not fail")]
fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("the document serializes").into()
}

#[cfg(test)]
mod tests {
    use oci::{ArtefactLimits, Manifest, Verified};

    use super::*;

    fn layer(payload: &'static str) -> SignedLayer {
        SignedLayer {
            payload: Bytes::from_static(payload.as_bytes()),
            annotations: BTreeMap::from([("b".into(), "2".into()), ("a".into(), "1".into())]),
        }
    }

    #[test]
    fn the_configuration_is_byte_for_byte_what_cosign_writes() {
        // The payload and the configuration's digest of a published signature.
        let payload = concat!(
            r#"{"critical":{"identity":{"docker-reference":"ghcr.io/chainguard-images/alpine-base"},"#,
            r#""image":{"docker-manifest-digest":"sha256:5de96740e48218ac03b9f2f80f5c752b1ef45d97c46126efd028b1e15b5e6f60"},"#,
            r#""type":"cosign container image signature"},"optional":{"run_attempt":"1","run_id":"3573207955","#,
            r#""sha":"5df1c34ec619db5563913c4201e5689378d04702"}}"#,
        );
        assert_eq!(
            Digest::of(&signature_manifest(&[layer(payload)]).config).hex(),
            "f71e26746691bfd7306f8bd403c60e1c827979c1b4456483ccac4f476e7d1cf3"
        );
    }

    #[test]
    fn the_manifest_has_the_fields_of_cosign_in_their_order() {
        let signed = signature_manifest(&[layer("payload")]);
        let (config, payload) = (Digest::of(&signed.config), Digest::of(b"payload"));
        let expected = format!(
            concat!(
                r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":"#,
                r#"{{"mediaType":"application/vnd.oci.image.config.v1+json","size":233,"digest":"{}"}},"layers":"#,
                r#"[{{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json","size":7,"digest":"{}","#,
                r#""annotations":{{"a":"1","b":"2"}}}}]}}"#,
            ),
            config, payload
        );
        assert_eq!(signed.manifest, expected);
    }

    #[test]
    fn the_manifest_is_a_signature_artefact_with_a_layer_for_each_signature() {
        let signed = signature_manifest(&[layer("one"), layer("two")]);
        let manifest = Manifest::parse(&Verified::of(signed.manifest), Some(&signed.media_type)).unwrap();
        assert!(manifest.is_signature_artefact(ArtefactLimits::default()));
        let Manifest::Image(image) = manifest else {
            panic!("an index");
        };
        assert_eq!(image.layers.len(), 2);
        assert_eq!(image.layers[1].media_type.as_str(), MediaType::SIMPLE_SIGNING);
        assert_eq!(image.layers[1].digest, Digest::of(&signed.payloads[1]));
    }

    #[test]
    fn the_layers_of_attestations_are_envelopes() {
        let signed = attestation_manifest(&[layer("one")]);
        let manifest = Manifest::parse(&Verified::of(signed.manifest), Some(&signed.media_type)).unwrap();
        assert!(manifest.is_signature_artefact(ArtefactLimits::default()));
        let Manifest::Image(image) = manifest else {
            panic!("an index");
        };
        assert_eq!(image.layers[0].media_type.as_str(), MediaType::DSSE_ENVELOPE);
    }

    #[test]
    fn signatures_are_looked_for_under_the_tag_that_cosign_uses() {
        let digest = Digest::of(b"image");
        let hex = digest.hex();
        assert_eq!(SignatureManifest::tag_for(&digest), format!("sha256-{hex}.sig"));
        assert_eq!(SignatureManifest::attestation_tag_for(&digest), format!("sha256-{hex}.att"));
    }
}
