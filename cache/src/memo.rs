//! What is remembered of one kind: in memory, across restarts, and by the fleet.

mod record;
mod sharing;
mod store;
mod turns;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::sharing::{Sharing, What};
use self::store::{Remembered, Store};
use crate::blocking::blocking;
use crate::index::{Table, Ticket};
use crate::random::fraction;
use crate::shared::Forgets;
use crate::{Index, Key, KeyBytes, MemoStats, Shared};

/// Values by key: the ones in use in memory, all of them in the index, if there is one, and in the shared tier, if
/// there is one.
///
/// A value is stored as JSON. One that does not decode, because an older version wrote it, is as good as absent;
/// where the meaning of a value changes and its JSON does not, the name must.
///
/// Every future may be dropped: what was begun is then done nevertheless.
pub struct Memo<K, V> {
    store: Arc<Store<K, V>>,
    /// Who is told of purges, whether or not values are shared.
    fleet: Option<Arc<Shared>>,
}

/// Another handle to the same memory.
impl<K, V> Clone for Memo<K, V> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), fleet: self.fleet.clone() }
    }
}

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many entries are held in memory at most, the least used going first. On disk the same number of the last
    /// entries is kept at least, and twice as many at most.
    pub entries: u64,
}

/// Where something is remembered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Presence {
    /// In memory, and still believed.
    pub memory: bool,
    /// On disk, or nobody can tell.
    pub disk: bool,
    /// In the shared tier, and still believed.
    pub shared: bool,
}

/// What a value has to be, to be held in memory and stored as JSON.
pub(crate) trait Value: Clone + Send + Sync + Serialize + DeserializeOwned + 'static {}

impl<V: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> Value for V {}

impl<K: Key, V: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> Memo<K, V> {
    /// An empty memory over this table of the index. Without an index it is memory alone.
    ///
    /// The name is that of the table: no two memos over one index share it.
    pub fn new(name: &'static str, limits: Limits, index: Option<Arc<Index>>) -> Self {
        Self::weighing(Table { name, entries: limits.entries }, limits.entries, |_| 1, index)
    }

    /// A memory that is shared with the fleet. Of what others keep there, what is found is kept here too.
    ///
    /// The name is also that of the shared table.
    pub fn shared(
        name: &'static str,
        limits: Limits,
        index: Option<Arc<Index>>,
        sharing: Sharing<K>,
    ) -> Self {
        let fleet = sharing.shared.clone();
        let table = Table { name, entries: limits.entries };
        let sharing = sharing.is_trusted().then_some(sharing);
        let store = Arc::new(Store::new(table, limits.entries, |_| 1, index, sharing));
        let forgets: Arc<dyn Forgets> = store.clone();
        let forgets: Weak<dyn Forgets> = Arc::downgrade(&forgets);
        fleet.add(name, forgets);
        Self { store, fleet: Some(fleet) }
    }

    /// A memory whose entries do not count as one each.
    pub(crate) fn weighing(
        table: Table,
        capacity: u64,
        weight: fn(&V) -> u32,
        index: Option<Arc<Index>>,
    ) -> Self {
        Self { store: Arc::new(Store::new(table, capacity, weight, index, None)), fleet: None }
    }

    /// What is remembered for this key: in memory, or else on disk, or else by the fleet. Of many who look for the
    /// same at once, one looks.
    pub async fn find(&self, key: &K) -> Option<V> {
        if let Some(value) = self.find_in_memory(key) {
            return Some(value);
        }
        if self.store.index.is_none() && self.store.sharing.is_none() {
            self.store.meters.misses.add();
            return None;
        }
        // A look that began before the key was changed is not joined: it may have seen what is no more.
        let changes = self.store.turns.changes(&KeyBytes::of(key));
        let (memo, of_look) = (self.clone(), key.clone());
        let look =
            self.store.looks.run((key.clone(), changes), || async move { memo.find_below(&of_look).await });
        // A look that panicked found nothing.
        look.await.ok().flatten()
    }

