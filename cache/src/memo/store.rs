//! What a memo holds, and everything that waits for the disk.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::sharing::Sharing;
use super::turns::Turns;
use super::{Limits, Value, record};
use crate::index::{Table, Ticket};
use crate::shared::Forgets;
use crate::stats::Count;
use crate::{Beginning, Domain, Flights, Index, Key, KeyBytes, MemoStats, Memory, Since};

/// Memory over a table. In each of its functions, whoever has the key's turn sees memory and the index agree and
/// leaves them so; a write that is queued counts as written.
pub(super) struct Store<K, V> {
    pub(super) memory: Memory<K, Remembered<V>>,
    /// What the table is called in every domain.
    pub(super) name: &'static str,
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

/// What was so when the fleet was asked.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) since: Since,
    /// How often the key had been changed.
    pub(super) changes: u64,
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
        name: &'static str,
        limits: Limits,
        domain: Domain,
        index: Option<Arc<Index>>,
        sharing: Option<Sharing<K>>,
    ) -> Self {
        let limits = domain.limits(limits);
        let weigh = |key: &K, remembered: &Remembered<V>| {
            KeyBytes::of(key).as_slice().len() + record::length(&remembered.value)
        };
        Self {
            memory: Memory::new(limits.bytes, weigh),
            name,
            table: Table { name: domain.table(name), entries: limits.entries },
            index,
            sharing,
            turns: Turns::default(),
            looks: Flights::new(),
            meters: Meters::default(),
        }
    }

    pub(super) fn find_in_memory(&self, key: &K) -> Option<V> {
        let remembered = self.memory.find(key)?;
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
        self.memory.keep(key, Remembered { value: value.clone(), until: None });
        Some(value)
    }

    /// What is on disk, without bringing it nearer.
    pub(super) fn look_below(&self, index: &Index, key: &K) -> Option<V> {
        let bytes = KeyBytes::of(key);
        let _turn = self.turns.take(&bytes);
        record::decode(self.table.name, &bytes, &index.find(self.table, bytes.as_slice())?)
    }

    /// Remembers something in place of what was remembered, unless anything was purged since it was asked for.
    /// Without an index it waits for nothing but others that do so.
    pub(super) fn keep(
        &self,
        index: Option<&Index>,
        key: &K,
        by: Remembered<V>,
        since: Since,
    ) -> Option<Ticket> {
        let _unpurged = self.memory.unpurged(since)?;
        let bytes = KeyBytes::of(key);
        let _turn = self.turns.take(&bytes);
        Some(self.replace_in_turn(index, key, &bytes, Some(by)))
    }

    /// Forgets what is remembered.
    pub(super) fn forget(&self, index: Option<&Index>, key: &K) -> Ticket {
        let bytes = KeyBytes::of(key);
        let _turn = self.turns.take(&bytes);
        self.replace_in_turn(index, key, &bytes, None)
    }

    /// Keeps what the fleet had, unless something was changed here since it was asked.
    pub(super) fn fill(
        &self,
        index: Option<&Index>,
        key: &K,
        bytes: &KeyBytes,
        found: Remembered<V>,
        asked: Asked,
    ) {
        let Some(_unpurged) = self.memory.unpurged(asked.since) else {
            return;
        };
        let _turn = self.turns.take(bytes);
        if self.turns.changes(bytes) == asked.changes {
            self.replace_in_turn(index, key, bytes, Some(found));
        }
    }

    /// For whoever asks the fleet now.
    pub(super) fn asked(&self, bytes: &KeyBytes) -> Asked {
        Asked { since: self.memory.since(), changes: self.turns.changes(bytes) }
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
            Some(by) => self.memory.keep(key, by),
            None => self.memory.forget(key),
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

    /// Forgets every key that begins so, and what is on its way to be kept under one.
    pub(super) fn forget_under(&self, beginning: &Beginning) -> Ticket {
        self.memory.begin_purge();
        // Nobody who looks from now on joins a look that began before.
        self.turns.change_all();
        let mut last = Ticket::NONE;
        // The disk first: from there a look could bring back to memory what was forgotten in it.
        if let Some(index) = &self.index {
            for key in index.keys_under(self.table, beginning) {
                let bytes = KeyBytes::from_encoded(&key);
                let _turn = self.turns.take(&bytes);
                last = last.max(index.put(self.table, &key, None));
            }
        }
        for (key, _) in self.memory.under(beginning) {
            last = last.max(self.forget(self.index.as_deref(), &key));
        }
        last
    }

    /// Every key that begins so, in memory or on disk.
    pub(super) fn keys_under(&self, beginning: &Beginning) -> Vec<KeyBytes> {
        let mut keys: HashSet<KeyBytes> =
            self.memory.under(beginning).iter().map(|(key, _)| KeyBytes::of(key)).collect();
        if let Some(index) = &self.index {
            let found = index.keys_under(self.table, beginning);
            let there = found.iter().filter(|key| index.may_have(self.table, key));
            keys.extend(there.map(|key| KeyBytes::from_encoded(key)));
        }
        keys.into_iter().collect()
    }
}

impl<K: Key, V: Value> Forgets for Store<K, V> {
    fn forget_under(&self, beginning: &Beginning) {
        Self::forget_under(self, beginning);
    }
}
