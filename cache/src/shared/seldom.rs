//! Lines that the log has at most every few seconds, however often there is cause for one.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::lock::lock;

/// How often a line is written at most.
const EVERY: Duration = Duration::from_secs(10);

/// When the last line was written.
#[derive(Debug, Default)]
pub(super) struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    /// Whether a line may be written now, which then counts as written.
    pub(super) fn allows(&self, now: Instant) -> bool {
        let mut last = lock(&self.0);
        let allows = last.is_none_or(|last| now.duration_since(last) >= EVERY);
        if allows {
            *last = Some(now);
        }
        allows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_causes_are_one_line() {
        let (seldom, now) = (Seldom::default(), Instant::now());
        assert_eq!((0..1000).filter(|_| seldom.allows(now)).count(), 1);
        assert!(!seldom.allows(now + EVERY - Duration::from_millis(1)));
        assert!(seldom.allows(now + EVERY));
    }
}
