//! What kind of thing some content says it is.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

/// A media type as a registry or a manifest writes it, without parameters.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
pub struct MediaType(Arc<str>);

/// The `Accept` that is sent upstream for a manifest, whoever asks: an answer that depended on the client could not be shared.
pub const MANIFEST_ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json";

impl MediaType {
    /// An OCI image manifest.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// An OCI image index.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// A Docker image manifest, version 2 schema 2.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// A Docker manifest list.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// A layer of a cosign signature: a simple-signing payload.
    pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
    /// A layer of a cosign attestation: a DSSE envelope.
    pub const DSSE_ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
    /// How the media types of Sigstore bundles, of every version, begin.
    pub const SIGSTORE_BUNDLE_PREFIX: &str = "application/vnd.dev.sigstore.bundle";

    /// The media type in a `Content-Type` header or a `mediaType` field. Parameters are dropped.
    pub fn new(text: &str) -> Self {
        // The bundle types of v0.1 and v0.2 carry their version as a parameter, which is part of the name.
        let name = if text.starts_with(Self::SIGSTORE_BUNDLE_PREFIX) {
            text
        } else {
            text.split(';').next().unwrap_or(text)
        };
        Self(name.trim().into())
    }

    /// The media type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this names an image manifest, OCI or Docker.
    pub fn is_image(&self) -> bool {
        matches!(self.as_str(), Self::OCI_MANIFEST | Self::DOCKER_MANIFEST)
    }

    /// Whether this names an index, OCI or Docker.
    pub fn is_index(&self) -> bool {
        matches!(self.as_str(), Self::OCI_INDEX | Self::DOCKER_LIST)
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for MediaType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(&std::borrow::Cow::<str>::deserialize(deserializer)?))
    }
}
