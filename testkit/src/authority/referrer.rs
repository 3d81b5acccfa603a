//! Bundles as artefacts that refer to an image, and the list of those under a tag.

use std::collections::BTreeMap;

use bytes::Bytes;
use oci::{Descriptor, Digest, MediaType, Tag};
use serde::Serialize;
use serde_json::Value;

/// The media type and the content of a configuration that there is none of.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const EMPTY_CONTENT: &[u8] = b"{}";

/// Everything that must be pushed for a bundle to be found.
#[derive(Clone, Debug)]
pub struct Referrer {
    /// The manifest, as cosign 3 writes it.
    pub manifest: Bytes,
    /// The manifest's media type.
    pub media_type: MediaType,
    /// The blob that the manifest names as its configuration.
    pub config: Bytes,
    /// The blob that the manifest names as its only layer.
    pub bundle: Bytes,
    artifact_type: String,
    annotations: BTreeMap<String, String>,
}

/// What an index says of the artefacts that it lists.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum IndexedAs {
    /// What they say that they are.
    WhatTheyAre,
    /// What their configuration is: `application/vnd.oci.empty.v1+json`, as some registries put it. The annotations
    /// are not there.
    EmptyConfigurations,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u8,
    media_type: &'a str,
    artifact_type: &'a str,
    config: Descriptor,
    layers: [Descriptor; 1],
    subject: &'a Descriptor,
    annotations: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'a str,
    manifests: Vec<Listed<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    media_type: &'a str,
    size: usize,
    digest: Digest,
    artifact_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a BTreeMap<String, String>>,
}

/// A bundle as an artefact that refers to a subject, as cosign 3 attaches it to an image.
pub fn referrer(subject: &Descriptor, bundle: &Value) -> Referrer {
    let artifact_type = bundle["mediaType"].as_str().unwrap_or_default().to_owned();
    let annotations = annotations(bundle);
    let bundle = Bytes::from(bundle.to_string());
    let manifest = json(&Manifest {
        schema_version: 2,
        media_type: MediaType::OCI_MANIFEST,
        artifact_type: &artifact_type,
        config: descriptor(EMPTY, EMPTY_CONTENT),
        layers: [descriptor(&artifact_type, &bundle)],
        subject,
        annotations: &annotations,
    });
    Referrer {
        manifest,
        media_type: MediaType::new(MediaType::OCI_MANIFEST),
        config: Bytes::from_static(EMPTY_CONTENT),
        bundle,
        artifact_type,
        annotations,
    }
}

/// The index that lists artefacts under the [tag](referrers_tag) of their subject, for registries that do not list
/// them by themselves. It is of type [`MediaType::OCI_INDEX`].
pub fn referrers_index(referrers: &[Referrer], indexed: IndexedAs) -> Bytes {
    let listed = |referrer| list(referrer, indexed);
    json(&Index {
        schema_version: 2,
        media_type: MediaType::OCI_INDEX,
        manifests: referrers.iter().map(listed).collect(),
    })
}

/// The tag that the index of an image's artefacts is looked for under, where there is no referrers endpoint:
/// `sha256-<hex>`.
///
/// # Panics
/// Of a digest that is no sha256, which has none.
#[expect(clippy::expect_used, reason = "it says so")]
pub fn referrers_tag(subject: &Digest) -> String {
    Tag::referrers_fallback(subject).expect("a sha256").as_str().to_owned()
}

fn list(referrer: &Referrer, indexed: IndexedAs) -> Listed<'_> {
    let (artifact_type, annotations) = match indexed {
        IndexedAs::WhatTheyAre => (&referrer.artifact_type[..], Some(&referrer.annotations)),
        IndexedAs::EmptyConfigurations => (EMPTY, None),
    };
    Listed {
        media_type: referrer.media_type.as_str(),
        size: referrer.manifest.len(),
        digest: Digest::of(&referrer.manifest),
        artifact_type,
        annotations,
    }
}

/// What cosign says of a bundle beside it.
fn annotations(bundle: &Value) -> BTreeMap<String, String> {
    let content = if bundle.get("dsseEnvelope").is_some() { "dsse-envelope" } else { "message-signature" };
    let mut annotations = BTreeMap::from([("dev.sigstore.bundle.content".to_owned(), content.to_owned())]);
    annotations
        .extend(predicate_type(bundle).map(|kind| ("dev.sigstore.bundle.predicateType".to_owned(), kind)));
    annotations
}

fn predicate_type(bundle: &Value) -> Option<String> {
    use base64::Engine as _;
    let payload = bundle.pointer("/dsseEnvelope/payload")?.as_str()?;
    let payload = base64::engine::general_purpose::STANDARD.decode(payload).ok()?;
    let statement: Value = serde_json::from_slice(&payload).ok()?;
    Some(statement.get("predicateType")?.as_str()?.to_owned())
}

fn descriptor(media_type: &str, content: &[u8]) -> Descriptor {
    Descriptor {
        media_type: MediaType::new(media_type),
        digest: Digest::of(content),
        size: content.len() as u64,
        annotations: BTreeMap::new(),
    }
}

#[expect(clippy::expect_used, reason = "maps here have text for keys, and writing to memory does not fail")]
fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("the document serializes").into()
}

#[cfg(test)]
mod tests {
    use oci::{ArtefactLimits, Verified};

    use super::*;
    use crate::authority::{Authority, BundleVersion, IMAGE_SIGNATURE, Recipe, Statement};

    fn signed(authority: &Authority) -> (Descriptor, Referrer) {
        let image = descriptor(MediaType::OCI_MANIFEST, b"image manifest");
        let recipe = Recipe::statement(Statement::image_signature(&image.digest));
        let referrer = referrer(&image, &authority.mint(&recipe).bundle(BundleVersion::V03));
        (image, referrer)
    }

    #[test]
    fn an_artefact_is_a_signature_that_says_what_it_belongs_to() {
        let (image, referrer) = signed(&Authority::new("seed"));
        let content = Verified::of(referrer.manifest.clone());
        let manifest = oci::Manifest::parse(&content, Some(&referrer.media_type)).unwrap();
        assert!(manifest.is_signature_artefact(ArtefactLimits::default()));
        let oci::Manifest::Image(manifest) = manifest else {
            panic!("an index");
        };
        assert_eq!(manifest.subject, Some(image));
        assert_eq!(manifest.artifact_type.unwrap().as_str(), BundleVersion::V03.media_type());
        assert_eq!(manifest.config.digest, Digest::of(&referrer.config));
        assert_eq!(manifest.layers[0].digest, Digest::of(&referrer.bundle));
    }

    #[test]
    fn an_index_lists_artefacts_as_what_they_are_or_as_what_they_are_not() {
        let (_, referrer) = signed(&Authority::new("seed"));
        let entry = |indexed| {
            let index = referrers_index(std::slice::from_ref(&referrer), indexed);
            serde_json::from_slice::<Value>(&index).unwrap()["manifests"][0].take()
        };
        let right = entry(IndexedAs::WhatTheyAre);
        assert_eq!(right["artifactType"], BundleVersion::V03.media_type());
        assert_eq!(right["annotations"]["dev.sigstore.bundle.predicateType"], IMAGE_SIGNATURE);
        assert_eq!(right["digest"], Digest::of(&referrer.manifest).to_string());
        let wrong = entry(IndexedAs::EmptyConfigurations);
        assert_eq!(wrong["artifactType"], EMPTY);
        assert_eq!(wrong["annotations"], Value::Null);
    }
}
