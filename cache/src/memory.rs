//! What is held in memory: so many bytes, of which no one domain's flood takes what others use.

mod shares;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use moka::notification::RemovalCause;

use self::shares::Shares;
use crate::shared::Forgets;
use crate::{Beginning, Key, KeyBytes, MemoryStats};

/// What an entry takes besides its key and value.
const ENTRY: usize = 256;

/// Values by key, bounded by their weight in bytes.
///
/// What is used most often stays (TinyLFU). Besides, a [domain](Key::domain) holds at most an eighth of the whole
/// while others need the room: of those that hold more, whoever holds most makes room for what comes, the oldest
/// first. As long as nobody needs it, a domain may hold everything.
pub struct Memory<K, V> {
    entries: moka::sync::Cache<Arc<K>, Held<V>>,
    shares: Arc<Shares<K>>,
    weigh: fn(&K, &V) -> usize,
    /// How often something was purged. Whoever keeps holds it for reading, so that nothing is kept half before a
    /// purge and half after.
    purges: RwLock<u64>,
}

/// When something was asked for that is to be remembered: if anything is purged from then on, it is not kept.
#[derive(Clone, Copy, Debug)]
pub struct Since {
    pub(crate) purges: u64,
    /// When what is kept is to say that it was made.
    pub(crate) made: u64,
}

impl Since {
    /// How often something had been purged: work that was begun before a purge is not for whoever asks after it.
    pub fn purges(&self) -> u64 {
        self.purges
    }
}

#[derive(Clone)]
struct Held<V> {
    value: V,
    weight: u32,
}

impl<K: Key, V: Clone + Send + Sync + 'static> Memory<K, V> {
    /// Nothing yet, and room for so many bytes. `weigh` says how many a key and its value have, more or less; what
    /// any entry has besides is added.
    pub fn new(bytes: u64, weigh: fn(&K, &V) -> usize) -> Self {
        let shares: Arc<Shares<K>> = Arc::new(Shares::new(bytes));
        let told = shares.clone();
        let entries = moka::sync::Cache::builder()
            .max_capacity(bytes)
            .weigher(|_, held: &Held<V>| held.weight)
            .eviction_listener(move |key: Arc<Arc<K>>, held: Held<V>, cause| {
                told.removed(&key, held.weight, cause == RemovalCause::Size);
            })
            .build();
        Self { entries, shares, weigh, purges: RwLock::new(0) }
    }

    /// The value of this key: about a microsecond.
    pub fn find(&self, key: &K) -> Option<V> {
        Some(self.entries.get(key)?.value)
    }

    /// Holds a value, in place of the one before.
    pub fn keep(&self, key: &K, value: V) {
        let weight = u32::try_from((self.weigh)(key, &value).saturating_add(ENTRY)).unwrap_or(u32::MAX);
        let key = Arc::new(key.clone());
        self.shares.added(&key, weight);
        // Whoever is to make room does so first, or the others would be weighed against what comes.
        while let Some(dropped) = self.shares.next_to_go() {
            self.entries.invalidate(&*dropped);
        }
        if !self.entries.contains_key(&*key) {
            self.shares.listed(&key);
        }
        self.entries.insert(key, Held { value, weight });
        self.shares.tidy(|key| self.entries.contains_key(key));
    }

    /// Holds a value, unless something was purged since.
    pub fn keep_since(&self, since: Since, key: &K, value: V) {
        if let Some(_unpurged) = self.unpurged(since) {
            self.keep(key, value);
        }
    }

    /// Drops the value of this key.
    pub fn forget(&self, key: &K) {
        self.entries.invalidate(key);
    }

    /// For whoever asks for something now that is to be kept later.
    pub fn since(&self) -> Since {
        Since { purges: *self.purges.read().unwrap_or_else(PoisonError::into_inner), made: 0 }
    }

    /// Every key that begins so, and its value.
    pub fn under(&self, beginning: &Beginning) -> Vec<(K, V)> {
        let begins = |key: &K| beginning.begins(KeyBytes::of(key).as_slice());
        let all = self.entries.iter().filter(|(key, _)| begins(key));
        all.map(|(key, held)| (K::clone(&key), held.value)).collect()
    }

    /// What it holds, and what it had no room for.
    pub fn stats(&self) -> MemoryStats {
        self.shares.stats()
    }

    /// Holds purges off while something is kept, if there was none since.
    pub(crate) fn unpurged(&self, since: Since) -> Option<RwLockReadGuard<'_, u64>> {
        let purges = self.purges.read().unwrap_or_else(PoisonError::into_inner);
        (*purges == since.purges).then_some(purges)
    }

    /// A purge begins: whoever keeps something is done, and what was asked for before is not kept any more.
    pub(crate) fn begin_purge(&self) {
        *self.purges.write().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    /// Does what is left to be done in the background.
    #[cfg(test)]
    pub(crate) fn settle(&self) {
        self.entries.run_pending_tasks();
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> Forgets for Memory<K, V> {
    fn forget_under(&self, beginning: &Beginning) {
        self.begin_purge();
        for (key, _) in self.under(beginning) {
            self.forget(&key);
        }
    }
}

impl<K, V> fmt::Debug for Memory<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
