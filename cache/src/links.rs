//! Links: which manifests name a child or a blob.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use oci::{Algorithm, Digest};
use serde::{Deserialize, Serialize};

use crate::shared::Forgets;
use crate::{Beginning, Index, KeyBytes, Label, Limits, Look, Memo, MemoStats, MemoryStats, Scope, Shared};

/// How many parents of one child are remembered. The one that was added first goes first.
pub const PARENTS: usize = 256;

/// How many are held in memory, and for how many children they are kept on disk, at least.
const LIMITS: Limits = Limits { bytes: 6 * 1024 * 1024, entries: 400_000 };

/// How many manifests are known to be linked to all their children, and for how long that is believed: links that
/// nobody reads leave the disk in the end, and are then made again.
const MARKS: u64 = 100_000;
const MARKED_FOR: Duration = Duration::from_secs(600);

/// The table, here and in the shared tier.
const TABLE: &str = "links";

/// How many children the fleet is told of at once.
const AT_ONCE: usize = 64;

/// What the fleet is told of a link: the parent's SHA-256 and the size.
const RECORD: usize = 40;

/// That a manifest names a child.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Link {
    /// The manifest.
    pub parent: Digest,
    /// How many bytes the manifest says the child has.
    pub size: u64,
}

/// From child to parents, within a scope: memory over the index, and what the fleet has where neither knows of any.
///
/// A link allows nothing by itself. It says which manifests to judge when a child is asked for.
pub struct Links {
    known: Arc<Known>,
    fleet: Option<Fleet>,
}

/// What is known here.
struct Known {
    parents: Memo<(Scope, Digest), Arc<[Link]>>,
    /// The manifests that all their children are linked to, and whether the fleet was told. A mark goes when one of
    /// its links does.
    marks: moka::sync::Cache<(Scope, Digest), Told>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Told {
    Yes,
    NotYet,
}

struct Fleet {
    shared: Arc<Shared>,
    lifetime: Duration,
}

impl Links {
    /// The links in this index; without one, memory alone.
    pub fn new(index: Option<Arc<Index>>) -> Self {
        let known = Known {
            parents: Memo::new(TABLE, LIMITS, index),
            marks: moka::sync::Cache::builder().max_capacity(MARKS).time_to_live(MARKED_FOR).build(),
        };
        Self { known: Arc::new(known), fleet: None }
    }

    /// Links that are shared with the fleet, for this long after the last was added to a child. A replica that never
    /// saw a manifest finds with them which one to judge.
    pub fn shared(index: Option<Arc<Index>>, shared: Arc<Shared>, lifetime: Duration) -> Self {
        let links = Self::new(index);
        let forgets: Arc<dyn Forgets> = links.known.clone();
        shared.add(TABLE, Arc::downgrade(&forgets));
        Self { fleet: Some(Fleet { shared, lifetime }), ..links }
    }

    /// Links children to the manifest that names them, each with its size there. Of a child that is named twice the
    /// first counts. On disk when this returns; adding the same again is one look into memory.
    pub async fn add(&self, scope: &Scope, parent: Digest, children: &[(Digest, u64)]) {
        let mark = (scope.clone(), parent);
        let before = self.known.marks.get(&mark);
        if before == Some(Told::Yes) {
            return;
        }
        let mut sizes = HashMap::with_capacity(children.len());
        for (child, size) in children {
            sizes.entry(*child).or_insert(*size);
        }
        if before.is_none() {
            self.known.add(scope, parent, sizes.clone()).await;
        }
        let told = match &self.fleet {
            Some(fleet) => fleet.tell(scope, parent, sizes).await,
            None => Told::Yes,
        };
        if before.is_none() || told == Told::Yes {
            self.known.marks.insert(mark, told);
        }
    }

    /// The manifests that name this child, the one that was added last first.
    pub async fn parents(&self, scope: &Scope, child: &Digest) -> Vec<Link> {
        let key = (scope.clone(), *child);
        match self.known.parents.find(&key).await {
            Some(links) => links.to_vec(),
            None => self.parents_in_fleet(scope, child).await,
        }
    }

    /// The manifests that name this child as the whole fleet knows it, whatever is known here. For whoever may not
    /// use those that are known here.
    pub async fn parents_in_fleet(&self, scope: &Scope, child: &Digest) -> Vec<Link> {
        let key = (scope.clone(), *child);
        let Some(fleet) = &self.fleet else {
            return self.known.parents.find(&key).await.map(|links| links.to_vec()).unwrap_or_default();
        };
        let told = fleet.parents(scope, child).await;
        let link = move |_: &(Scope, Digest), before: Option<Arc<[Link]>>| {
            let before = before.unwrap_or_default();
            let add =
                |all: Arc<[Link]>, link: &Link| with(&all, *link).map_or_else(|| all.clone(), |(all, _)| all);
            let after = told.iter().fold(before.clone(), add);
            (after.len() > before.len()).then_some(after)
        };
        self.known.parents.change(vec![key.clone()], link).await;
        self.known.parents.find_in_memory(&key).map(|links| links.to_vec()).unwrap_or_default()
    }

