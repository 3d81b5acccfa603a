//! The one place where the wall clock is read.

use std::time::{SystemTime, UNIX_EPOCH};

/// This moment, as this machine has it.
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// Seconds since 1970, as this machine has it.
pub(crate) fn seconds_since_1970() -> u64 {
    now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
