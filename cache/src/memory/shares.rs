//! Who holds how much: so that a domain which takes more than its share makes room itself.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex};

use crate::lock::lock;
use crate::stats::Count;
use crate::{Key, MemoryStats};

/// How much of the whole a domain may hold while others need it: so many of these shares are the whole.
const SHARES: u64 = 8;

/// From how many keys on the list of a domain is looked through for those that are gone.
const TIDY: usize = 64;

/// The weight of every domain. It holds keys and no values; both change under a lock that is held for nothing else.
pub(super) struct Shares<K> {
    capacity: u64,
    state: Mutex<State<K>>,
    hasher: RandomState,
    evictions: Count,
}

struct State<K> {
    total: u64,
    entries: u64,
    domains: HashMap<u64, Domain<K>>,
    /// Those above their share.
    heavy: HashSet<u64>,
    /// One whose list has more keys that are gone than others.
    untidy: Option<u64>,
}

struct Domain<K> {
    weight: u64,
    entries: usize,
    /// Its keys, the oldest first, and some that are gone.
    keys: VecDeque<Arc<K>>,
}

impl<K> Shares<K> {
    pub(super) fn new(capacity: u64) -> Self {
        let state =
            State { total: 0, entries: 0, domains: HashMap::new(), heavy: HashSet::new(), untidy: None };
        Self { capacity, state: Mutex::new(state), hasher: RandomState::new(), evictions: Count::default() }
    }
}

impl<K: Key> Shares<K> {
    /// An entry is about to be there.
    pub(super) fn added(&self, key: &Arc<K>, weight: u32) {
        let domain = self.domain(key);
        let mut state = lock(&self.state);
        state.total += u64::from(weight);
        state.entries += 1;
        let Some(id) = domain else { return };
        let domain = state.domains.entry(id).or_default();
        domain.weight += u64::from(weight);
        domain.entries += 1;
        if domain.weight > self.share() {
            state.heavy.insert(id);
        }
    }

    /// The key of it is new: it is the last that makes room.
    pub(super) fn listed(&self, key: &Arc<K>) {
        let Some(id) = self.domain(key) else { return };
        let mut state = lock(&self.state);
        let Some(domain) = state.domains.get_mut(&id) else { return };
        domain.keys.push_back(key.clone());
        if domain.keys.len() > 2 * domain.entries + TIDY {
            state.untidy = Some(id);
        }
    }

    /// An entry is gone.
    pub(super) fn removed(&self, key: &Arc<K>, weight: u32, for_room: bool) {
        if for_room {
            self.evictions.add();
        }
        let domain = self.domain(key);
        let mut state = lock(&self.state);
        state.total = state.total.saturating_sub(u64::from(weight));
        state.entries = state.entries.saturating_sub(1);
        let Some(id) = domain else { return };
        let Some(domain) = state.domains.get_mut(&id) else { return };
        domain.weight = domain.weight.saturating_sub(u64::from(weight));
        domain.entries = domain.entries.saturating_sub(1);
        let (weight, is_empty) = (domain.weight, domain.entries == 0);
        if weight <= self.share() {
            state.heavy.remove(&id);
        }
        if is_empty {
            state.domains.remove(&id);
        }
    }

    /// Where there is too much: a key of the domain that has most, if any has more than its share.
    pub(super) fn next_to_go(&self) -> Option<Arc<K>> {
        let mut state = lock(&self.state);
        while state.total > self.capacity {
            let weight = |id: &u64| state.domains.get(id).map(|domain| domain.weight);
            let most = state.heavy.iter().copied().max_by_key(weight)?;
            let oldest = state.domains.get_mut(&most).and_then(|domain| domain.keys.pop_front());
            if oldest.is_some() {
                self.evictions.add();
                return oldest;
            }
            // It has nothing that is known of by name.
            state.heavy.remove(&most);
        }
        None
    }

    /// Drops keys that are gone from a list that has many.
    pub(super) fn tidy(&self, is_there: impl Fn(&K) -> bool) {
        let (id, keys) = {
            let mut state = lock(&self.state);
            let Some(id) = state.untidy.take() else { return };
            let Some(domain) = state.domains.get_mut(&id) else { return };
            (id, std::mem::take(&mut domain.keys))
        };
        let mut seen = HashSet::new();
        let kept: VecDeque<_> =
            keys.into_iter().filter(|key| is_there(key) && seen.insert(self.hasher.hash_one(key))).collect();
        let mut state = lock(&self.state);
        if let Some(domain) = state.domains.get_mut(&id) {
            let meanwhile = std::mem::replace(&mut domain.keys, kept);
            domain.keys.extend(meanwhile);
        }
    }

    pub(super) fn stats(&self) -> MemoryStats {
        let state = lock(&self.state);
        MemoryStats { entries: state.entries, bytes: state.total, evictions: self.evictions.value() }
    }

    fn share(&self) -> u64 {
        self.capacity / SHARES
    }

    /// Two domains of one hash share their share.
    fn domain(&self, key: &Arc<K>) -> Option<u64> {
        key.domain().map(|domain| self.hasher.hash_one(domain))
    }
}

impl<K> Default for Domain<K> {
    fn default() -> Self {
        Self { weight: 0, entries: 0, keys: VecDeque::new() }
    }
}
