//! Purges that the store has not got: kept on disk until it has, so that no restart loses one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::{ID, Purge, RECORDS};
use crate::index::Table;
use crate::lock::lock;
use crate::{Beginning, Index};

const TABLE: Table = Table { name: "purges-owed", entries: 1_000 };

/// Purges to be told when somebody listens, the first first.
pub(in crate::shared) struct Owed {
    waiting: Mutex<VecDeque<Purge>>,
    index: Option<Arc<Index>>,
}

impl Owed {
    /// What this index has. Waits for the disk.
    pub(super) fn new(index: Option<Arc<Index>>) -> Self {
        let read = |index: &Arc<Index>| {
            let keys = index.keys_under(TABLE, &Beginning::of_all());
            let mut owed: Vec<Purge> =
                keys.iter().filter_map(|key| read(key, &index.find(TABLE, key)?)).collect();
            owed.sort_by_key(|purge| (purge.at, purge.id));
            owed.dedup();
            owed
        };
        let waiting = index.as_ref().map(read).unwrap_or_default();
        Self { waiting: Mutex::new(waiting.into()), index }
    }

    pub(super) fn all(&self) -> Vec<Purge> {
        lock(&self.waiting).iter().cloned().collect()
    }

    /// Keeps a purge to be told; the oldest goes where there are too many. Waits while the disk is behind.
    pub(in crate::shared) fn add(&self, purge: Purge) {
        if let (Some(index), Some(text)) = (&self.index, purge.text()) {
            let value = [purge.at.to_be_bytes().as_slice(), &text].concat();
            index.put(TABLE, &purge.id, Some(value.into()));
        }
        let dropped = {
            let mut waiting = lock(&self.waiting);
            waiting.push_back(purge);
            if waiting.len() > RECORDS { waiting.pop_front() } else { None }
        };
        if let Some(dropped) = dropped {
            self.remove(&dropped);
        }
    }

    /// The one that has waited longest.
    pub(in crate::shared) fn first(&self) -> Option<Purge> {
        lock(&self.waiting).front().cloned()
    }

    /// It was told.
    pub(in crate::shared) fn paid(&self, told: &Purge) {
        lock(&self.waiting).retain(|purge| purge.id != told.id);
        self.remove(told);
    }

    fn remove(&self, purge: &Purge) {
        if let Some(index) = &self.index {
            index.put(TABLE, &purge.id, None);
        }
    }
}

fn read(key: &[u8], value: &[u8]) -> Option<Purge> {
    let id: [u8; ID] = key.try_into().ok()?;
    let (at, text) = value.split_first_chunk()?;
    Purge::of_text(id, text, u64::from_be_bytes(*at))
}
