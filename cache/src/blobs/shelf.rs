//! What is kept, by when it was used last.

use std::collections::HashMap;
use std::time::Instant;

use hashlink::LinkedHashMap;
use oci::{Algorithm, Digest};

use super::stamp::{Stamp, StampId};

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
///
/// There is an entry for each file on disk, however many there are, so each is made small.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// What there is of each part; what was used longest ago comes first.
    parts: [LinkedHashMap<Name, File>; 2],
    totals: [u64; 2],
    /// What is about to be asked for, and until when that is believed.
    pins: HashMap<Digest, Instant>,
}

/// A digest, in half the bytes where it is of the usual algorithm.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Name {
    Sha256([u8; 32]),
    Other(Box<Digest>),
}

#[derive(Clone, Copy, Debug)]
struct File {
    size: u64,
    hashed: Option<StampId>,
}

/// One file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) part: Part,
    pub(super) size: u64,
    /// How the file was when this process hashed it; without, it did not yet.
    pub(super) hashed: Option<StampId>,
}

impl Name {
    fn of(digest: &Digest) -> Self {
        match (digest.algorithm(), digest.hash().try_into()) {
            (Algorithm::Sha256, Ok(hash)) => Self::Sha256(hash),
            (Algorithm::Sha256 | Algorithm::Sha512, _) => Self::Other(Box::new(*digest)),
        }
    }

    fn digest(&self) -> Digest {
        match self {
            Self::Sha256(hash) => Digest::from_sha256(*hash),
            Self::Other(digest) => **digest,
        }
    }
}

impl Shelf {
    /// How many bytes there are of a part.
    pub(super) fn total(&self, part: Part) -> u64 {
        self.totals[part.index()]
    }

    /// How many files there are of a part.
    pub(super) fn count(&self, part: Part) -> usize {
        self.parts[part.index()].len()
    }

    /// Adds content, in place of what was there under this digest.
    pub(super) fn put(&mut self, digest: Digest, part: Part, size: u64, hashed: Option<Stamp>) {
        self.take(&digest);
        let file = File { size, hashed: hashed.map(Stamp::id) };
        self.parts[part.index()].insert(Name::of(&digest), file);
        self.totals[part.index()] += size;
    }

    /// The content of this digest. That somebody asks is no use of it.
    pub(super) fn look(&self, digest: &Digest) -> Option<Item> {
        let name = Name::of(digest);
        Part::ALL.into_iter().find_map(|part| {
            let File { size, hashed } = *self.parts[part.index()].get(&name)?;
            Some(Item { part, size, hashed })
        })
    }

    /// All content.
    pub(super) fn digests(&self) -> Vec<Digest> {
        self.parts.iter().flat_map(|files| files.keys().map(Name::digest)).collect()
    }

    /// The content of this digest, and that it is used.
    pub(super) fn touch(&mut self, digest: &Digest) -> Option<Item> {
        let name = Name::of(digest);
        Part::ALL.into_iter().find_map(|part| {
            let File { size, hashed } = *self.parts[part.index()].to_back(&name)?;
            Some(Item { part, size, hashed })
        })
    }

    /// Notes that a file was found to be what its name says.
    pub(super) fn believe(&mut self, digest: &Digest, hashed: Stamp) {
        let name = Name::of(digest);
        if let Some(file) = self.parts.iter_mut().find_map(|files| files.get_mut(&name)) {
            file.hashed = Some(hashed.id());
        }
    }

    /// Takes content out.
    pub(super) fn take(&mut self, digest: &Digest) {
        let name = Name::of(digest);
        for (files, total) in self.parts.iter_mut().zip(&mut self.totals) {
            if let Some(file) = files.remove(&name) {
                *total -= file.size;
            }
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
        let is_free = |digest: &Digest| self.pins.get(digest).is_none_or(|until| *until <= now);
        let mut oldest = self.parts[part.index()].keys().map(Name::digest);
        let first = oldest.next()?;
        let digest = if is_free(&first) { first } else { oldest.find(is_free).unwrap_or(first) };
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
    fn what_is_used_goes_behind_what_is_not_whatever_its_algorithm() {
        let (mut shelf, now) = (Shelf::default(), Instant::now());
        let long = Digest::with(Algorithm::Sha512, b"long");
        shelf.put(long, Part::Documents, 10, None);
        shelf.put(digest(1), Part::Documents, 10, None);
        shelf.put(digest(2), Part::Layers, 5, None);
        assert_eq!(shelf.touch(&long).map(|item| (item.part, item.size)), Some((Part::Documents, 10)));
        assert_eq!(shelf.look(&digest(1)).map(|item| item.size), Some(10));
        let mut oldest = || shelf.take_above(Part::Documents, 0, now).map(|(digest, _)| digest);
        assert_eq!([oldest(), oldest(), oldest()], [Some(digest(1)), Some(long), None]);
        shelf.put(digest(2), Part::Documents, 7, None);
        let totals = Part::ALL.map(|part| (shelf.count(part), shelf.total(part)));
        assert_eq!((totals, shelf.digests()), ([(1, 7), (0, 0)], vec![digest(2)]), "it is in one part alone");
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
