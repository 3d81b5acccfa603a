//! Writes on their way to the disk, gathered so that many share one transaction.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redb::Database;
use tokio::sync::watch;

use super::Table;
use super::disk::Disk;
use crate::Beginning;
use crate::lock::lock;

/// How many writes wait at most. Whoever comes then waits for a transaction to end.
const ROOM: usize = 4096;

/// For how long nothing is written after the disk has failed, so that it can be read.
const PAUSE: Duration = Duration::from_secs(10);

/// A place in the queue.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Ticket(u64);

impl Ticket {
    /// That of no write: it is settled before it is asked for.
    pub(crate) const NONE: Self = Self(0);

    /// The one behind.
    #[cfg(test)]
    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The queue, and what is in it by key, so that a write is seen by readers before it has reached the disk.
pub(super) struct Queue {
    state: Mutex<State>,
    /// Something was queued, or the queue was closed.
    work: Condvar,
    /// The writer took what was queued, or is gone.
    room: Condvar,
    /// All tickets up to this one are settled.
    settled: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    waiting: Vec<Write>,
    latest: HashMap<&'static str, HashMap<Arc<[u8]>, Latest>>,
    last: u64,
    closed: bool,
}

struct Write {
    table: Table,
    key: Arc<[u8]>,
    value: Option<Arc<[u8]>>,
    ticket: u64,
}

struct Latest {
    value: Option<Arc<[u8]>>,
    ticket: u64,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            work: Condvar::new(),
            room: Condvar::new(),
            settled: watch::Sender::new(0),
        }
    }

    /// Queues a write. After the queue was closed there is nothing to wait for, and nothing is kept.
    pub(super) fn put(&self, table: Table, key: &[u8], value: Option<Arc<[u8]>>) -> Ticket {
        let state = lock(&self.state);
        let mut state = self
            .room
            .wait_while(state, |state| state.waiting.len() >= ROOM && !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Ticket::NONE;
        }
        state.last += 1;
        let (ticket, key) = (state.last, Arc::<[u8]>::from(key));
        let latest = Latest { value: value.clone(), ticket };
        state.latest.entry(table.name).or_default().insert(key.clone(), latest);
        state.waiting.push(Write { table, key, value, ticket });
        self.work.notify_one();
        Ticket(ticket)
    }

    /// What is queued last for this key: `Some(None)` is that it is removed, `None` that nothing is queued.
    pub(super) fn latest(&self, table: Table, key: &[u8]) -> Option<Option<Arc<[u8]>>> {
        lock(&self.state).latest.get(table.name)?.get(key).map(|latest| latest.value.clone())
    }

    /// The keys that begin so and have something queued.
    pub(super) fn keys_under(&self, table: Table, beginning: &Beginning) -> Vec<Arc<[u8]>> {
        let state = lock(&self.state);
        let keys = state.latest.get(table.name).into_iter().flat_map(HashMap::keys);
        keys.filter(|key| beginning.begins(key)).cloned().collect()
    }

    /// Waits until a write is over.
    pub(super) async fn settled(&self, ticket: Ticket) {
        let mut settled = self.settled.subscribe();
        // The sender lives as long as the queue does, so there is always an answer.
        drop(settled.wait_for(|settled| *settled >= ticket.0).await);
    }

    /// Takes no more. What is queued is still written.
    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        self.work.notify_all();
        self.room.notify_all();
    }

    /// Writes what is queued until the queue is closed and empty.
    pub(super) fn write_to(&self, disk: &Disk) {
        let _gone = WriterGone(self);
        let mut resume = Instant::now();
        while let Some(writes) = self.take() {
            if Instant::now() < resume {
                tracing::warn!(
                    writes = writes.len(),
                    "the index was not written, because the disk failed just now"
                );
            } else if let Err(error) = write(disk, &writes) {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::error!(
                    error,
                    writes = writes.len(),
                    "the index cannot be written: a restart will forget"
                );
                disk.reopen();
                resume = Instant::now() + PAUSE;
            }
            self.settle(&writes);
        }
    }

    fn take(&self) -> Option<Vec<Write>> {
        let state = lock(&self.state);
        let mut state = self
            .work
            .wait_while(state, |state| state.waiting.is_empty() && !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        let writes = std::mem::take(&mut state.waiting);
        self.room.notify_all();
        (!writes.is_empty()).then_some(writes)
    }

    /// From here on readers find on disk what these wrote, unless it is queued again.
    fn settle(&self, writes: &[Write]) {
        let mut state = lock(&self.state);
        for write in writes {
            if let Some(latest) = state.latest.get_mut(write.table.name)
                && latest.get(&write.key).is_some_and(|latest| latest.ticket == write.ticket)
            {
                latest.remove(&write.key);
            }
        }
        drop(state);
        if let Some(last) = writes.last() {
            self.settled.send_replace(last.ticket);
        }
    }
}

/// Lets nobody wait for a writer that is gone, be it by a panic.
struct WriterGone<'a>(&'a Queue);

impl Drop for WriterGone<'_> {
    fn drop(&mut self) {
        self.0.close();
        let mut state = lock(&self.0.state);
        state.waiting.clear();
        state.latest.clear();
        drop(state);
        self.0.settled.send_replace(u64::MAX);
    }
}

fn write(disk: &Disk, writes: &[Write]) -> Result<(), redb::Error> {
    if disk.has_failed() {
        disk.reopen();
    }
    disk.with(|database| commit(database, writes))
}

/// One transaction, on disk when this returns.
fn commit(database: &Database, writes: &[Write]) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    // What is written comes from registries. In one phase, bytes chosen with care and a crash at the right moment
    // could pass for a transaction.
    transaction.set_two_phase_commit(true);
    for write in writes {
        write.table.write(&transaction, &write.key, write.value.as_deref())?;
    }
    transaction.commit()?;
    Ok(())
}
