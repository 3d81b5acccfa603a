//! What is kept, by when it was used last.

use std::collections::{BTreeMap, HashMap};

use oci::Digest;

/// The content that is kept, in the order of its last use. It is a list of files and touches none.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    items: HashMap<Digest, Item>,
    order: BTreeMap<u64, Digest>,
    total: u64,
    uses: u64,
}

#[derive(Clone, Copy, Debug)]
struct Item {
    size: u64,
    used: u64,
}

impl Shelf {
    /// How many bytes there are.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Adds content, or notes another use of it.
    pub(super) fn put(&mut self, digest: Digest, size: u64) {
        self.take(&digest);
        self.uses += 1;
        self.items.insert(digest, Item { size, used: self.uses });
        self.order.insert(self.uses, digest);
        self.total += size;
    }

    /// The size, if there is such content.
    pub(super) fn size(&self, digest: &Digest) -> Option<u64> {
        self.items.get(digest).map(|item| item.size)
    }

    /// All content.
    pub(super) fn digests(&self) -> Vec<Digest> {
        self.items.keys().copied().collect()
    }

    /// Notes a use. The size, if there is such content.
    pub(super) fn touch(&mut self, digest: &Digest) -> Option<u64> {
        let size = self.items.get(digest)?.size;
        self.put(*digest, size);
        Some(size)
    }

    /// Takes content out.
    pub(super) fn take(&mut self, digest: &Digest) {
        if let Some(item) = self.items.remove(digest) {
            self.order.remove(&item.used);
            self.total -= item.size;
        }
    }

    /// Takes out the content that was used longest ago, if there are more bytes than this.
    pub(super) fn take_above(&mut self, limit: u64) -> Option<Digest> {
        if self.total <= limit {
            return None;
        }
        let (_, digest) = self.order.pop_first()?;
        self.take(&digest);
        Some(digest)
    }
}
