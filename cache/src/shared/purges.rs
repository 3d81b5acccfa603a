//! Purges: what is to be forgotten everywhere, also by who does not listen just now.
//!
//! A purge is a record. It is told to all who listen, and written to a log in the store for those who do not; who
//! comes back reads the log. Entries of the store from before a purge are not believed any more, whoever wrote them,
//! so that nothing has to be found and removed there. Of purges that are too old to be known one by one, what is left
//! is a time for each table: nothing from before it is believed.

mod owed;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, Weak};

use self::owed::Owed;
use crate::domain::interned;
use crate::index::Table;
use crate::lock::lock;
use crate::seal::OVERHEAD;
use crate::{Beginning, Index, Label, Seals};

/// How long a record is.
pub(super) const RECORD: usize = 1024;

/// How many records the log has, and a replica knows of. One purge of an image is a handful.
pub(super) const RECORDS: usize = 512;

const ID: usize = 16;

/// How long what is sealed in a record is, so that all are of one length.
const TEXT: usize = RECORD - ID - OVERHEAD;

/// Up to how long before a purge an entry may have been made by a clock that is ahead of the purger's.
const SKEW: u64 = 2_000;

/// Which records were carried out, across restarts.
const CARRIED_OUT: Table = Table { name: "purges", entries: 2_000 };

/// What forgets. Its table is the one it was added with.
pub trait Forgets: Send + Sync {
    /// Forgets every key that begins so, in memory and on disk, and whatever is on its way to be kept under one. Waits
    /// for the disk.
    fn forget_under(&self, beginning: &Beginning);
}

/// What was purged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Purge {
    id: [u8; ID],
    table: String,
    beginning: Beginning,
    at: u64,
}

/// What this replica knows of purges.
pub(super) struct Purges {
    known: Mutex<Known>,
    /// Purges of our own that the store has not got.
    owed: Owed,
    forgetting: Mutex<Vec<(&'static str, Weak<dyn Forgets>)>>,
    index: Option<Arc<Index>>,
}

#[derive(Default)]
struct Known {
    /// The last ones, the newest last.
    last: VecDeque<Purge>,
    /// For each table the time of the newest that is none of the last any more.
    before: HashMap<String, u64>,
    /// The same for all tables, where nobody knows which.
    before_all: u64,
    /// What was carried out while nobody was there yet to forget.
    unheard: Vec<Purge>,
}

impl Purge {
    /// A purge of everything in this table whose key begins so; of the whole table, where that is too long to be
    /// told.
    pub(super) fn new(id: [u8; ID], table: &str, beginning: &Beginning, at: u64) -> Self {
        let fits = 3 + table.len() + beginning.as_slice().len() <= TEXT;
        let beginning = if fits { beginning.clone() } else { Beginning::of_all() };
        Self { id, table: table.to_owned(), beginning, at }
    }

    /// The record of it, sealed so that nobody else can make us forget.
    pub(super) fn record(&self, seals: &Seals) -> Option<Vec<u8>> {
        let sealed = seals.seal(label(&self.id), &self.text()?, u64::MAX, self.at)?;
        Some([self.id.as_slice(), &sealed].concat())
    }

    /// The purge of a record, if it is one of ours.
    pub(super) fn read(seals: &Seals, record: &[u8]) -> Option<Self> {
        if record.len() != RECORD {
            return None;
        }
        let (id, sealed) = record.split_first_chunk::<ID>()?;
        let opened = seals.open(label(id), sealed, 0).ok()?;
        Self::of_text(*id, &opened.value, opened.made)
    }

    /// What is purged, and nothing of when.
    fn text(&self) -> Option<Vec<u8>> {
        let (table, beginning) = (self.table.as_bytes(), self.beginning.as_slice());
        let mut text = vec![u8::try_from(table.len()).ok()?];
        text.extend_from_slice(table);
        text.extend_from_slice(&u16::try_from(beginning.len()).ok()?.to_be_bytes());
        text.extend_from_slice(beginning);
        if text.len() > TEXT {
            return None;
        }
        text.resize(TEXT, 0);
        Some(text)
    }

    fn of_text(id: [u8; ID], text: &[u8], at: u64) -> Option<Self> {
        let (table, rest) = text.split_first()?;
        let (table, rest) = rest.split_at_checked(usize::from(*table))?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let beginning = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
        let table = String::from_utf8(table.to_vec()).ok()?;
        Some(Self { id, table, beginning: Beginning::from_encoded(beginning), at })
    }

    fn covers(&self, table: &str, key: &[u8], made: u64) -> bool {
        self.table == table && made <= self.at.saturating_add(SKEW) && self.beginning.begins(key)
    }
}

impl Known {
    fn knows(&self, id: &[u8; ID]) -> bool {
        self.last.iter().any(|purge| purge.id == *id)
    }

    fn add(&mut self, purge: Purge) {
        self.last.push_back(purge);
        if self.last.len() > RECORDS
            && let Some(oldest) = self.last.pop_front()
        {
            let before = self.before.entry(oldest.table).or_default();
            *before = oldest.at.max(*before);
        }
    }

