//! What is kept, by when it was used last.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use oci::Digest;

use super::stamp::Stamp;

/// What content is kept for, which says what it makes room for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Part {
    /// What images are judged by: manifests, signatures and configuration files. Layers never displace them.
    Documents,
    /// What images are made of.
    Layers,
}

impl Part {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Documents, Self::Layers];

    /// A stable name, for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Documents => "documents",
            Self::Layers => "layers",
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Documents => 0,
            Self::Layers => 1,
        }
    }
}

/// How many digests are pinned at most. More than that would be no list of what is under way.
const PINS: usize = 65_536;

/// The content that is kept, in the order of its last use. It is a list of files and touches none.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    items: HashMap<Digest, Item>,
    order: [BTreeMap<u64, Digest>; 2],
    totals: [u64; 2],
    uses: u64,
    /// What is about to be asked for, and until when that is believed.
    pins: HashMap<Digest, Instant>,
}

/// One file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) part: Part,
    pub(super) size: u64,
    /// How the file was when this process hashed it; without, it did not yet.
    pub(super) hashed: Option<Stamp>,
    used: u64,
}

impl Shelf {
    /// How many bytes there are of a part.
    pub(super) fn total(&self, part: Part) -> u64 {
        self.totals[part.index()]
    }

    /// How many files there are of a part.
    pub(super) fn count(&self, part: Part) -> usize {
        self.order[part.index()].len()
    }

    /// Adds content, in place of what was there under this digest.
    pub(super) fn put(&mut self, digest: Digest, part: Part, size: u64, hashed: Option<Stamp>) {
        self.take(&digest);
        self.uses += 1;
        self.items.insert(digest, Item { part, size, hashed, used: self.uses });
        self.order[part.index()].insert(self.uses, digest);
        self.totals[part.index()] += size;
    }

    /// The content of this digest. That somebody asks is no use of it.
    pub(super) fn look(&self, digest: &Digest) -> Option<Item> {
        self.items.get(digest).copied()
    }

    /// All content.
    pub(super) fn digests(&self) -> Vec<Digest> {
        self.items.keys().copied().collect()
    }

    /// The content of this digest, and that it is used.
    pub(super) fn touch(&mut self, digest: &Digest) -> Option<Item> {
        let Item { part, size, hashed, .. } = self.look(digest)?;
        self.put(*digest, part, size, hashed);
        self.look(digest)
    }

    /// Notes that a file was found to be what its name says.
    pub(super) fn believe(&mut self, digest: &Digest, hashed: Stamp) {
        if let Some(item) = self.items.get_mut(digest) {
            item.hashed = Some(hashed);
        }
    }

    /// Takes content out.
    pub(super) fn take(&mut self, digest: &Digest) {
        if let Some(item) = self.items.remove(digest) {
            self.order[item.part.index()].remove(&item.used);
            self.totals[item.part.index()] -= item.size;
        }
    }

    /// Keeps these from making room until then. Digests of what is not there, or not yet, may be among them.
    pub(super) fn pin(&mut self, digests: impl Iterator<Item = Digest>, now: Instant, until: Instant) {
        if self.pins.len() >= PINS / 2 {
            self.pins.retain(|_, until| *until > now);
        }
        for digest in digests {
            if self.pins.len() < PINS || self.pins.contains_key(&digest) {
                self.pins.insert(digest, until);
            }
        }
    }

    /// How many are pinned.
    pub(super) fn pinned(&self, now: Instant) -> usize {
        self.pins.values().filter(|until| **until > now).count()
    }

    /// Takes out what was used longest ago of a part and is not pinned, if there are more bytes of it than this. Where
    /// all of it is pinned a pin yields: the limit is what the disk has.
    pub(super) fn take_above(&mut self, part: Part, limit: u64, now: Instant) -> Option<(Digest, Part)> {
        if self.total(part) <= limit {
            return None;
        }
        let is_free = |digest: &&Digest| self.pins.get(*digest).is_none_or(|until| *until <= now);
        let order = &self.order[part.index()];
        let digest = *order.values().find(is_free).or_else(|| order.values().next())?;
        self.pins.remove(&digest);
        self.take(&digest);
        Some((digest, part))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn digest(number: u8) -> Digest {
        Digest::of(&[number])
    }

    #[test]
    fn what_is_pinned_goes_last_and_the_limit_holds() {
        let (mut shelf, now) = (Shelf::default(), Instant::now());
        for number in 0..3 {
            shelf.put(digest(number), Part::Layers, 10, None);
        }
        shelf.pin([0, 1].into_iter().map(digest), now, now + Duration::from_secs(1));
        assert_eq!(shelf.pinned(now), 2);
        let mut above = |limit| shelf.take_above(Part::Layers, limit, now).map(|(digest, _)| digest);
        assert_eq!(above(30), None);
        assert_eq!(above(25), Some(digest(2)));
        assert_eq!(above(5), Some(digest(0)), "the oldest of what is pinned, where all is");
        let later = now + Duration::from_secs(1);
        shelf.put(digest(3), Part::Layers, 10, None);
        assert_eq!(shelf.take_above(Part::Layers, 10, later).unwrap().0, digest(1), "pins end");
    }

    #[test]
    fn pins_are_bounded() {
        let (mut shelf, now) = (Shelf::default(), Instant::now());
        let many = |from: u32| (from..).take(PINS).map(|number| Digest::of(&number.to_be_bytes()));
        let soon = now + Duration::from_secs(1);
        shelf.pin(many(0), now, soon);
        shelf.pin(many(1), now, soon);
        assert_eq!(shelf.pinned(now), PINS);
        shelf.pin(many(7), soon, soon + Duration::from_secs(1));
        assert_eq!(shelf.pins.len(), PINS, "those that ended make room");
        assert_eq!(shelf.pinned(soon), PINS);
    }
}
