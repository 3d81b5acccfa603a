//! Which content is a signature, and where signatures are kept.

use crate::{Digest, ImageManifest, Manifest, MediaType, Tag};

/// How large the parts of a signature artefact may be, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct ArtefactLimits {
    /// One layer or the configuration. Attestations that carry a software bill of materials run to megabytes.
    pub part: u64,
    /// How many layers.
    pub layers: usize,
}

impl Default for ArtefactLimits {
    fn default() -> Self {
        Self { part: 32 * 1024 * 1024, layers: 1024 }
    }
}

impl Manifest {
    /// Whether this is made of signatures alone, and so may be read by anyone who wants to verify an image.
    ///
    /// Judged by what every layer is, never by `subject`, `artifactType` or a tag: those are chosen freely by
    /// whoever pushes, and a runnable image can carry them.
    pub fn is_signature_artefact(&self, limits: ArtefactLimits) -> bool {
        match self {
            Self::Image(image) => image.is_signature_artefact(limits),
            Self::Index(_) => false,
        }
    }
}

impl ImageManifest {
    fn is_signature_artefact(&self, limits: ArtefactLimits) -> bool {
        !self.layers.is_empty()
            && self.layers.len() <= limits.layers
            && self.config.size <= limits.part
            && self.layers.iter().all(|layer| layer.media_type.is_signature() && layer.size <= limits.part)
    }
}

impl MediaType {
    /// Whether this names a signature or an attestation: simple signing, DSSE or a Sigstore bundle.
    pub fn is_signature(&self) -> bool {
        matches!(self.as_str(), Self::SIMPLE_SIGNING | Self::DSSE_ENVELOPE)
            || self.as_str().starts_with(Self::SIGSTORE_BUNDLE_PREFIX)
    }
}

/// What cosign keeps of an image under tags of its own.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Attachment {
    /// Signatures.
    Signatures,
    /// Signed statements.
    Attestations,
    /// A bill of materials, which nobody signed.
    Sbom,
}

impl Attachment {
    /// The tag under which it is kept of a digest: `<prefix><algorithm>-<hex>.sig`, and so on. The prefix is empty
    /// unless whoever signed chose one.
    ///
    /// There is none where that is no tag: for a sha512 digest, whose 139 characters are too many, and for a prefix
    /// of more than 53 or of others than tags are made of.
    pub fn tag(self, digest: &Digest, prefix: &str) -> Option<Tag> {
        let kind = match self {
            Self::Signatures => "sig",
            Self::Attestations => "att",
            Self::Sbom => "sbom",
        };
        format!("{prefix}{}-{}.{kind}", digest.algorithm().as_str(), digest.hex()).parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::Verified;

    fn manifest(layer_types: &[&str], size: u64) -> Manifest {
        let part = |media_type: &str| serde_json::json!({"mediaType": media_type, "digest": Digest::of(b"x"), "size": size});
        let document = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST,
            "config": part("application/vnd.oci.image.config.v1+json"),
            "layers": layer_types.iter().map(|layer| part(layer)).collect::<Vec<_>>(),
            "subject": part(MediaType::OCI_MANIFEST),
        });
        Manifest::parse(&Verified::of(Bytes::from(document.to_string())), None).unwrap()
    }

    #[track_caller]
    fn check(layer_types: &[&str], size: u64, exempt: bool) {
        let limits = ArtefactLimits::default();
        assert_eq!(
            manifest(layer_types, size).is_signature_artefact(limits),
            exempt,
            "{layer_types:?} {size}"
        );
    }

    #[test]
    fn every_layer_must_be_a_signature() {
        check(&[MediaType::SIMPLE_SIGNING], 300, true);
        check(&[MediaType::SIMPLE_SIGNING, MediaType::DSSE_ENVELOPE], 300, true);
        check(&["application/vnd.dev.sigstore.bundle.v0.3+json"], 300, true);
        check(&["application/vnd.dev.sigstore.bundle+json;version=0.2"], 300, true);
        check(&[], 300, false);
        check(&["application/vnd.oci.image.layer.v1.tar+gzip"], 300, false);
        check(&[MediaType::SIMPLE_SIGNING, "application/vnd.oci.image.layer.v1.tar+gzip"], 300, false);
        check(&[MediaType::SIMPLE_SIGNING], 33 * 1024 * 1024, false);
    }

    #[test]
    fn what_cosign_attaches_has_cosigns_tags() {
        let digest = Digest::of(b"");
        let tag =
            |kind: Attachment, prefix: &str| kind.tag(&digest, prefix).map(|tag| tag.as_str().to_owned());
        let stem = "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for (kind, suffix) in
            [(Attachment::Signatures, "sig"), (Attachment::Attestations, "att"), (Attachment::Sbom, "sbom")]
        {
            assert_eq!(tag(kind, "").unwrap(), format!("{stem}.{suffix}"));
            assert_eq!(tag(kind, "prod-").unwrap(), format!("prod-{stem}.{suffix}"));
            assert_eq!(tag(kind, "a/b"), None);
            assert_eq!(kind.tag(&Digest::with(crate::Algorithm::Sha512, b""), ""), None);
        }
        assert!(tag(Attachment::Signatures, &"p".repeat(53)).is_some());
        assert_eq!(tag(Attachment::Signatures, &"p".repeat(54)), None);
    }
}
