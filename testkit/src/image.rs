//! Images to push and pull, made from a number.

mod tar;

use bytes::Bytes;
use oci::{Digest, MediaType};
use serde_json::{Value, json};

use crate::registry::Registry;

/// The media type of the configuration of an image.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The media type of a layer that is not compressed.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A small image of two layers, real enough for a runtime to unpack.
#[derive(Clone, Debug)]
pub struct Image {
    /// The configuration.
    pub config: Bytes,
    /// The layers, lowest first: tar archives.
    pub layers: Vec<Bytes>,
    /// The manifest, of type [`MediaType::OCI_MANIFEST`].
    pub manifest: Bytes,
}

/// An index over images.
#[derive(Clone, Debug)]
pub struct Index {
    /// The index, of type [`MediaType::OCI_INDEX`].
    pub manifest: Bytes,
    /// The images it lists.
    pub images: Vec<Image>,
}

/// The platforms of an index's entries, in this order, again and again. Every configuration says `amd64`.
const ARCHITECTURES: [&str; 4] = ["amd64", "arm64", "s390x", "ppc64le"];

impl Image {
    /// The image of this number: the same number gives the same bytes, another one shares no blob with it.
    pub fn random(seed: u64) -> Self {
        let base = tar::archive(&[("etc/testkit-release", format!("NAME=testkit\nID={seed}\n").as_bytes())]);
        let data = tar::archive(&[("app/data", &noise(seed, 4096))]);
        Self::of(vec![base, data])
    }

    /// An image of these layers, which should be tar archives.
    pub fn of(layers: Vec<Bytes>) -> Self {
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "created": "2026-01-01T00:00:00Z",
            "config": {"Entrypoint": ["/app/data"], "Env": ["PATH=/app"]},
            "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|layer| Digest::of(layer)).collect::<Vec<_>>()},
            "history": [{"created_by": "testkit"}, {"created_by": "testkit"}],
        });
        let config = Bytes::from(config.to_string());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST,
            "config": descriptor(CONFIG, &config),
            "layers": layers.iter().map(|layer| descriptor(LAYER, layer)).collect::<Vec<_>>(),
        });
        Self { config, layers, manifest: manifest.to_string().into() }
    }

    /// The address of its manifest.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    /// Its configuration and layers.
    pub fn blobs(&self) -> impl Iterator<Item = &Bytes> {
        self.layers.iter().chain([&self.config])
    }

    /// Puts it into a registry and returns its address.
    pub fn push_to(&self, registry: &Registry, repository: &str, tag: Option<&str>) -> Digest {
        for blob in self.blobs() {
            registry.put_blob(repository, blob.clone());
        }
        registry.put_manifest(repository, tag, MediaType::OCI_MANIFEST, self.manifest.clone())
    }
}

/// An index that lists these images, each under another platform.
pub fn index_of(images: &[Image]) -> Index {
    let entry = |(image, architecture): (&Image, &&str)| {
        let mut entry = descriptor(MediaType::OCI_MANIFEST, &image.manifest);
        entry["platform"] = json!({"architecture": architecture, "os": "linux"});
        entry
    };
    let entries: Vec<_> = images.iter().zip(ARCHITECTURES.iter().cycle()).map(entry).collect();
    let index = json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": entries});
    Index { manifest: index.to_string().into(), images: images.to_vec() }
}

impl Index {
    /// The address of the index.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    /// Puts it and its images into a registry, and returns its address.
    pub fn push_to(&self, registry: &Registry, repository: &str, tag: Option<&str>) -> Digest {
        for image in &self.images {
            image.push_to(registry, repository, None);
        }
        registry.put_manifest(repository, tag, MediaType::OCI_INDEX, self.manifest.clone())
    }
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()})
}

/// Bytes that do not compress and depend on the seed alone (xorshift64*).
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use oci::{Manifest, Verified};

    use super::*;

    #[test]
    fn an_image_is_what_its_number_says() {
        assert_eq!(Image::random(7).digest(), Image::random(7).digest());
        let first: Vec<_> = Image::random(1).blobs().map(|blob| Digest::of(blob)).collect();
        assert!(Image::random(2).blobs().all(|blob| !first.contains(&Digest::of(blob))));
    }

    #[test]
    fn what_is_made_parses() {
        let image = Image::random(1);
        let Manifest::Image(parsed) = Manifest::parse(&Verified::of(image.manifest.clone()), None).unwrap()
        else {
            panic!("not an image");
        };
        assert_eq!(parsed.config.digest, Digest::of(&image.config));
        assert_eq!(parsed.layers.len(), 2);

        let index = index_of(&[image, Image::random(2)]);
        let Manifest::Index(parsed) = Manifest::parse(&Verified::of(index.manifest.clone()), None).unwrap()
        else {
            panic!("not an index");
        };
        assert_eq!(parsed.manifests[1].digest, index.images[1].digest());
    }
}
