//! What an image is made of.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

use crate::{Descriptor, MediaType, Verified, descriptor::null_is_empty};

mod spelling;

/// The most bytes a manifest may have: what clients accept, and more than any real one needs.
pub const MANIFEST_LIMIT: usize = 4 * 1024 * 1024;

/// The most layers, or entries of an index, that are looked at.
const ENTRY_LIMIT: usize = 4096;

/// A manifest that was checked against its digest and understood.
///
/// It is read for inspection only. What is served is always the exact bytes that were hashed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Manifest {
    /// One image: a configuration and layers.
    Image(ImageManifest),
    /// A list of images, one for each platform, or of referrers.
    Index(ImageIndex),
}

/// The configuration and the layers of one image, or the parts of an artefact.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImageManifest {
    /// The media type it is served as.
    pub media_type: MediaType,
    /// What kind of artefact it says that it is, if it is one.
    pub artifact_type: Option<MediaType>,
    /// Its configuration.
    pub config: Descriptor,
    /// Its layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// The manifest that it says it belongs to. Whoever pushes it chooses this, so it proves nothing.
    pub subject: Option<Descriptor>,
}

/// A list of manifests.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImageIndex {
    /// The media type it is served as.
    pub media_type: MediaType,
    /// The manifests it lists.
    pub manifests: Vec<Descriptor>,
}

