//! When a server that fails is left alone.

use std::time::Duration;

use tokio::time::Instant;

/// How many answers in a row may be late before no more are asked for.
const LATE: u32 = 3;

/// How long the server is left alone at first, and at most. Each probe that fails doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// Whether the server is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BreakerState {
    /// It answers, and is asked.
    Closed,
    /// It failed, and is left alone: whoever would ask has a miss at once.
    Open,
    /// It failed, and one question of our own finds out whether it is back. Nobody else asks.
    HalfOpen,
}

/// What went wrong with one question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Failure {
    /// There was no answer in time. One is an accident.
    Late,
    /// There is no server, or it says that it cannot answer.
    Gone,
}

/// The breaker. It reads no clock and has no randomness: both are arguments. Callers are never probes, so that none
/// of them waits for a server that is known to be away.
#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed { late: u32 },
    Open { until: Instant, pause: Duration },
    HalfOpen { pause: Duration },
}

impl Breaker {
    /// Open, and due for a probe at once: nothing is known of the server yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { state: State::Open { until: now, pause: FIRST_PAUSE / 2 } }
    }

    pub(super) fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// One question was answered in time. An answer that was on its way when the breaker opened closes nothing.
    pub(super) fn succeed(&mut self) {
        if let State::Closed { late } = &mut self.state {
            *late = 0;
        }
    }

    /// One question was not answered. Says whether that opened the breaker. Of many that fail together the first
    /// does, and the others change nothing.
    pub(super) fn fail(&mut self, failure: Failure, now: Instant, jitter: f64) -> bool {
        let State::Closed { late } = &mut self.state else {
            return false;
        };
        *late += 1;
        let opens = match failure {
            Failure::Gone => true,
            Failure::Late => *late >= LATE,
        };
        if opens {
            self.state = open(FIRST_PAUSE, now, jitter);
        }
        opens
    }

    /// When the next probe is due; `None` while none is.
    pub(super) fn probe_at(&self) -> Option<Instant> {
        match self.state {
            State::Open { until, .. } => Some(until),
            State::Closed { .. } | State::HalfOpen { .. } => None,
        }
    }

    /// A probe begins.
    pub(super) fn begin_probe(&mut self) {
        if let State::Open { pause, .. } = self.state {
            self.state = State::HalfOpen { pause };
        }
    }

    /// The probe ended so.
    pub(super) fn end_probe(&mut self, answered: bool, now: Instant, jitter: f64) {
        if let State::HalfOpen { pause } = self.state {
            let longer = (pause * 2).min(LAST_PAUSE);
            self.state = if answered { State::Closed { late: 0 } } else { open(longer, now, jitter) };
        }
    }
}

/// Open for this long and up to half as long again, so that replicas which saw the same failure do not all come back
/// at once. The jitter is from 0 to 1.
fn open(pause: Duration, now: Instant, jitter: f64) -> State {
    State::Open { until: now + pause + pause.mul_f64(jitter.clamp(0.0, 1.0) / 2.0), pause }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(now);
        assert_eq!((breaker.state(), breaker.probe_at()), (BreakerState::Open, Some(now)));
        breaker.begin_probe();
        assert_eq!((breaker.state(), breaker.probe_at()), (BreakerState::HalfOpen, None));
        breaker.end_probe(true, now, 0.0);
        assert_eq!((breaker.state(), breaker.probe_at()), (BreakerState::Closed, None));
        breaker
    }

    #[test]
    fn answers_that_are_late_open_it_only_in_a_row() {
        let now = Instant::now();
        let mut breaker = closed(now);
        for _ in 0..10 {
            assert!(!breaker.fail(Failure::Late, now, 0.0));
            assert!(!breaker.fail(Failure::Late, now, 0.0));
            breaker.succeed();
        }
        assert!(!breaker.fail(Failure::Late, now, 0.0));
        assert!(!breaker.fail(Failure::Late, now, 0.0));
        assert!(breaker.fail(Failure::Late, now, 0.0));
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn a_server_that_is_gone_opens_it_at_once_and_the_rest_of_the_herd_changes_nothing() {
        let now = Instant::now();
        let mut breaker = closed(now);
        assert!(breaker.fail(Failure::Gone, now, 0.0));
        let due = breaker.probe_at();
        for _ in 0..1000 {
            assert!(!breaker.fail(Failure::Gone, now + LAST_PAUSE, 1.0));
        }
        breaker.succeed();
        assert_eq!((breaker.state(), breaker.probe_at()), (BreakerState::Open, due));
    }

    #[test]
    fn each_probe_that_fails_doubles_the_pause_up_to_a_bound_and_one_that_succeeds_resets_it() {
        let now = Instant::now();
        let mut breaker = closed(now);
        breaker.fail(Failure::Gone, now, 0.0);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pauses.push(breaker.probe_at().unwrap() - now);
            breaker.begin_probe();
            breaker.end_probe(false, now, 0.0);
        }
        let expected = [100, 200, 400, 800, 1600, 3200, 5000, 5000];
        assert_eq!(pauses, expected.map(Duration::from_millis));
        breaker.begin_probe();
        breaker.end_probe(true, now, 0.0);
        breaker.fail(Failure::Gone, now, 0.0);
        assert_eq!(breaker.probe_at(), Some(now + FIRST_PAUSE));
    }

    #[test]
    fn jitter_lengthens_a_pause_by_half_at_most() {
        let now = Instant::now();
        for (jitter, percent) in [(0.0, 100), (0.5, 125), (1.0, 150), (7.0, 150), (-1.0, 100)] {
            let mut breaker = closed(now);
            breaker.fail(Failure::Gone, now, jitter);
            assert_eq!(breaker.probe_at(), Some(now + FIRST_PAUSE * percent / 100));
        }
    }
}