    async fn find_below(&self, key: &K) -> Option<V> {
        if let Some(index) = self.store.index.clone() {
            let (store, key) = (self.store.clone(), key.clone());
            if let Some(value) = blocking(move || store.find_below(&index, &key)).await.flatten() {
                self.store.meters.disk.add();
                return Some(value);
            }
        }
        let found = self.find_shared(key).await;
        if found.is_none() {
            self.store.meters.misses.add();
        }
        found
    }

    /// What is in memory by now, or else what the fleet says when it is asked anew: for whoever looked, and is about
    /// to do what others may have done meanwhile.
    pub async fn look_again(&self, key: &K) -> Option<V> {
        match self.find_in_memory(key) {
            Some(value) => Some(value),
            None => self.find_shared(key).await,
        }
    }

    /// What is remembered for this key, if it is in memory: about a microsecond, and no await.
    pub fn find_in_memory(&self, key: &K) -> Option<V> {
        let found = self.store.find_in_memory(key);
        if found.is_some() {
            self.store.meters.memory.add();
        }
        found
    }

    /// What the fleet remembers for this key, whatever is remembered here: it takes the place of that, unless that
    /// changed meanwhile.
    pub async fn find_shared(&self, key: &K) -> Option<V> {
        let sharing = self.store.sharing.as_ref()?;
        let bytes = KeyBytes::of(key);
        let changes = self.store.turns.changes(&bytes);
        let found = sharing.find::<V>(self.store.table.name, key).await?;
        self.store.meters.shared.add();
        let remembered = Remembered::new(found.value.clone(), found.left);
        match self.store.index.clone() {
            Some(index) => {
                let (store, key) = (self.store.clone(), key.clone());
                blocking(move || store.fill(Some(&index), &key, &bytes, remembered, changes)).await;
            }
            None => self.store.fill(None, key, &bytes, remembered, changes),
        }
        Some(found.value)
    }

    /// Remembers a value. It is on disk when this returns, and in the shared tier if that answers; where it could not
    /// be written the log says so, and memory has it until then.
    pub async fn keep(&self, key: K, value: V) {
        self.keep_locally(key.clone(), Remembered { value: value.clone(), until: None }).await;
        self.share(key, value, None).await;
    }

    /// Remembers a value in memory alone, and in the shared tier, for this long at most: up to a tenth less, so that
    /// what came together does not go together. It takes the place of what was remembered before, on disk too.
    pub async fn keep_for(&self, key: K, value: V, for_: Duration) {
        let for_ = shortened(for_);
        self.keep_locally(key.clone(), Remembered::new(value.clone(), Some(for_))).await;
        self.share(key, value, Some(for_)).await;
    }

    /// Forgets what is remembered for this key, in memory, on disk and in the shared tier. What other replicas have
    /// of it themselves they keep: see [`purge`](Self::purge).
    pub async fn forget(&self, key: &K) {
        // The shared value first, or whoever asks in between finds it there and keeps it here.
        if self.store.sharing.is_some() {
            let (store, key) = (self.store.clone(), key.clone());
            detached(async move {
                if let Some(sharing) = &store.sharing {
                    sharing.forget(store.table.name, &key).await;
                }
            })
            .await;
        }
        match self.store.index.clone() {
            None => drop(self.store.replace(None, key, None)),
            Some(index) => {
                let (store, to, key) = (self.store.clone(), index.clone(), key.clone());
                let ticket = blocking(move || store.replace(Some(&to), &key, None)).await;
                index.settled(ticket.unwrap_or(Ticket::NONE)).await;
            }
        }
    }

    /// Forgets every key that begins with these bytes, here and at every replica of the fleet: at those that listen
    /// within a second, at others when they are back. No bytes are the beginning of every key, and a whole key is the
    /// beginning of itself alone.
    pub async fn purge(&self, prefix: &KeyBytes) {
        let beginning = prefix.clone();
        let holds = move |key: &K| KeyBytes::of(key).as_slice().starts_with(beginning.as_slice());
        self.forget_under(prefix.clone(), holds).await;
        if let Some(fleet) = self.fleet.clone() {
            let (table, prefix) = (self.store.table.name, prefix.clone());
            detached(async move { fleet.purge(table, &prefix).await }).await;
        }
    }

