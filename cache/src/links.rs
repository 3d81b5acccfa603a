//! Links: which manifests name a child or a blob.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use oci::Digest;
use serde::{Deserialize, Serialize};

use crate::index::Table;
use crate::{Index, KeyBytes, Memo, Scope};

/// How many parents of one child are remembered. The one that was added first goes first.
pub const PARENTS: usize = 256;

/// How many links are held in memory. Each is about a hundred bytes.
const IN_MEMORY: u64 = 500_000;

/// For how many children links are kept on disk, at least.
const ON_DISK: u64 = 200_000;

/// How many manifests are known to be linked to all their children, and for how long that is believed: links that
/// nobody reads leave the disk in the end, and are then made again.
const MARKS: u64 = 100_000;
const MARKED_FOR: Duration = Duration::from_secs(600);

/// That a manifest names a child.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Link {
    /// The manifest.
    pub parent: Digest,
    /// How many bytes the manifest says the child has.
    pub size: u64,
}

/// From child to parents, within a scope: memory over the index.
///
/// A link allows nothing by itself. It says which manifests to judge when a child is asked for.
pub struct Links {
    parents: Memo<(Scope, Digest), Arc<[Link]>>,
    /// The manifests that all their children are linked to. A mark goes when one of its links does.
    marks: moka::sync::Cache<(Scope, Digest), ()>,
}

impl Links {
    /// The links in this index; without one, memory alone.
    pub fn new(index: Option<Arc<Index>>) -> Self {
        let table = Table { name: "links", entries: ON_DISK };
        let weight = |links: &Arc<[Link]>| u32::try_from(links.len() + 1).unwrap_or(u32::MAX);
        Self {
            parents: Memo::weighing(table, IN_MEMORY, weight, index),
            marks: moka::sync::Cache::builder().max_capacity(MARKS).time_to_live(MARKED_FOR).build(),
        }
    }

    /// Links children to the manifest that names them, each with its size there. Of a child that is named twice the
    /// first counts. On disk when this returns; adding the same again is one look into memory.
    pub async fn add(&self, scope: &Scope, parent: Digest, children: &[(Digest, u64)]) {
        let mark = (scope.clone(), parent);
        if self.marks.contains_key(&mark) {
            return;
        }
        let mut sizes = HashMap::with_capacity(children.len());
        for (child, size) in children {
            sizes.entry(*child).or_insert(*size);
        }
        let keys = sizes.keys().map(|child| (scope.clone(), *child)).collect();
        let marks = self.marks.clone();
        let link = move |(scope, child): &(Scope, Digest), before: Option<Arc<[Link]>>| {
            let size = *sizes.get(child)?;
            let (after, dropped) = with(before.as_deref().unwrap_or(&[]), Link { parent, size })?;
            for link in dropped {
                marks.invalidate(&(scope.clone(), link.parent));
            }
            Some(after)
        };
        self.parents.change(keys, link).await;
        self.marks.insert(mark, ());
    }

    /// The manifests that name this child, the one that was added last first.
    pub async fn parents(&self, scope: &Scope, child: &Digest) -> Vec<Link> {
        let links = self.parents.find(&(scope.clone(), *child)).await;
        links.map(|links| links.to_vec()).unwrap_or_default()
    }

    /// Forgets every link within a scope.
    pub async fn forget_scope(&self, scope: &Scope) {
        let prefix = KeyBytes::of(scope);
        let forgotten = scope.clone();
        self.parents.forget_under(prefix, move |(scope, _)| *scope == forgotten).await;
        for (mark, ()) in self.marks.iter().filter(|(mark, ())| mark.0 == *scope) {
            self.marks.invalidate(&*mark);
        }
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links").finish_non_exhaustive()
    }
}

/// The links with one more in front, and those that there is no room for. `None` if it is there already.
fn with(before: &[Link], link: Link) -> Option<(Arc<[Link]>, &[Link])> {
    if before.iter().any(|known| known.parent == link.parent) {
        return None;
    }
    let (kept, dropped) = before.split_at(before.len().min(PARENTS - 1));
    Some((std::iter::once(&link).chain(kept).copied().collect(), dropped))
}

#[cfg(test)]
mod tests;
