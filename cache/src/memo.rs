//! What is remembered of one kind: in memory, and across restarts.

mod record;
mod turns;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use self::turns::Turns;
use crate::blocking::blocking;
use crate::index::{Table, Ticket};
use crate::{Index, Key, KeyBytes};

/// Values by key: the ones in use in memory, all of them in the index, if there is one.
///
/// A value is stored as JSON. One that does not decode, because an older version wrote it, is as good as absent; where
/// the meaning of a value changes and its JSON does not, the name must.
///
/// Every future may be dropped: what was begun is then done nevertheless.
pub struct Memo<K, V>(Arc<Store<K, V>>);

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many entries are held in memory at most, the least used going first. On disk the same number of the last
    /// entries is kept at least, and twice as many at most.
    pub entries: u64,
}

struct Store<K, V> {
    memory: moka::sync::Cache<K, Remembered<V>>,
    table: Table,
    index: Option<Arc<Index>>,
    turns: Turns,
}

#[derive(Clone)]
struct Remembered<V> {
    value: V,
    /// When it is no longer believed. `None` is never.
    until: Option<Instant>,
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

    /// A memory whose entries do not count as one each.
    pub(crate) fn weighing(
        table: Table,
        capacity: u64,
        weight: fn(&V) -> u32,
        index: Option<Arc<Index>>,
    ) -> Self {
        let memory = moka::sync::Cache::builder()
            .max_capacity(capacity)
            .weigher(move |_, remembered: &Remembered<V>| weight(&remembered.value))
            .build();
        Self(Arc::new(Store { memory, table, index, turns: Turns::default() }))
    }

    /// What is remembered for this key, from memory or else from disk.
    pub async fn find(&self, key: &K) -> Option<V> {
        if let Some(value) = self.find_in_memory(key) {
            return Some(value);
        }
        let index = self.0.index.clone()?;
        let (store, key) = (self.0.clone(), key.clone());
        blocking(move || store.find_below(&index, &key)).await.flatten()
    }

    /// What is remembered for this key, if it is in memory: about a microsecond, and no await.
    pub fn find_in_memory(&self, key: &K) -> Option<V> {
        self.0.find_in_memory(key)
    }

    /// Remembers a value. It is on disk when this returns; where it could not be written the log says so, and memory
    /// has it until then.
    pub async fn keep(&self, key: K, value: V) {
        let Some(index) = self.0.index.clone() else {
            self.0.memory.insert(key, Remembered { value, until: None });
            return;
        };
        let (store, to) = (self.0.clone(), index.clone());
        let ticket = blocking(move || store.keep(&to, &key, value)).await;
        index.settled(ticket.unwrap_or(Ticket::NONE)).await;
    }

    /// Remembers a value in memory alone, for this long at most: up to a tenth less, so that what came together does
    /// not go together. It takes the place of what was remembered before, on disk too.
    pub async fn keep_for(&self, key: K, value: V, for_: Duration) {
        let remembered = Remembered { value, until: Instant::now().checked_add(shortened(for_)) };
        let Some(index) = self.0.index.clone() else {
            self.0.memory.insert(key, remembered);
            return;
        };
        let (store, to) = (self.0.clone(), index.clone());
        let ticket = blocking(move || store.replace_in_memory(&to, &key, Some(remembered))).await;
        index.settled(ticket.unwrap_or(Ticket::NONE)).await;
    }

    /// Forgets what is remembered for this key, in memory and on disk.
    pub async fn forget(&self, key: &K) {
        let Some(index) = self.0.index.clone() else {
            self.0.memory.invalidate(key);
            return;
        };
        let (store, to, key) = (self.0.clone(), index.clone(), key.clone());
        let ticket = blocking(move || store.replace_in_memory(&to, &key, None)).await;
        index.settled(ticket.unwrap_or(Ticket::NONE)).await;
    }

    /// Changes the values of these keys, each from what it is to what `change` makes of it; `None` leaves it alone.
    /// No two changes of one key overlap. On disk when this returns.
    pub(crate) async fn change(
        &self,
        keys: Vec<K>,
        change: impl Fn(&K, Option<V>) -> Option<V> + Send + 'static,
    ) {
        let store = self.0.clone();
        let ticket = blocking(move || keys.iter().map(|key| store.change(key, &change)).max()).await;
        if let (Some(index), Some(Some(ticket))) = (&self.0.index, ticket) {
            index.settled(ticket).await;
        }
    }

