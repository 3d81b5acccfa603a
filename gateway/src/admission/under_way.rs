//! How many reviews are under way: more than a gateway can answer in time are told so at once, and no namespace takes the
//! place of all others.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};

/// Reviews under way, at most so many.
#[derive(Debug)]
pub(super) struct UnderWay {
    most: u32,
    total: AtomicU32,
    /// By namespace, as a hash of it says that nobody outside can foretell. Those of one hash share their share.
    by_namespace: Box<[AtomicU32]>,
    hasher: RandomState,
}

/// A review's place among those under way, until it is answered.
pub(super) struct Place<'a> {
    total: &'a AtomicU32,
    namespace: &'a AtomicU32,
}

/// Why a review has no place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Crowded {
    /// There are too many.
    Gateway,
    /// There are many, and too many of them are of its namespace.
    Namespace,
}

/// Over how many counts namespaces are spread.
const COUNTS: usize = 1024;

impl Crowded {
    /// A stable name, for metrics.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Namespace => "namespace",
        }
    }
}

impl UnderWay {
    pub(super) fn new(most: u32) -> Self {
        let by_namespace = (0..COUNTS).map(|_| AtomicU32::new(0)).collect();
        Self { most, total: AtomicU32::new(0), by_namespace, hasher: RandomState::new() }
    }

    /// The most at once.
    pub(super) fn most(&self) -> u32 {
        self.most
    }

    /// A place for a review of an object in this namespace. Once half of the places are taken, a namespace that has half of
    /// those gets no more.
    pub(super) fn enter(&self, namespace: &str) -> Result<Place<'_>, Crowded> {
        let hash = usize::try_from(self.hasher.hash_one(namespace) % COUNTS as u64).unwrap_or_default();
        // Taken first and given back if it was one too many, so that no two take the same.
        let place = Place { total: &self.total, namespace: &self.by_namespace[hash] };
        let total = place.total.fetch_add(1, Ordering::Relaxed) + 1;
        let of_namespace = place.namespace.fetch_add(1, Ordering::Relaxed) + 1;
        if total > self.most {
            Err(Crowded::Gateway)
        } else if total > self.most / 2 && of_namespace > self.most.div_ceil(4) {
            Err(Crowded::Namespace)
        } else {
            Ok(place)
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.total.fetch_sub(1, Ordering::Relaxed);
        self.namespace.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_namespace_leaves_room_for_the_others_and_a_place_is_given_back() {
        let under_way = UnderWay::new(8);
        let mut places: Vec<_> = (0..4).map(|_| under_way.enter("flood").unwrap()).collect();
        assert_eq!(under_way.enter("flood").err(), Some(Crowded::Namespace));
        let others = ["a", "b", "c", "d"].map(|name| under_way.enter(name));
        assert!(others.iter().all(Result::is_ok));
        assert_eq!(under_way.enter("e").err(), Some(Crowded::Gateway));
        places.pop();
        assert!(under_way.enter("e").is_ok());
        drop((places, others));
        assert_eq!(under_way.total.load(Ordering::Relaxed), 0);
        assert!(under_way.by_namespace.iter().all(|count| count.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn one_namespace_has_half_of_a_gateway_that_is_not_crowded() {
        let under_way = UnderWay::new(100);
        let places: Vec<_> = std::iter::from_fn(|| under_way.enter("only").ok()).collect();
        assert_eq!(places.len(), 50);
    }
}
