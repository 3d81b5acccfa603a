//! Images that were saved to a directory, put into a registry again.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use oci::{Digest, MediaType};
use serde_json::Value;

use crate::registry::Registry;

/// Where an index of a layout keeps the tag of an entry.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Puts everything of an OCI [image layout](https://github.com/opencontainers/image-spec/blob/main/image-layout.md)
/// into one repository of a registry, and returns the digest of every tag.
///
/// Blobs that are missing are left out, since saved fixtures often lack layers. Blocks: it reads with `std::fs`.
///
/// # Errors
/// There is no such layout, a file cannot be read, or a document in it is not the JSON it should be.
pub fn load(registry: &Registry, repository: &str, directory: &Path) -> io::Result<BTreeMap<String, Digest>> {
    let layout = Layout { registry, repository, directory };
    let index: Value = serde_json::from_slice(&std::fs::read(directory.join("index.json"))?)?;
    let mut tags = BTreeMap::new();
    for entry in entries(&index, "manifests") {
        let Some(digest) = layout.put(entry)? else {
            continue;
        };
        if let Some(tag) = entry["annotations"][REF_NAME].as_str().map(tag_in) {
            registry.tag(repository, tag, digest);
            tags.insert(tag.to_owned(), digest);
        }
    }
    Ok(tags)
}

struct Layout<'a> {
    registry: &'a Registry,
    repository: &'a str,
    directory: &'a Path,
}

impl Layout<'_> {
    /// Puts what a descriptor names, and what that names in turn. Nothing, if it is missing.
    fn put(&self, descriptor: &Value) -> io::Result<Option<Digest>> {
        let Some(bytes) = self.read(descriptor)? else {
            return Ok(None);
        };
        let media_type = MediaType::new(descriptor["mediaType"].as_str().unwrap_or_default());
        if !media_type.is_image() && !media_type.is_index() {
            return Ok(Some(self.registry.put_blob(self.repository, bytes)));
        }
        let document: Value = serde_json::from_slice(&bytes)?;
        let parts = ["manifests", "layers"].iter().flat_map(|list| entries(&document, list));
        for part in parts.chain(document.get("config")) {
            self.put(part)?;
        }
        Ok(Some(self.registry.put_manifest(self.repository, None, media_type.as_str(), bytes)))
    }

    fn read(&self, descriptor: &Value) -> io::Result<Option<Bytes>> {
        match std::fs::read(self.path(descriptor)?) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn path(&self, descriptor: &Value) -> io::Result<PathBuf> {
        let digest: Digest = descriptor["digest"]
            .as_str()
            .unwrap_or_default()
            .parse()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let algorithm = digest.algorithm().as_str();
        Ok(self.directory.join("blobs").join(algorithm).join(digest.hex()))
    }
}

fn entries<'a>(document: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    document[list].as_array().into_iter().flatten()
}

/// The tag in an entry's name, which some tools write as a whole reference.
fn tag_in(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, tag)| tag)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;
    use crate::image::Image;

    #[tokio::test]
    async fn a_layout_is_loaded_but_for_what_it_lacks() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = directory.path().join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        let image = Image::random(1);
        for bytes in [&image.manifest, &image.config, &image.layers[0]] {
            fs::write(blobs.join(Digest::of(bytes).hex()), bytes).unwrap();
        }
        let entry = |name: &str| {
            json!({
                "mediaType": MediaType::OCI_MANIFEST,
                "digest": image.digest(),
                "size": image.manifest.len(),
                "annotations": {REF_NAME: name},
            })
        };
        let index = json!({"schemaVersion": 2, "manifests": [entry("v1"), entry("ghcr.io/acme/app:v2")]});
        fs::write(directory.path().join("index.json"), index.to_string()).unwrap();

        let registry = Registry::start().await;
        let tags = load(&registry, "acme/app", directory.path()).unwrap();
        assert_eq!(
            tags.into_iter().collect::<Vec<_>>(),
            [("v1".to_owned(), image.digest()), ("v2".to_owned(), image.digest())]
        );
        assert!(registry.has("acme/app", &Digest::of(&image.config)));
        assert!(!registry.has("acme/app", &Digest::of(&image.layers[1])));
    }
}