    /// Forgets every key that begins with these bytes, here alone. Waits for the disk.
    pub(crate) fn forget_at_once(&self, prefix: &KeyBytes) {
        Forgets::forget_under(&*self.store, prefix);
    }

    /// Forgets what is in memory.
    pub(crate) fn forget_memory(&self) {
        Forgets::forget_memory(&*self.store);
    }

    /// Where something is remembered for this key, without bringing it nearer. For whoever asks why.
    pub async fn inspect(&self, key: &K) -> Presence {
        let memory = self.store.find_in_memory(key).is_some();
        let disk = match self.store.index.clone() {
            Some(index) => {
                let (table, key) = (self.store.table, KeyBytes::of(key));
                blocking(move || index.may_have(table, key.as_slice())).await.unwrap_or(false)
            }
            None => false,
        };
        let shared = match &self.store.sharing {
            Some(sharing) => sharing.find::<V>(self.store.table.name, key).await.is_some(),
            None => false,
        };
        Presence { memory, disk, shared }
    }

    /// Where it found what it was asked for.
    pub fn stats(&self) -> MemoStats {
        self.store.meters.stats()
    }

    /// How many entries are in memory, or nearly.
    pub fn entries(&self) -> u64 {
        self.store.memory.entry_count()
    }

    async fn keep_locally(&self, key: K, remembered: Remembered<V>) {
        match self.store.index.clone() {
            None => drop(self.store.replace(None, &key, Some(remembered))),
            Some(index) => {
                let (store, to) = (self.store.clone(), index.clone());
                let ticket = blocking(move || store.replace(Some(&to), &key, Some(remembered))).await;
                index.settled(ticket.unwrap_or(Ticket::NONE)).await;
            }
        }
    }

    async fn share(&self, key: K, value: V, lasts: Option<Duration>) {
        if self.store.sharing.is_none() {
            return;
        }
        let store = self.store.clone();
        detached(async move {
            if let Some(sharing) = &store.sharing {
                sharing.keep(store.table.name, &key, &value, lasts).await;
            }
        })
        .await;
    }

    /// Changes the values of these keys, each from what it is to what `change` makes of it; `None` leaves it alone.
    /// No two changes of one key overlap. On disk when this returns.
    pub(crate) async fn change(
        &self,
        keys: Vec<K>,
        change: impl Fn(&K, Option<V>) -> Option<V> + Send + 'static,
    ) {
        let store = self.store.clone();
        let ticket = blocking(move || keys.iter().map(|key| store.change(key, &change)).max()).await;
        if let (Some(index), Some(Some(ticket))) = (&self.store.index, ticket) {
            index.settled(ticket).await;
        }
    }

    /// Forgets every key that begins with these bytes; `holds` tells them among those in memory. What is kept under
    /// such a key meanwhile may stay.
    pub(crate) async fn forget_under(&self, prefix: KeyBytes, holds: impl Fn(&K) -> bool + Send + 'static) {
        let store = self.store.clone();
        let ticket = blocking(move || store.forget_under(&prefix, holds)).await;
        if let (Some(index), Some(ticket)) = (&self.store.index, ticket) {
            index.settled(ticket).await;
        }
    }
}

/// The table alone: what is remembered is many and may be private.
impl<K, V> fmt::Debug for Memo<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memo").field("table", &self.store.table).finish_non_exhaustive()
    }
}

/// Work that is finished also when this future is dropped.
async fn detached(work: impl Future<Output = ()> + Send + 'static) {
    if let Err(error) = tokio::spawn(work).await {
        tracing::error!(%error, "work on the shared tier ended early");
    }
}

fn shortened(duration: Duration) -> Duration {
    duration - duration.mul_f64(fraction() / 10.0)
}

#[cfg(test)]
mod tests;
