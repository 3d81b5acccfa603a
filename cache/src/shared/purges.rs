//! Purges: what is to be forgotten everywhere, also by who does not listen just now.
//!
//! A purge is a record. It is told to all who listen, and written to a log in the store for those who do not; who
//! comes back reads the log. Entries of the store from before a purge are not believed any more, whoever wrote them,
//! so that nothing has to be found and removed there.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};

use crate::index::Table;
use crate::lock::lock;
use crate::seal::OVERHEAD;
use crate::{Index, KeyBytes, Label, Seals};

/// How long a record is.
pub(super) const RECORD: usize = 1024;

/// How many records the log has, and a replica knows of.
pub(super) const RECORDS: usize = 128;

const ID: usize = 16;

/// How long what is sealed in a record is, so that all are of one length.
const TEXT: usize = RECORD - ID - OVERHEAD;

/// Up to how long before a purge an entry may have been made by a clock that is ahead of the purger's.
const SKEW: u64 = 2_000;

/// Which records were carried out, across restarts.
const CARRIED_OUT: Table = Table { name: "purges", entries: 1_000 };

/// What forgets. Its table is the one it was added with.
pub(crate) trait Forgets: Send + Sync {
    /// Forgets every key that begins with these bytes, in memory and on disk. Waits for the disk.
    fn forget_under(&self, prefix: &KeyBytes);

    /// Forgets what is in memory.
    fn forget_memory(&self);
}

/// What was purged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Purge {
    id: [u8; ID],
    table: String,
    prefix: KeyBytes,
    at: u64,
}

/// What this replica knows of purges.
#[derive(Default)]
pub(super) struct Purges {
    /// The last ones, the newest last.
    known: Mutex<VecDeque<Purge>>,
    /// Records of our own that the store has not got.
    unsent: Mutex<VecDeque<Vec<u8>>>,
    forgetting: Mutex<Vec<(&'static str, Weak<dyn Forgets>)>>,
    index: Option<Arc<Index>>,
}

impl Purge {
    /// A purge of everything in this table whose key begins so; of the whole table, where that is too long to be
    /// told.
    pub(super) fn new(id: [u8; ID], table: &str, prefix: &KeyBytes, at: u64) -> Self {
        let fits = 3 + table.len() + prefix.as_slice().len() <= TEXT;
        let prefix = if fits { prefix.clone() } else { KeyBytes::default() };
        Self { id, table: table.to_owned(), prefix, at }
    }

    /// The record of it, sealed so that nobody else can make us forget.
    pub(super) fn record(&self, seals: &Seals) -> Option<Vec<u8>> {
        let (table, prefix) = (self.table.as_bytes(), self.prefix.as_slice());
        let mut text = vec![u8::try_from(table.len()).ok()?];
        text.extend_from_slice(table);
        text.extend_from_slice(&u16::try_from(prefix.len()).ok()?.to_be_bytes());
        text.extend_from_slice(prefix);
        if text.len() > TEXT {
            return None;
        }
        text.resize(TEXT, 0);
        let sealed = seals.seal(label(&self.id), &text, u64::MAX, self.at)?;
        Some([self.id.as_slice(), &sealed].concat())
    }

    /// The purge of a record, if it is one of ours.
    pub(super) fn read(seals: &Seals, record: &[u8]) -> Option<Self> {
        if record.len() != RECORD {
            return None;
        }
        let (id, sealed) = record.split_first_chunk::<ID>()?;
        let opened = seals.open(label(id), sealed, 0).ok()?;
        let (table, rest) = opened.value.split_first()?;
        let (table, rest) = rest.split_at_checked(usize::from(*table))?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let prefix = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
        Some(Self {
            id: *id,
            table: String::from_utf8(table.to_vec()).ok()?,
            prefix: KeyBytes::from_encoded(prefix),
            at: opened.made,
        })
    }

