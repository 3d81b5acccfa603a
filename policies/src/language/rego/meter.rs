//! How much a run has used. `regorus` asks a clock of ours after every step, and that clock counts the steps: a
//! program gets as far on a busy machine as on an idle one. The time spent is watched as well, because steps differ.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::Duration;

use regorus::utils::limits::{ExecutionTimerConfig, TimeSource, set_time_source};

use super::super::clock::spent;

/// How many steps a program gets; a policy of a page takes some hundred.
const STEPS: u64 = 1_000_000;

/// How long a program gets, however few its steps are.
const TIME: Duration = Duration::from_millis(500);

/// What stands for the end of time. The steps are its nanoseconds.
const OVER: Duration = Duration::from_secs(3600);

thread_local! {
    /// The run on this thread: each has a thread of its own.
    static RUN: Cell<Option<Run>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
struct Run {
    steps: u64,
    /// What the thread had spent before.
    before: Duration,
    now: i64,
    exceeded: Option<&'static str>,
}

struct Steps;

impl TimeSource for Steps {
    fn now(&self) -> Option<Duration> {
        let Some(mut run) = RUN.get() else {
            return Some(OVER);
        };
        run.steps += 1;
        if run.steps > STEPS {
            run.exceeded = Some("takes too many steps");
        } else if spent().saturating_sub(run.before) > TIME {
            run.exceeded = Some("takes too long");
        }
        RUN.set(Some(run));
        Some(if run.exceeded.is_some() { OVER } else { Duration::from_nanos(run.steps) })
    }
}

/// Makes the steps the only clock that `regorus` has in this process.
pub(super) fn install() {
    // A second time it says that there is one, which is this one.
    set_time_source(&Steps).ok();
}

/// The limits, in the clock's terms.
pub(super) fn limits() -> ExecutionTimerConfig {
    ExecutionTimerConfig { limit: Duration::from_nanos(STEPS), check_interval: NonZeroU32::MIN }
}

/// Begins a run on this thread, at a time in seconds since 1970.
pub(super) fn start(now: i64) {
    RUN.set(Some(Run { steps: 0, before: spent(), now, exceeded: None }));
}

/// Why the run has ended without a result that counts. An error alone would not do: Rego takes some for
/// "undefined", which `not` makes true.
pub(super) fn exceeded() -> Option<&'static str> {
    RUN.get().and_then(|run| run.exceeded)
}

/// Ends the run.
pub(super) fn exceed(why: &'static str) {
    if let Some(run) = RUN.get() {
        RUN.set(Some(Run { exceeded: Some(why), ..run }));
    }
}

/// The time that the run is told, in nanoseconds since 1970.
pub(super) fn now_ns() -> Option<i64> {
    RUN.get().and_then(|run| run.now.checked_mul(1_000_000_000))
}
