//! What the registry holds.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use oci::{Algorithm, Digest, MediaType, TagOrDigest};
use serde_json::{Value, json};

use super::Referrers;

/// Every repository and what is in it.
pub(super) struct Content {
    referrers: Referrers,
    repositories: BTreeMap<String, Repository>,
}

#[derive(Default)]
struct Repository {
    blobs: HashMap<Digest, Bytes>,
    manifests: HashMap<Digest, Stored>,
    tags: BTreeMap<String, Digest>,
}

/// A manifest and the media type it was put as.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) media_type: String,
    pub(super) bytes: Bytes,
    /// The manifest that it says it belongs to.
    subject: Option<Digest>,
}

impl Content {
    pub(super) fn new(referrers: Referrers) -> Self {
        Self { referrers, repositories: BTreeMap::new() }
    }

    pub(super) fn put_blob(&mut self, repository: &str, bytes: Bytes) -> Digest {
        let digest = Digest::of(&bytes);
        self.within(repository).blobs.insert(digest, bytes);
        digest
    }

    pub(super) fn put_manifest(
        &mut self,
        repository: &str,
        tag: Option<&str>,
        media_type: &str,
        bytes: Bytes,
    ) -> Digest {
        let digest = Digest::of(&bytes);
        let subject = subject(&bytes);
        let media_type = media_type.to_owned();
        self.within(repository).manifests.insert(digest, Stored { media_type, bytes, subject });
        if let Some(tag) = tag {
            self.tag(repository, tag, digest);
        }
        if let (Some(subject), Referrers::FallbackTag) = (subject, self.referrers) {
            self.put_fallback(repository, &subject);
        }
        digest
    }

    /// Renews the index that lists the referrers of a digest for clients that know no endpoint for it.
    fn put_fallback(&mut self, repository: &str, subject: &Digest) {
        let index = self.referrers_of(repository, subject);
        let tag = format!("{}-{}", subject.algorithm().as_str(), subject.hex());
        self.put_manifest(repository, Some(&tag), MediaType::OCI_INDEX, index);
    }

    pub(super) fn tag(&mut self, repository: &str, tag: &str, digest: Digest) {
        self.within(repository).tags.insert(tag.to_owned(), digest);
    }

    pub(super) fn tagged(&self, repository: &str, tag: &str) -> Option<Digest> {
        self.repositories.get(repository)?.tags.get(tag).copied()
    }

    pub(super) fn remove_tag(&mut self, repository: &str, tag: &str) {
        self.within(repository).tags.remove(tag);
    }

    pub(super) fn remove(&mut self, repository: &str, digest: &Digest) {
        let repository = self.within(repository);
        repository.blobs.remove(digest);
        repository.manifests.remove(digest);
    }

    pub(super) fn blob(&self, repository: &str, digest: &Digest) -> Option<Bytes> {
        let blobs = &self.repositories.get(repository)?.blobs;
        match digest.algorithm() {
            Algorithm::Sha256 => blobs.get(digest).cloned(),
            Algorithm::Sha512 => blobs.values().find(|bytes| is(digest, bytes)).cloned(),
        }
    }

    pub(super) fn manifest(&self, repository: &str, version: &TagOrDigest) -> Option<Stored> {
        let repository = self.repositories.get(repository)?;
        let digest = match version {
            TagOrDigest::Tag(tag) => repository.tags.get(tag.as_str())?,
            TagOrDigest::Digest(digest) => digest,
        };
        let stored = match digest.algorithm() {
            Algorithm::Sha256 => repository.manifests.get(digest),
            Algorithm::Sha512 => repository.manifests.values().find(|stored| is(digest, &stored.bytes)),
        };
        stored.cloned()
    }

    pub(super) fn tags(&self, repository: &str) -> Option<Vec<String>> {
        Some(self.repositories.get(repository)?.tags.keys().cloned().collect())
    }

    /// The index of the manifests that name this digest as their subject, or nothing where the registry keeps none.
    pub(super) fn referrers(&self, repository: &str, subject: &Digest) -> Option<Bytes> {
        match self.referrers {
            Referrers::Api => Some(self.referrers_of(repository, subject)),
            Referrers::FallbackTag | Referrers::None => None,
        }
    }

    fn referrers_of(&self, repository: &str, wanted: &Digest) -> Bytes {
        let manifests = self.repositories.get(repository).map(|found| &found.manifests);
        let mut entries: Vec<_> = manifests
            .into_iter()
            .flatten()
            .filter(|(_, stored)| stored.subject.as_ref() == Some(wanted))
            .map(|(digest, stored)| entry(digest, stored))
            .collect();
        entries.sort_by_key(|entry| entry["digest"].to_string());
        let index = json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": entries});
        index.to_string().into()
    }

    fn within(&mut self, repository: &str) -> &mut Repository {
        self.repositories.entry(repository.to_owned()).or_default()
    }
}

fn is(digest: &Digest, bytes: &[u8]) -> bool {
    Digest::with(digest.algorithm(), bytes) == *digest
}

fn subject(manifest: &[u8]) -> Option<Digest> {
    let document: Value = serde_json::from_slice(manifest).ok()?;
    document["subject"]["digest"].as_str()?.parse().ok()
}

fn entry(digest: &Digest, stored: &Stored) -> Value {
    let document: Value = serde_json::from_slice(&stored.bytes).unwrap_or_default();
    let artifact_type = document.get("artifactType").or_else(|| document.pointer("/config/mediaType"));
    let mut entry = json!({
        "mediaType": stored.media_type,
        "digest": digest,
        "size": stored.bytes.len(),
        "artifactType": artifact_type,
    });
    if let Value::Object(annotations) = &document["annotations"] {
        entry["annotations"] = annotations.clone().into();
    }
    entry
}
