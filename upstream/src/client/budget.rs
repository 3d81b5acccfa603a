//! How many requests may be made again.

use std::sync::atomic::{AtomicU32, Ordering};

/// Second tries in proportion to first ones, so that a registry that fails is not asked three times as often because it
/// does. Every request earns a tenth of a second try; no more than ten are saved up, and there are ten to begin with.
#[derive(Debug)]
pub(crate) struct Budget(AtomicU32);

/// What a second try costs, in what a request earns.
const PRICE: u32 = 10;
const LIMIT: u32 = 10 * PRICE;

impl Budget {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(LIMIT))
    }

    /// A request is made for the first time.
    pub(crate) fn earn(&self) {
        // Who look at once may save a little more. It does not matter how little exactly.
        if self.0.load(Ordering::Relaxed) < LIMIT {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether a request may be made again, which is then paid for.
    pub(crate) fn spend(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |saved| saved.checked_sub(PRICE)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(budget: &Budget) -> usize {
        std::iter::repeat_with(|| budget.spend()).take_while(|may| *may).count()
    }

    #[test]
    fn in_the_long_run_one_request_in_ten_is_made_again() {
        let budget = Budget::new();
        assert_eq!(spent(&budget), 10);
        for _ in 0..35 {
            budget.earn();
        }
        assert_eq!(spent(&budget), 3);
        for _ in 0..10_000 {
            budget.earn();
        }
        assert_eq!(spent(&budget), 10);
    }
}