    fn covers(&self, table: &str, key: &[u8], made: u64) -> bool {
        self.table == table && key.starts_with(self.prefix.as_slice()) && made <= self.at.saturating_add(SKEW)
    }
}

impl Purges {
    pub(super) fn new(index: Option<Arc<Index>>) -> Self {
        Self { index, ..Self::default() }
    }

    /// From now on, this forgets what is purged from its table.
    pub(super) fn add(&self, table: &'static str, forgets: Weak<dyn Forgets>) {
        lock(&self.forgetting).push((table, forgets));
    }

    /// Whether an entry was made before something purged it.
    pub(super) fn cover(&self, label: Label<'_>, made: u64) -> bool {
        lock(&self.known).iter().any(|purge| purge.covers(label.table, label.key, made))
    }

    /// When an entry that is made now is to say that it was made: after every purge that is known here, also where
    /// that was told by a clock that is ahead, or would cover what came right after it.
    pub(super) fn made(&self, label: Label<'_>, now: u64) -> u64 {
        let known = lock(&self.known);
        let covering = known.iter().filter(|purge| purge.covers(label.table, label.key, now));
        covering.map(|purge| purge.at.saturating_add(SKEW + 1)).fold(now, u64::max)
    }

    /// Carries out a purge, unless it was. Waits for the disk. Says whether it did.
    pub(super) fn carry_out(&self, purge: &Purge) -> bool {
        {
            let mut known = lock(&self.known);
            if known.iter().any(|known| known.id == purge.id) {
                return false;
            }
            known.push_back(purge.clone());
            if known.len() > RECORDS {
                known.pop_front();
            }
        }
        // It was before this process began, and what the disk has since is newer.
        if self.index.as_ref().is_some_and(|index| index.may_have(CARRIED_OUT, &purge.id)) {
            return false;
        }
        for forgets in self.forgetting(Some(&purge.table)) {
            forgets.forget_under(&purge.prefix);
        }
        if let Some(index) = &self.index {
            index.put(CARRIED_OUT, &purge.id, Some(purge.id.as_slice().into()));
        }
        true
    }

    /// Whether records may have been missed: the log is full, and its oldest was never heard of.
    pub(super) fn may_have_missed(&self, log: &[Purge]) -> bool {
        let known = lock(&self.known);
        log.len() >= RECORDS
            && log.first().is_some_and(|oldest| known.iter().all(|known| known.id != oldest.id))
    }

    /// Forgets all that is in memory.
    pub(super) fn forget_memory(&self) {
        for forgets in self.forgetting(None) {
            forgets.forget_memory();
        }
    }

    /// Keeps a record to be sent later; the oldest goes where there are too many.
    pub(super) fn owe(&self, record: Vec<u8>) {
        let mut unsent = lock(&self.unsent);
        unsent.push_back(record);
        if unsent.len() > RECORDS {
            unsent.pop_front();
        }
    }

    /// Takes the next record that is to be sent.
    pub(super) fn owed(&self) -> Option<Vec<u8>> {
        lock(&self.unsent).pop_front()
    }

    /// Those that are still there, of one table or of all. No lock is held while they forget.
    fn forgetting(&self, table: Option<&str>) -> Vec<Arc<dyn Forgets>> {
        let mut forgetting = lock(&self.forgetting);
        forgetting.retain(|(_, forgets)| forgets.strong_count() > 0);
        let wanted = forgetting.iter().filter(|(name, _)| table.is_none_or(|table| table == *name));
        wanted.filter_map(|(_, forgets)| forgets.upgrade()).collect()
    }
}

fn label(id: &[u8]) -> Label<'_> {
    Label { domain: "", table: "purges", build: "", key: id }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = 1_700_000_000_000;

    #[derive(Default)]
    struct Heard(Mutex<Vec<KeyBytes>>);

    impl Forgets for Heard {
        fn forget_under(&self, prefix: &KeyBytes) {
            lock(&self.0).push(prefix.clone());
        }