    /// Up to when entries of this table were made that may have been purged by what is not known any more.
    fn unknown_until(&self, table: &str) -> Option<u64> {
        let until = self.before.get(table).copied().unwrap_or_default().max(self.before_all);
        (until > 0).then(|| until.saturating_add(SKEW))
    }
}

impl Purges {
    /// Those that this index has from before, if there is one. Waits for the disk.
    pub(super) fn new(index: Option<Arc<Index>>) -> Self {
        let owed = Owed::new(index.clone());
        let mut known = Known::default();
        owed.all().into_iter().for_each(|purge| known.add(purge));
        Self { known: Mutex::new(known), owed, forgetting: Mutex::default(), index }
    }

    /// From now on, this forgets what is purged from its table.
    pub(super) fn add(&self, table: &'static str, forgets: Weak<dyn Forgets>) {
        let there = forgets.upgrade();
        lock(&self.forgetting).push((table, forgets));
        let unheard: Vec<Purge> = {
            let mut known = lock(&self.known);
            known.unheard.extract_if(.., |purge| purge.table == table).collect()
        };
        if let Some(forgets) = there {
            unheard.iter().for_each(|purge| forgets.forget_under(&purge.beginning));
        }
    }

    /// Whether an entry was made before something purged it.
    pub(super) fn cover(&self, label: Label<'_>, made: u64) -> bool {
        let known = lock(&self.known);
        known.unknown_until(label.table).is_some_and(|until| made <= until)
            || known.last.iter().any(|purge| purge.covers(label.table, label.key, made))
    }

    /// When an entry that is made now is to say that it was made: after every purge that is known here, also where
    /// that was told by a clock that is ahead, or would cover what came right after it.
    pub(super) fn made(&self, table: &str, key: &[u8], now: u64) -> u64 {
        let known = lock(&self.known);
        let covering = known.last.iter().filter(|purge| purge.covers(table, key, now));
        let covered = covering.map(|purge| purge.at.saturating_add(SKEW));
        covered.chain(known.unknown_until(table)).map(|until| until.saturating_add(1)).fold(now, u64::max)
    }

    /// Carries out a purge, unless it was. Waits for the disk. Says whether it did.
    pub(super) fn carry_out(&self, purge: &Purge) -> bool {
        {
            let mut known = lock(&self.known);
            if known.knows(&purge.id) {
                return false;
            }
            known.add(purge.clone());
        }
        // It was before this process began, and what the disk has since is newer.
        if self.was_carried_out(purge) {
            return false;
        }
        let mut forgetting = self.forgetting(Some(&purge.table));
        if forgetting.is_empty() && is_of_a_domain(&purge.table) {
            // Whose it is may not come for days, and the process may end before: the disk is all there is to forget.
            self.forget_on_disk(&purge.table, &purge.beginning);
            forgetting = self.forgetting(Some(&purge.table));
        } else if forgetting.is_empty() {
            lock(&self.known).unheard.push(purge.clone());
        }
        for forgets in forgetting {
            forgets.forget_under(&purge.beginning);
        }
        if let Some(index) = &self.index {
            index.put(CARRIED_OUT, &purge.id, Some(purge.id.as_slice().into()));
        }
        true
    }

    /// Notes what the log says by its being full: what it had before is not known, and nothing that any of it may
    /// have purged is believed. Where that may have been missed here, all is forgotten. Waits for the disk.
    pub(super) fn note_missed(&self, log: &[Purge]) {
        let Some(oldest) = log.first().filter(|_| log.len() >= RECORDS) else {
            return;
        };
        let missed = {
            let mut known = lock(&self.known);
            let missed = !known.knows(&oldest.id);
            if missed {
                known.before_all = known.before_all.max(oldest.at);
            }
            missed
        };
        if missed && !self.was_carried_out(oldest) {
            tracing::warn!("more was purged than this replica can find out: it forgets everything");
            for forgets in self.forgetting(None) {
                forgets.forget_under(&Beginning::of_all());
            }
            for table in self.index.iter().flat_map(|index| index.tables()) {
                if is_of_a_domain(&table) && self.forgetting(Some(&table)).is_empty() {
                    self.forget_on_disk(&table, &Beginning::of_all());
                }
            }
        }
    }

    /// Forgets what a table has on disk whose memory is not there. Waits for the disk.
    fn forget_on_disk(&self, table: &str, beginning: &Beginning) {
        let Some(index) = &self.index else { return };
        let table = Table { name: interned(table), entries: u64::MAX };
        for key in index.keys_under(table, beginning) {
            index.put(table, &key, None);
        }
    }

    /// Purges of our own that the store has not got.
    pub(super) fn owed(&self) -> &Owed {
        &self.owed
    }

    fn was_carried_out(&self, purge: &Purge) -> bool {
        self.index.as_ref().is_some_and(|index| index.may_have(CARRIED_OUT, &purge.id))
    }

    /// Those that are still there, of one table or of all. No lock is held while they forget.
    fn forgetting(&self, table: Option<&str>) -> Vec<Arc<dyn Forgets>> {
        let mut forgetting = lock(&self.forgetting);
        forgetting.retain(|(_, forgets)| forgets.strong_count() > 0);
        let wanted = forgetting.iter().filter(|(name, _)| table.is_none_or(|table| table == *name));
        wanted.filter_map(|(_, forgets)| forgets.upgrade()).collect()
    }
}

/// Whether a table is one of those that come and go with whoever they are of.
fn is_of_a_domain(table: &str) -> bool {
    table.contains('@')
}

fn label(id: &[u8]) -> Label<'_> {
    Label { domain: "", table: "purges", build: "", key: id }
}

#[cfg(test)]
mod tests;
