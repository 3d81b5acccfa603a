//! Randomness that decides nothing but when.

use std::hash::{BuildHasher, RandomState};

/// A number from 0 to 1. Every `RandomState` hashes differently, which is randomness enough to spread what would come
/// together.
pub(crate) fn fraction() -> f64 {
    (RandomState::new().hash_one(()) % 10_001) as f64 / 10_000.0
}

/// A name that nothing else has.
pub(crate) fn id() -> [u8; 16] {
    let half = || RandomState::new().hash_one(()).to_be_bytes();
    let mut id = [0; 16];
    // The system's randomness; where it has none, what the hashers were seeded with.
    if aws_lc_rs::rand::fill(&mut id).is_err() {
        id[..8].copy_from_slice(&half());
        id[8..].copy_from_slice(&half());
    }
    id
}