        fn forget_memory(&self) {}
    }

    fn seals(first: u8) -> Seals {
        Seals::new(&[std::array::from_fn(|at| first + at as u8)]).unwrap()
    }

    fn purge(id: u8, table: &str, prefix: &str) -> Purge {
        Purge::new([id; ID], table, &KeyBytes::of(&prefix.to_owned()), AT)
    }

    #[test]
    fn a_record_has_one_length_and_reads_as_what_was_purged() {
        for purge in [purge(1, "lists", "acme"), Purge::new([2; ID], "facts", &KeyBytes::default(), AT)] {
            let record = purge.record(&seals(1)).unwrap();
            assert_eq!(record.len(), RECORD);
            assert_eq!(Purge::read(&seals(1), &record), Some(purge));
            assert_eq!(Purge::read(&seals(9), &record), None, "another's");
            for at in 0..record.len() {
                let mut changed = record.clone();
                changed[at] ^= 1;
                assert_eq!(Purge::read(&seals(1), &changed), None, "byte {at}");
            }
        }
        let long = purge(3, "lists", &"a".repeat(RECORD));
        assert_eq!(long.prefix, KeyBytes::default(), "what is too long to be told is the whole table");
        assert!(Purge::read(&seals(1), &long.record(&seals(1)).unwrap()) == Some(long));
    }

    #[test]
    fn what_was_made_before_a_purge_is_covered_and_what_was_made_after_is_not() {
        let purges = Purges::new(None);
        purges.carry_out(&purge(1, "lists", "acme"));
        let covers = |table, key: &str, made| {
            let key = KeyBytes::of(&key.to_owned());
            purges.cover(Label { domain: "any", table, build: "any", key: key.as_slice() }, made)
        };
        assert!(covers("lists", "acme", AT) && covers("lists", "acme", 0));
        assert!(!covers("lists", "acme", AT + SKEW + 1), "made after it");
        let key = KeyBytes::of(&"acme".to_owned());
        let label = Label { domain: "any", table: "lists", build: "any", key: key.as_slice() };
        let right_after = purges.made(label, AT + 1);
        assert!(!purges.cover(label, right_after), "made right after it, by who knows of it");
        assert_eq!(purges.made(Label { table: "facts", ..label }, AT + 1), AT + 1);
        assert!(!covers("facts", "acme", AT), "another table");
        assert!(!covers("lists", "acm", AT) && !covers("lists", "acmee", AT), "another key");
    }

    #[test]
    fn a_purge_is_carried_out_once_also_across_a_restart() {
        let index = Index::in_memory();
        let heard: Arc<Heard> = Arc::default();
        let forgets: Arc<dyn Forgets> = heard.clone();
        for _ in 0..2 {
            let purges = Purges::new(Some(index.clone()));
            purges.add("lists", Arc::downgrade(&forgets));
            purges.carry_out(&purge(1, "lists", "acme"));
            assert!(!purges.carry_out(&purge(1, "lists", "acme")));
            purges.carry_out(&purge(2, "facts", "acme"));
            let key = KeyBytes::of(&"acme".to_owned());
            let label = Label { domain: "", table: "lists", build: "", key: key.as_slice() };
            assert!(
                purges.cover(label, AT),
                "and the store's entries are not believed after a restart either"
            );
        }
        assert_eq!(*lock(&heard.0), [KeyBytes::of(&"acme".to_owned())]);
    }

    #[test]
    fn a_log_that_ran_over_is_noticed() {
        let purges = Purges::new(None);
        let log: Vec<Purge> = (0..RECORDS).map(|id| purge(id as u8, "lists", "acme")).collect();
        assert!(!purges.may_have_missed(&log[1..]), "it is not full");
        assert!(purges.may_have_missed(&log));
        purges.carry_out(&log[0]);
        assert!(!purges.may_have_missed(&log));
    }
}
