//! The phases of an answer that is not remembered: how long each took, and a span of the trace for it.

use std::future::Future;
use std::time::{Duration, Instant};

use metrics::{Unit, describe_histogram, histogram};
use tracing::Instrument as _;

/// Something that an answer may have to wait for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    /// What a tag means is asked of its registry.
    Resolve,
    /// Signatures are looked for.
    Discover,
    /// A manifest is fetched, or a blob until it begins to arrive.
    Fetch,
    /// A signature is checked.
    Verify,
    /// Policies are applied to what was found.
    Judge,
}

const SECONDS: &str = "countersign_phase_seconds";

impl Phase {
    /// A stable name, for metrics and traces.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Discover => "discover",
            Self::Fetch => "fetch",
            Self::Verify => "verify",
            Self::Judge => "judge",
        }
    }

    /// Does what the phase consists of, and takes its time. What others share is timed once, by whoever does it.
    pub(crate) async fn time<T, E>(self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let started = Instant::now();
        let result = work.await;
        self.took(result.is_ok(), started.elapsed());
        result
    }

    /// Waits for the phase, be it ours or one that others share: in a trace, that is where an answer's time went.
    pub(crate) async fn wait<T>(self, work: impl Future<Output = T>) -> T {
        work.instrument(tracing::debug_span!(target: "countersign", "phase", otel.name = self.as_str())).await
    }

    /// The phase took so long, and came to something or not.
    pub(crate) fn took(self, succeeded: bool, time: Duration) {
        let outcome = if succeeded { "done" } else { "failed" };
        histogram!(SECONDS, "phase" => self.as_str(), "outcome" => outcome).record(time.as_secs_f64());
    }
}

/// Says what is counted here.
pub(crate) fn describe() {
    describe_histogram!(
        SECONDS,
        Unit::Seconds,
        "Time that answers which were not remembered waited for one of their phases"
    );
}