/// Why some content is not a manifest that we serve.
#[derive(Debug, Error)]
pub enum InvalidManifest {
    /// Neither the content nor its sender names a media type that is served here.
    #[error("media type {0:?} is no image manifest or index")]
    UnsupportedMediaType(String),
    /// The sender's `Content-Type` and the content's own `mediaType` disagree, so that two readers
    /// could take it for two different things (CVE-2021-41190).
    #[error("content says it is {document} but was sent as {sent}")]
    AmbiguousMediaType {
        /// What the `mediaType` field says.
        document: MediaType,
        /// What the `Content-Type` header says.
        sent: MediaType,
    },
    /// It has the parts of an image and of an index at once.
    #[error("manifest has both layers and manifests")]
    Chimera,
    /// It lists more than is looked at.
    #[error("manifest has more than {ENTRY_LIMIT} entries")]
    TooManyEntries,
    /// It is JSON of another kind than an object.
    #[error("manifest is no JSON object")]
    NotAnObject,
    /// It is not the JSON that its media type promises.
    #[error("manifest is malformed")]
    Malformed(#[from] serde_json::Error),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    media_type: Option<MediaType>,
    #[serde(default)]
    artifact_type: Option<MediaType>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Option<Vec<Descriptor>>,
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
    #[serde(default)]
    subject: Option<Descriptor>,
    #[serde(default, rename = "annotations", deserialize_with = "null_is_empty")]
    _annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// Reads a manifest, given the media type that it was sent as, if any.
    ///
    /// # Errors
    /// Anything that two readers could understand differently is refused, see [`InvalidManifest`].
    pub fn parse(content: &Verified, sent_as: Option<&MediaType>) -> Result<Self, InvalidManifest> {
        // serde would take an array for the fields in order, which no other reader of manifests does.
        if content.bytes().trim_ascii_start().first() != Some(&b'{') {
            return Err(InvalidManifest::NotAnObject);
        }
        let document: Document = serde_json::from_slice(content.bytes())?;
        spelling::check(content.bytes())?;
        // A registry that knows no better sends JSON as JSON; only a media type of its own can disagree.
        let sent_as = sent_as.filter(|sent| sent.is_image() || sent.is_index());
        let media_type = match (&document.media_type, sent_as) {
            (Some(document), Some(sent)) if document != sent => {
                return Err(InvalidManifest::AmbiguousMediaType {
                    document: document.clone(),
                    sent: sent.clone(),
                });
            }
            (Some(media_type), _) => media_type.clone(),
            (None, Some(sent)) => sent.clone(),
            (None, None) => return Err(InvalidManifest::UnsupportedMediaType(String::new())),
        };
        let entries = document.layers.iter().chain(&document.manifests).map(Vec::len).sum::<usize>();
        if entries > ENTRY_LIMIT {
            return Err(InvalidManifest::TooManyEntries);
        }
        match document {
            Document { config: Some(_), manifests: Some(_), .. }
            | Document { layers: Some(_), manifests: Some(_), .. } => Err(InvalidManifest::Chimera),
            Document { config: Some(config), layers, manifests: None, artifact_type, subject, .. }
                if media_type.is_image() =>
            {
                let layers = layers.unwrap_or_default();
                Ok(Self::Image(ImageManifest { media_type, artifact_type, config, layers, subject }))
            }
            Document { manifests: Some(manifests), .. } if media_type.is_index() => {
                Ok(Self::Index(ImageIndex { media_type, manifests }))
            }
            _ => Err(InvalidManifest::UnsupportedMediaType(media_type.to_string())),
        }
    }

    /// The media type to serve it as.
    pub fn media_type(&self) -> &MediaType {
        match self {
            Self::Image(image) => &image.media_type,
            Self::Index(index) => &index.media_type,
        }
    }

    /// Everything it names by digest: the configuration and layers of an image, the manifests of an index.
    pub fn children(&self) -> impl Iterator<Item = &Descriptor> {
        let (config, rest) = match self {
            Self::Image(image) => (Some(&image.config), &image.layers),
            Self::Index(index) => (None, &index.manifests),
        };
        config.into_iter().chain(rest)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const EMPTY: &str = r#"{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}"#;

    fn parse(text: &str, sent_as: Option<&str>) -> Result<Manifest, InvalidManifest> {
        let content = Verified::of(Bytes::copy_from_slice(text.as_bytes()));
        Manifest::parse(&content, sent_as.map(MediaType::new).as_ref())
    }

    fn image(media_type: &str) -> String {
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{media_type}","config":{EMPTY},"layers":[{EMPTY}],"annotations":null}}"#
        )
    }

    #[test]
    fn images_and_indexes_are_told_apart() {
        let manifest = parse(&image(MediaType::OCI_MANIFEST), None).unwrap();
        assert!(matches!(&manifest, Manifest::Image(image) if image.layers.len() == 1));
        assert_eq!(manifest.children().count(), 2);

        let index = format!(r#"{{"schemaVersion":2,"manifests":[{EMPTY}]}}"#);
        let manifest = parse(&index, Some(MediaType::OCI_INDEX)).unwrap();
        assert!(matches!(&manifest, Manifest::Index(index) if index.manifests.len() == 1));
        assert_eq!(manifest.media_type().as_str(), MediaType::OCI_INDEX);
    }

    #[test]
    fn a_manifest_with_two_readings_is_refused() {
        let sent = Some(MediaType::OCI_INDEX);
        assert!(matches!(
            parse(&image(MediaType::OCI_MANIFEST), sent),
            Err(InvalidManifest::AmbiguousMediaType { .. })
        ));
        let chimera = format!(
            r#"{{"mediaType":"{}","config":{EMPTY},"layers":[],"manifests":[]}}"#,
            MediaType::OCI_MANIFEST
        );
        assert!(matches!(parse(&chimera, None), Err(InvalidManifest::Chimera)));
        let twice =
            format!(r#"{{"mediaType":"{0}","mediaType":"{0}","manifests":[]}}"#, MediaType::OCI_INDEX);
        assert!(matches!(parse(&twice, None), Err(InvalidManifest::Malformed(_))));
    }

    #[test]
    fn layers_that_only_clients_in_go_would_see_are_refused() {
        let hidden = image(MediaType::OCI_MANIFEST).replace(r#""layers":"#, r#""Layers":[],"layers":"#);
        assert!(matches!(parse(&hidden, None), Err(InvalidManifest::Malformed(_))));
        let after = hidden.replace(r#""annotations":null"#, &format!(r#""layerſ":[{EMPTY}]"#));
        assert!(matches!(parse(&after, None), Err(InvalidManifest::Malformed(_))));
    }

    #[test]
    fn other_documents_are_not_manifests() {
        assert!(matches!(parse("{}", None), Err(InvalidManifest::UnsupportedMediaType(_))));
        assert!(matches!(parse("[]", None), Err(InvalidManifest::NotAnObject)));
        assert!(matches!(parse("{", None), Err(InvalidManifest::Malformed(_))));
        let schema1 =
            r#"{"mediaType":"application/vnd.docker.distribution.manifest.v1+json","schemaVersion":1}"#;
        assert!(matches!(parse(schema1, None), Err(InvalidManifest::UnsupportedMediaType(_))));
        // An image's parts under an index's name, and the other way round.
        assert!(parse(&image(MediaType::OCI_INDEX), None).is_err());
    }

    #[test]
    fn a_generic_content_type_does_not_contradict_the_document() {
        assert!(parse(&image(MediaType::DOCKER_MANIFEST), Some("application/json; charset=utf-8")).is_ok());
    }
}
