//! What is remembered of material, for whoever operates the gateway.

use cache::{Beginning, KeyBytes, Look};
use oci::{Digest, Name};

use super::{MaterialList, Materials, Spot};

impl Materials {
    /// The keys of lists that begin so: host, repository, digest, prefix of tags.
    pub(crate) async fn lists_under(&self, beginning: Beginning) -> Vec<KeyBytes> {
        self.lists.keys_under(beginning).await
    }

    /// What each tier has for one list.
    pub(crate) async fn look(&self, name: &Name, digest: Digest, tag_prefix: &str) -> Look<MaterialList> {
        self.lists.look(&(name.clone(), digest, tag_prefix.to_owned())).await
    }

    /// Forgets lists, also those that say that there is nothing, here and at every replica.
    pub(crate) async fn purge(&self, beginning: Beginning) -> bool {
        self.lists.purge(beginning).await
    }

    /// Forgets the bytes of material that the fleet shares.
    pub(crate) async fn purge_bytes(&self, material: &Digest) -> bool {
        match &self.fleet {
            Some(fleet) => fleet.bytes.purge(Beginning::of(material)).await,
            None => true,
        }
    }

    /// Tells the fleet again what this replica knows of an image, so that it does not leave Redis while it is in use.
    /// No registry is asked. Gives what the list names.
    pub(crate) async fn share_again(&self, spot: &Spot) -> Vec<Digest> {
        let Some(fleet) = &self.fleet else { return Vec::new() };
        let Some(list) = self.lists.find(&spot.key()).await else { return Vec::new() };
        self.lists.share_again(&spot.key()).await;
        for material in &list.materials {
            if fleet.bytes.find_shared(material).await.is_none()
                && let Some(content) = self.kept(*material).await
            {
                self.share(&content).await;
            }
        }
        list.materials
    }
}