    /// Forgets every link within a scope.
    pub async fn forget_scope(&self, scope: &Scope) {
        self.known.parents.forget_under(Beginning::of(scope)).await;
        for (mark, _) in self.known.marks.iter().filter(|(mark, _)| mark.0 == *scope) {
            self.known.marks.invalidate(&*mark);
        }
    }

    /// Forgets every link within a scope, here and at every replica.
    pub async fn purge_scope(&self, scope: &Scope) {
        self.purge(Beginning::of(scope)).await;
    }

    /// Forgets every link whose scope and child begin so, here and at every replica. Says whether those that listen
    /// were told. May not be dropped before it is done.
    pub async fn purge(&self, beginning: Beginning) -> bool {
        if let Some(fleet) = &self.fleet {
            return fleet.shared.purge(TABLE, &beginning).await;
        }
        self.known.parents.forget_under(beginning).await;
        self.known.marks.invalidate_all();
        true
    }

    /// The keys of children that begin so, in memory or on disk: scope, child.
    pub async fn keys_under(&self, beginning: Beginning) -> Vec<KeyBytes> {
        self.known.parents.keys_under(beginning).await
    }

    /// Every child that something is known to name, in memory or on disk, with the names that its scope is made of.
    /// Those of another algorithm than SHA-256 are left out.
    pub async fn children(&self) -> Vec<(Vec<String>, Digest)> {
        let child = |key: &KeyBytes| {
            let (scope, hash) = (key.fields().next()?, key.fields().nth(1)?);
            Some((Scope::names(scope), Digest::from_sha256(hash.try_into().ok()?)))
        };
        self.keys_under(Beginning::of_all()).await.iter().filter_map(child).collect()
    }

    /// What is in memory, and what made room.
    pub fn held(&self) -> MemoryStats {
        self.known.parents.held()
    }

    /// Where links were found.
    pub fn stats(&self) -> MemoStats {
        self.known.parents.stats()
    }

    /// What each tier knows of a child's parents, without bringing it nearer.
    pub async fn look(&self, scope: &Scope, child: &Digest) -> Look<Arc<[Link]>> {
        let found = self.known.parents.look(&(scope.clone(), *child)).await;
        let shared = match &self.fleet {
            Some(fleet) => Some(fleet.parents(scope, child).await).filter(|links| !links.is_empty()),
            None => None,
        };
        Look { shared: shared.map(Arc::from), ..found }
    }
}

impl Known {
    async fn add(&self, scope: &Scope, parent: Digest, sizes: HashMap<Digest, u64>) {
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
    }
}

impl Forgets for Known {
    fn forget_under(&self, beginning: &Beginning) {
        self.parents.forget_at_once(beginning);
        // Whichever links went, the next who adds them adds them anew.
        self.marks.invalidate_all();
    }
}

impl Fleet {
    async fn tell(&self, scope: &Scope, parent: Digest, sizes: HashMap<Digest, u64>) -> Told {
        // Nothing is remembered under another algorithm.
        if parent.algorithm() != Algorithm::Sha256 {
            return Told::Yes;
        }
        let most = PARENTS;
        let told = stream::iter(sizes).map(|(child, size)| async move {
            let key = KeyBytes::of(&(scope.clone(), child));
            let record = [parent.hash(), &size.to_be_bytes()].concat();
            self.shared.append(label(&self.shared, &key), &record, most, self.lifetime).await
        });
        let all = told.buffer_unordered(AT_ONCE).all(std::future::ready).await;
        if all { Told::Yes } else { Told::NotYet }
    }

    /// What the fleet was told, the first first.
    async fn parents(&self, scope: &Scope, child: &Digest) -> Vec<Link> {
        let key = KeyBytes::of(&(scope.clone(), *child));
        let records = self.shared.records(label(&self.shared, &key), RECORD, PARENTS).await;
        let link = |record: &Vec<u8>| {
            let (hash, size) = record.split_first_chunk::<32>()?;
            let size = u64::from_be_bytes(size.try_into().ok()?);
            Some(Link { parent: Digest::from_sha256(*hash), size })
        };
        records.iter().filter_map(link).collect()
    }
}

fn label<'a>(shared: &Shared, key: &'a KeyBytes) -> Label<'a> {
    let domain = shared.domain();
    Label { domain: domain.plain(), table: domain.table(TABLE), build: "", key: key.as_slice() }
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
