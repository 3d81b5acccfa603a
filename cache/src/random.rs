//! Randomness that decides nothing but when.

use std::hash::{BuildHasher, RandomState};

/// A number from 0 to 1. Every `RandomState` hashes differently, which is randomness enough to spread what would come
/// together.
pub(crate) fn fraction() -> f64 {
    (RandomState::new().hash_one(()) % 10_001) as f64 / 10_000.0
}
