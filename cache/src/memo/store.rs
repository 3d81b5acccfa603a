//! What a memo holds, and everything that waits for the disk.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::sharing::Sharing;
use super::turns::Turns;
use super::{Value, record};
use crate::index::{Table, Ticket};
use crate::shared::Forgets;
use crate::stats::Count;
use crate::{Flights, Index, Key, KeyBytes, MemoStats};

/// Memory over a table. In each of its functions, whoever has the key's turn sees memory and the index agree and
/// leaves them so; a write that is queued counts as written.
pub(super) struct Store<K, V> {
    pub(super) memory: moka::sync::Cache<K, Remembered<V>>,
    pub(super) table: Table,
    pub(super) index: Option<Arc<Index>>,
    pub(super) sharing: Option<Sharing<K>>,
    pub(super) turns: Turns,
    /// Looks below memory that are under way, each with how often its key had been changed.
    pub(super) looks: Flights<(K, u64), Option<V>>,
    pub(super) meters: Meters,
}

#[derive(Clone)]
pub(super) struct Remembered<V> {
    pub(super) value: V,
    /// When it is no longer believed. `None` is never.
    pub(super) until: Option<Instant>,
}

/// Where things were found.
#[derive(Debug, Default)]
pub(super) struct Meters {
    pub(super) memory: Count,
    pub(super) disk: Count,
    pub(super) shared: Count,
    pub(super) misses: Count,
}

impl Meters {
    pub(super) fn stats(&self) -> MemoStats {
        MemoStats {
            memory: self.memory.value(),
            disk: self.disk.value(),
            shared: self.shared.value(),
            misses: self.misses.value(),
        }
    }
}

impl<V> Remembered<V> {
    /// Believed for this long from now, or without an end.
    pub(super) fn new(value: V, left: Option<Duration>) -> Self {
        Self { value, until: left.and_then(|left| Instant::now().checked_add(left)) }
    }
}

impl<K: Key, V: Value> Store<K, V> {
    pub(super) fn new(
        table: Table,
        capacity: u64,
        weight: fn(&V) -> u32,
        index: Option<Arc<Index>>,
        sharing: Option<Sharing<K>>,
    ) -> Self {
        let memory = moka::sync::Cache::builder()
            .max_capacity(capacity)
            .weigher(move |_, remembered: &Remembered<V>| weight(&remembered.value))
            .build();
        Self {
            memory,
            table,
            index,
            sharing,
            turns: Turns::default(),
            looks: Flights::new(),
            meters: Meters::default(),
        }
    }

    pub(super) fn find_in_memory(&self, key: &K) -> Option<V> {
        let remembered = self.memory.get(key)?;
        let holds = remembered.until.is_none_or(|until| Instant::now() < until);
        holds.then_some(remembered.value)
    }

    pub(super) fn find_below(&self, index: &Index, key: &K) -> Option<V> {
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

    /// Replaces what is remembered, or forgets it. Without an index it waits for nothing but others that do so.
    pub(super) fn replace(&self, index: Option<&Index>, key: &K, by: Option<Remembered<V>>) -> Ticket {
        let bytes = KeyBytes::of(key);
        let _turn = self.turns.take(&bytes);
        self.replace_in_turn(index, key, &bytes, by)
    }

    /// Keeps what the fleet had, unless something was changed here since it was asked.
    pub(super) fn fill(
        &self,
        index: Option<&Index>,
        key: &K,
        bytes: &KeyBytes,
        found: Remembered<V>,
        changes: u64,
    ) {
        let _turn = self.turns.take(bytes);
        if self.turns.changes(bytes) == changes {
            self.replace_in_turn(index, key, bytes, Some(found));
        }
    }

    fn replace_in_turn(
        &self,
        index: Option<&Index>,
        key: &K,
        bytes: &KeyBytes,
        by: Option<Remembered<V>>,
    ) -> Ticket {
        self.turns.change(bytes);
        // What is believed for a while only is not on disk; what cannot be encoded is removed there, so that an older
        // value does not come back.
        let lasting = by.as_ref().filter(|by| by.until.is_none());
        let encoded = lasting.and_then(|by| record::encode(self.table.name, bytes, &by.value));
        match by {
            Some(by) => self.memory.insert(key.clone(), by),
            None => self.memory.invalidate(key),
        }
        match index {
            Some(index) if encoded.is_some() || index.may_have(self.table, bytes.as_slice()) => {
                index.put(self.table, bytes.as_slice(), encoded)
            }
            Some(_) | None => Ticket::NONE,
        }
    }

    pub(super) fn change(&self, key: &K, change: impl Fn(&K, Option<V>) -> Option<V>) -> Ticket {
        let bytes = KeyBytes::of(key);
        let _turn = self.turns.take(&bytes);
        let before = match &self.index {
            Some(index) => self.find_in_turn(index, key, &bytes),
            None => self.find_in_memory(key),
        };
        match change(key, before) {
            None => Ticket::NONE,
            Some(value) => {
                let after = Remembered { value, until: None };
                self.replace_in_turn(self.index.as_deref(), key, &bytes, Some(after))
            }
        }
    }

    pub(super) fn forget_under(&self, prefix: &KeyBytes, holds: impl Fn(&K) -> bool) -> Ticket {
        // What is on its way from the fleet is from before.
        self.turns.change_all();
        let index = self.index.as_deref();
        for (key, _) in self.memory.iter().filter(|(key, _)| holds(key)) {
            self.replace(index, &key, None);
        }
        let Some(index) = index else {
            return Ticket::NONE;
        };
        let keys = index.keys_under(self.table, prefix.as_slice());
        keys.iter().map(|key| index.put(self.table, key, None)).max().unwrap_or(Ticket::NONE)
    }
}

impl<K: Key, V: Value> Forgets for Store<K, V> {
    fn forget_under(&self, prefix: &KeyBytes) {
        Self::forget_under(self, prefix, |key| KeyBytes::of(key).as_slice().starts_with(prefix.as_slice()));
    }

    fn forget_memory(&self) {
        self.memory.invalidate_all();
    }
}
