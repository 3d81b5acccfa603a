//! The clock that programs are bounded by: the time that the processor spent on this thread, so that a program gets as
//! far on a busy machine as on an idle one.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long this thread has been worked on.
pub(super) fn spent() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(spent.tv_sec).unwrap_or_default(),
        u32::try_from(spent.tv_nsec).unwrap_or_default(),
    )
}
