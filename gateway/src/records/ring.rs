//! The newest records that fit into some memory.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::Record;
use crate::verdicts::Hearing;

/// Records, newest last, that take no more than so many bytes. What several of them share is counted once.
#[derive(Debug)]
pub(super) struct Ring {
    records: VecDeque<Arc<Record>>,
    shared: HashMap<usize, usize>,
    weight: usize,
    limit: usize,
}

impl Ring {
    pub(super) fn new(limit: usize) -> Self {
        Self { records: VecDeque::new(), shared: HashMap::new(), weight: 0, limit }
    }

    /// Adds a record, and gives back what had to leave for it, so that it can be freed elsewhere.
    pub(super) fn push(&mut self, record: Arc<Record>) -> Vec<Arc<Record>> {
        self.weight += record.weight();
        for hearing in record.hearings() {
            let holders = self.shared.entry(identity(hearing)).or_default();
            if *holders == 0 {
                self.weight += hearing.weight();
            }
            *holders += 1;
        }
        self.records.push_back(record);
        let mut left = Vec::new();
        while self.weight > self.limit
            && let Some(record) = self.records.pop_front()
        {
            self.weight -= record.weight();
            for hearing in record.hearings() {
                self.release(hearing);
            }
            left.push(record);
        }
        left
    }

    fn release(&mut self, hearing: &Arc<Hearing>) {
        let identity = identity(hearing);
        if let Some(holders) = self.shared.get_mut(&identity) {
            *holders -= 1;
            if *holders == 0 {
                self.shared.remove(&identity);
                self.weight -= hearing.weight();
            }
        }
    }

    pub(super) fn records(&self) -> impl DoubleEndedIterator<Item = &Arc<Record>> {
        self.records.iter()
    }
}

/// Which of all that live at once it is.
fn identity(hearing: &Arc<Hearing>) -> usize {
    Arc::as_ptr(hearing).addr()
}
