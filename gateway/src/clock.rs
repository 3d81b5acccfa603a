//! The one place where the wall clock is read.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970, as this machine has it.
pub(crate) fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
