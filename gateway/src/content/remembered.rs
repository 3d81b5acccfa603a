//! What is remembered of content, for whoever operates the gateway.

use std::sync::Arc;

use cache::{Beginning, Forgets, Holdings, KeyBytes, Look};
use oci::{Digest, Name};

use super::{Content, InRepository, Known};

/// The tables of what is no [`Memo`](cache::Memo).
pub(super) const LINKS: &str = "links";
pub(super) const BLOBS: &str = "blobs";

/// Manifests in memory, each of which knows when its links were made: where links are purged, they are made anew.
pub(super) struct Relinked(pub(super) moka::future::Cache<InRepository, Arc<Known>>);

impl Forgets for Relinked {
    fn forget_under(&self, _: &Beginning) {
        self.0.invalidate_all();
    }
}

/// Content, which goes by digest.
pub(super) struct Removed(pub(super) Arc<Holdings>);

impl Forgets for Removed {
    fn forget_under(&self, beginning: &Beginning) {
        self.0.remove_under(beginning);
    }
}

impl Content {
    /// The tags of a repository that are in memory.
    pub(crate) async fn tags_of(&self, name: &Name) -> Vec<String> {
        let keys = self.tags_under(Beginning::of(name)).await;
        let tag = |key: &KeyBytes| String::from_utf8(key.fields().nth(2)?.to_vec()).ok();
        let mut tags: Vec<String> = keys.iter().filter_map(tag).collect();
        tags.sort();
        tags
    }

    /// The keys of tags that begin so: host, repository, tag.
    pub(crate) async fn tags_under(&self, beginning: Beginning) -> Vec<KeyBytes> {
        self.tags.keys_under(beginning).await
    }

    /// What each tier has for a tag.
    pub(crate) async fn look_at_tag(&self, name: &Name, tag: &str) -> Look<Digest> {
        self.tags.look(&(name.clone(), tag.to_owned())).await
    }

    /// The keys of manifests that repositories are known to have: host, repository, digest.
    pub(crate) async fn members_under(&self, beginning: Beginning) -> Vec<KeyBytes> {
        self.members.keys_under(beginning).await
    }

    /// Forgets what tags mean, here and at every replica.
    pub(crate) async fn purge_tags(&self, beginning: Beginning) -> bool {
        self.tags.purge(beginning).await
    }

    /// Forgets which manifests repositories have, here and at every replica: their registries are asked again.
    pub(crate) async fn purge_members(&self, beginning: Beginning) -> bool {
        let told = self.members.purge(beginning).await;
        self.recent.invalidate_all();
        told
    }

    /// Forgets links, here and at every replica. They are made again when their manifest is pulled.
    pub(crate) async fn purge_links(&self, beginning: Beginning) -> bool {
        let told = self.links.purge(beginning).await;
        self.recent.invalidate_all();
        told
    }

    /// Removes the bytes of a digest, or all, here and at every replica. Says how many files were removed here.
    pub(crate) async fn purge_bytes(&self, digest: Option<Digest>) -> (usize, bool) {
        let removed = self.blobs.remove(digest).await;
        self.recent.invalidate_all();
        let beginning = digest.map_or_else(Beginning::of_all, |digest| Beginning::of(&digest));
        let told = match &self.shared {
            Some(shared) => shared.purge(BLOBS, &beginning).await,
            None => true,
        };
        (removed, told)
    }
}
