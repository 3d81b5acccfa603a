//! When an endpoint that fails is left alone.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many requests in a row get no answer before no more are made.
const FAILURES: u32 = 5;

/// How long it is left alone at first, and at most. Each probe that fails doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(30);

/// Whether an endpoint is asked. Only what says that nobody is there counts as a failure: an error that whoever names
/// content can bring about must not take the endpoint away from everybody else.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Clone, Copy, Debug)]
enum State {
    Closed {
        failures: u32,
    },
    /// Left alone. Who comes first after that is the probe.
    Open {
        until: Instant,
        pause: Duration,
    },
    /// A probe is under way; if nothing is heard of it, another one may be made.
    Probing {
        until: Instant,
        pause: Duration,
    },
}

/// What a breaker says to who would ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Admission {
    /// Ask.
    Welcome,
    /// It is time to find out whether it is back; nobody else does until this is settled.
    Probe,
    /// It is left alone.
    SetAside,
}

/// How long a probe may take before it counts as lost: whoever made it may have gone away.
const PROBE: Duration = Duration::from_secs(30);

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// Whether to ask now. A [`Admission::Probe`] is given out once, and has to be told what came of it.
    pub(crate) fn admit(&self, now: Instant) -> Admission {
        let mut state = self.lock();
        match *state {
            State::Closed { .. } => Admission::Welcome,
            State::Open { until, pause } | State::Probing { until, pause } if now >= until => {
                *state = State::Probing { until: now + PROBE, pause };
                Admission::Probe
            }
            State::Open { .. } | State::Probing { .. } => Admission::SetAside,
        }
    }

    /// Whether it is asked as a matter of course. Unlike [`Self::admit`] this gives nothing out.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(*self.lock(), State::Closed { .. })
    }

    /// There was an answer.
    pub(crate) fn succeed(&self) {
        *self.lock() = State::default();
    }

    /// There was none. Says whether that set the endpoint aside that was not before.
    pub(crate) fn fail(&self, now: Instant) -> bool {
        let mut state = self.lock();
        match *state {
            State::Closed { failures } if failures + 1 < FAILURES => {
                *state = State::Closed { failures: failures + 1 };
                false
            }
            State::Closed { .. } => {
                *state = State::Open { until: now + FIRST_PAUSE, pause: FIRST_PAUSE };
                true
            }
            State::Probing { pause, .. } => {
                let pause = (pause * 2).min(LAST_PAUSE);
                *state = State::Open { until: now + pause, pause };
                false
            }
            // One that was on its way when it was set aside.
            State::Open { .. } => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_aside(now: Instant) -> Breaker {
        let breaker = Breaker::default();
        let opened: Vec<_> = (0..FAILURES).map(|_| breaker.fail(now)).collect();
        assert_eq!(opened, [false, false, false, false, true]);
        breaker
    }

    #[test]
    fn failures_in_a_row_set_it_aside_and_an_answer_between_them_does_not() {
        let now = Instant::now();
        let breaker = Breaker::default();
        for _ in 0..10 {
            assert!(!breaker.fail(now) && !breaker.fail(now));
            breaker.succeed();
        }
        assert_eq!(breaker.admit(now), Admission::Welcome);
        assert_eq!(set_aside(now).admit(now), Admission::SetAside);
    }

    #[test]
    fn one_probe_at_a_time_finds_out_whether_it_is_back() {
        let now = Instant::now();
        let breaker = set_aside(now);
        let later = now + FIRST_PAUSE;
        assert_eq!(breaker.admit(later), Admission::Probe);
        assert_eq!(breaker.admit(later), Admission::SetAside);
        assert!(!breaker.fail(later));
        assert_eq!(breaker.admit(later + FIRST_PAUSE), Admission::SetAside);
        assert_eq!(breaker.admit(later + FIRST_PAUSE * 2), Admission::Probe);
        breaker.succeed();
        assert_eq!(breaker.admit(later), Admission::Welcome);
        assert!(breaker.is_closed());
    }

    #[test]
    fn a_probe_of_which_nothing_is_heard_is_made_anew() {
        let now = Instant::now();
        let breaker = set_aside(now);
        let later = now + FIRST_PAUSE;
        assert_eq!(breaker.admit(later), Admission::Probe);
        assert_eq!(breaker.admit(later + PROBE), Admission::Probe);
    }

    #[test]
    fn it_is_never_left_alone_for_longer_than_the_last_pause() {
        let mut now = Instant::now();
        let breaker = set_aside(now);
        for _ in 0..20 {
            now += LAST_PAUSE;
            assert_eq!(breaker.admit(now), Admission::Probe);
            breaker.fail(now);
        }
        assert_eq!(breaker.admit(now + LAST_PAUSE), Admission::Probe);
    }
}
