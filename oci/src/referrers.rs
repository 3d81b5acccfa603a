//! Lists of what refers to a manifest: signatures, attestations, bills of materials.

use bytes::Bytes;
use serde_json::Value;

use crate::{InvalidManifest, Manifest, MediaType, Verified};

/// The manifests that name another as their subject, as the
/// [referrers API](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers) has them: an
/// index, in the bytes that it was written in.
///
/// What it says of a manifest is what whoever pushed that wrote, or what a registry made of it. It proves nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReferrersList(Bytes);

const EMPTY: &[u8] =
    br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

impl ReferrersList {
    /// The list of nothing.
    pub fn empty() -> Self {
        Self(Bytes::from_static(EMPTY))
    }

    /// Takes bytes for a list if they are an index, with no more entries than an index may have.
    ///
    /// # Errors
    /// As [`Manifest::parse`] says; an image is no list either.
    pub fn parse(bytes: Bytes) -> Result<Self, InvalidManifest> {
        let index = MediaType::new(MediaType::OCI_INDEX);
        match Manifest::parse(&Verified::of(bytes.clone()), Some(&index))? {
            Manifest::Index(_) => Ok(Self(bytes)),
            Manifest::Image(image) => {
                Err(InvalidManifest::UnsupportedMediaType(image.media_type.to_string()))
            }
        }
    }

    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        let index: Option<Value> = serde_json::from_slice(&self.0).ok();
        let entries = index.as_ref().and_then(|index| index["manifests"].as_array());
        entries.is_none_or(Vec::is_empty)
    }

    /// The entries that say they are of this artifact type, each with everything that it says. The same bytes if all
    /// of them do.
    #[must_use]
    pub fn of_type(&self, artifact_type: &str) -> Self {
        let is = |entry: &Value| entry.get("artifactType").and_then(Value::as_str) == Some(artifact_type);
        // It was read when this was made, so there is always a list.
        let Ok(Value::Object(mut index)) = serde_json::from_slice(&self.0) else { return Self::empty() };
        let Some(Value::Array(entries)) = index.get_mut("manifests") else { return Self::empty() };
        if entries.iter().all(is) {
            return self.clone();
        }
        entries.retain(is);
        Self(Value::Object(index).to_string().into())
    }

    /// The index.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Digest;

    fn entry(artifact_type: &str, name: &[u8]) -> Value {
        json!({
            "mediaType": MediaType::OCI_MANIFEST, "digest": Digest::of(name), "size": 7,
            "artifactType": artifact_type, "annotations": {"a": "b"}, "odd": [1],
        })
    }

    fn list(entries: &[Value]) -> ReferrersList {
        let index = json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": entries});
        ReferrersList::parse(index.to_string().into()).unwrap()
    }

    #[test]
    fn a_filter_keeps_entries_whole_and_leaves_alone_what_passes_it() {
        let (sbom, signature) = (entry("application/spdx+json", b"1"), entry("application/x.sig", b"2"));
        let both = list(&[sbom.clone(), signature]);
        let filtered = both.of_type("application/spdx+json");
        let read: Value = serde_json::from_slice(filtered.bytes()).unwrap();
        assert_eq!(read["manifests"], json!([sbom]));
        assert_eq!(filtered.of_type("application/spdx+json"), filtered);
        assert!(ReferrersList::parse(both.of_type("other").bytes().clone()).is_ok());
    }

    #[test]
    fn what_is_no_index_is_no_list() {
        let image = json!({
            "mediaType": MediaType::OCI_MANIFEST, "config": entry("a", b"1"), "layers": [],
        });
        for text in ["{", "[]", "{}", &image.to_string()] {
            assert!(ReferrersList::parse(Bytes::copy_from_slice(text.as_bytes())).is_err(), "{text}");
        }
        let empty = ReferrersList::empty();
        assert_eq!(ReferrersList::parse(empty.bytes().clone()).unwrap(), empty);
    }
}