    /// Forgets every key that begins with these bytes; `holds` tells them among those in memory. What is kept under
    /// such a key meanwhile may stay.
    pub(crate) async fn forget_under(&self, prefix: KeyBytes, holds: impl Fn(&K) -> bool + Send + 'static) {
        let store = self.0.clone();
        let ticket = blocking(move || store.forget_under(&prefix, holds)).await;
        if let (Some(index), Some(ticket)) = (&self.0.index, ticket) {
            index.settled(ticket).await;
        }
    }
}

/// Everything that waits for the disk. In each, whoever has the key's turn sees memory and the index agree and leaves
/// them so; a write that is queued counts as written.
impl<K: Key, V: Value> Store<K, V> {
    fn find_in_memory(&self, key: &K) -> Option<V> {
        let remembered = self.memory.get(key)?;
        let holds = remembered.until.is_none_or(|until| Instant::now() < until);
        holds.then_some(remembered.value)
    }

    fn find_below(&self, index: &Index, key: &K) -> Option<V> {
        let bytes = KeyBytes::of(key);
        let _turn = self.turns.take(&bytes);
        self.find_in_turn(index, key, &bytes)
    }

    fn find_in_turn(&self, index: &Index, key: &K, bytes: &KeyBytes) -> Option<V> {
        // Another may have found it while we waited.
        if let Some(value) = self.find_in_memory(key) {
            return Some(value);
        }
        let value: V = record::decode(self.table.name, bytes, &index.find(self.table, bytes.as_slice())?)?;
        self.memory.insert(key.clone(), Remembered { value: value.clone(), until: None });
        Some(value)
    }

    fn keep(&self, index: &Index, key: &K, value: V) -> Ticket {
        let bytes = KeyBytes::of(key);
        let _turn = self.turns.take(&bytes);
        self.keep_in_turn(index, key, &bytes, value)
    }

    fn keep_in_turn(&self, index: &Index, key: &K, bytes: &KeyBytes, value: V) -> Ticket {
        // What cannot be encoded is removed, so that an older value does not come back.
        let encoded = record::encode(self.table.name, bytes, &value);
        self.memory.insert(key.clone(), Remembered { value, until: None });
        index.put(self.table, bytes.as_slice(), encoded)
    }

    fn replace_in_memory(&self, index: &Index, key: &K, remembered: Option<Remembered<V>>) -> Ticket {
        let bytes = KeyBytes::of(key);
        let _turn = self.turns.take(&bytes);
        match remembered {
            Some(remembered) => self.memory.insert(key.clone(), remembered),
            None => self.memory.invalidate(key),
        }
        if index.may_have(self.table, bytes.as_slice()) {
            index.put(self.table, bytes.as_slice(), None)
        } else {
            Ticket::NONE
        }
    }

    fn change(&self, key: &K, change: impl Fn(&K, Option<V>) -> Option<V>) -> Ticket {
        let bytes = KeyBytes::of(key);
        let _turn = self.turns.take(&bytes);
        let before = match &self.index {
            Some(index) => self.find_in_turn(index, key, &bytes),
            None => self.find_in_memory(key),
        };
        match (change(key, before), &self.index) {
            (None, _) => Ticket::NONE,
            (Some(value), Some(index)) => self.keep_in_turn(index, key, &bytes, value),
            (Some(value), None) => {
                self.memory.insert(key.clone(), Remembered { value, until: None });
                Ticket::NONE
            }
        }
    }

    fn forget_under(&self, prefix: &KeyBytes, holds: impl Fn(&K) -> bool) -> Ticket {
        for (key, _) in self.memory.iter().filter(|(key, _)| holds(key)) {
            match &self.index {
                Some(index) => self.replace_in_memory(index, &key, None),
                None => {
                    self.memory.invalidate(&*key);
                    Ticket::NONE
                }
            };
        }
        let Some(index) = &self.index else {
            return Ticket::NONE;
        };
        let keys = index.keys_under(self.table, prefix.as_slice());
        keys.iter().map(|key| index.put(self.table, key, None)).max().unwrap_or(Ticket::NONE)
    }
}

/// The table alone: what is remembered is many and may be private.
impl<K, V> fmt::Debug for Memo<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memo").field("table", &self.0.table).finish_non_exhaustive()
    }
}

fn shortened(duration: Duration) -> Duration {
    // Every `RandomState` hashes differently, which is randomness enough to spread expiries.
    let thousandths = RandomState::new().hash_one(()) % 101;
    duration - duration.mul_f64(thousandths as f64 / 1000.0)
}

#[cfg(test)]
mod tests;
