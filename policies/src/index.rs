//! Which patterns could match a name, without looking at those that could not.
//!
//! Patterns are filed under the letters that they begin with. Those that a name begins with are found by one binary
//! search and a walk from the longest to the shortest, so that patterns which begin otherwise cost nothing. Patterns
//! that begin with a wildcard could match anything and are always tried.

use std::collections::BTreeMap;

use crate::glob::ImagePattern;

/// Patterns by what they begin with.
#[derive(Clone, Debug)]
pub(crate) struct Index(Vec<Entry>);

/// The patterns that begin with the same letters. Entries are in order of these.
#[derive(Clone, Debug)]
struct Entry {
    prefix: Box<[u8]>,
    /// The longest other entry that this one begins with.
    shorter: Option<usize>,
    places: Vec<Place>,
}

/// Where a pattern is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Which policy.
    pub(crate) policy: usize,
    /// Which of its patterns.
    pub(crate) pattern: usize,
}

impl Index {
    /// Files the patterns of policies.
    pub(crate) fn of<'a>(policies: impl IntoIterator<Item = &'a [ImagePattern]>) -> Self {
        let mut filed = BTreeMap::<Vec<u8>, Vec<Place>>::new();
        for (policy, patterns) in policies.into_iter().enumerate() {
            for (pattern, image) in patterns.iter().enumerate() {
                filed.entry(image.prefix()).or_default().push(Place { policy, pattern });
            }
        }
        let mut entries: Vec<Entry> = Vec::with_capacity(filed.len());
        for (prefix, places) in filed {
            // In this order, whatever an entry begins with is the entry before it or one that this begins with.
            let mut shorter = entries.len().checked_sub(1);
            while let Some(entry) = shorter.and_then(|at| entries.get(at))
                && !prefix.starts_with(&entry.prefix)
            {
                shorter = entry.shorter;
            }
            entries.push(Entry { prefix: prefix.into(), shorter, places });
        }
        Self(entries)
    }

    /// The policies any of whose patterns match a name, in order and each once.
    pub(crate) fn matching<'a>(
        &self,
        name: &str,
        pattern_at: impl Fn(Place) -> Option<&'a ImagePattern>,
    ) -> Vec<usize> {
        let mut policies = Vec::new();
        let after = self.0.partition_point(|entry| *entry.prefix <= *name.as_bytes());
        let mut at = after.checked_sub(1);
        while let Some(entry) = at.and_then(|at| self.0.get(at)) {
            if name.as_bytes().starts_with(&entry.prefix) {
                let matches =
                    |place: &&Place| pattern_at(**place).is_some_and(|pattern| pattern.matches(name));
                policies.extend(entry.places.iter().filter(matches).map(|place| place.policy));
            }
            at = entry.shorter;
        }
        policies.sort_unstable();
        policies.dedup();
        policies
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_the_index_finds_is_what_matches(
            globs in proptest::collection::vec("[ab/]{0,4}[ab/*]{1,3}", 0..24), name in "[ab/]{0,8}"
        ) {
            let policies: Vec<_> =
                globs.chunks(2).map(|globs| globs.iter().map(|glob| ImagePattern::new(glob).unwrap()).collect::<Vec<_>>()).collect();
            let index = Index::of(policies.iter().map(Vec::as_slice));
            let found = index.matching(&name, |place| policies.get(place.policy)?.get(place.pattern));
            let all: Vec<_> = (0..policies.len())
                .filter(|policy| policies[*policy].iter().any(|pattern| pattern.matches(&name)))
                .collect();
            prop_assert_eq!(found, all);
        }
    }
}
