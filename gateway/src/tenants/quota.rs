//! How many requests a second one tenant may make: a bucket that fills as time goes by.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many requests a second, and as many at once that were not made before.
#[derive(Debug)]
pub(super) struct Quota {
    each_second: Option<f64>,
    left: Mutex<(f64, Instant)>,
}

impl Quota {
    /// As many as come, without a number.
    pub(super) fn new(each_second: Option<u32>) -> Self {
        let each_second = each_second.map(f64::from);
        Self { each_second, left: Mutex::new((each_second.unwrap_or_default(), Instant::now())) }
    }

    /// Takes one request.
    ///
    /// # Errors
    /// How long it is until there is one to take.
    pub(super) fn take(&self) -> Result<(), Duration> {
        let Some(each_second) = self.each_second else { return Ok(()) };
        let now = Instant::now();
        let mut state = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, at) = &mut *state;
        *left = (now.duration_since(*at).as_secs_f64().mul_add(each_second, *left)).min(each_second);
        *at = now;
        if *left >= 1.0 {
            *left -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - *left) / each_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_a_second_and_no_more_however_long_nobody_asked() {
        let quota = Quota::new(Some(10));
        let taken = |quota: &Quota| (0..100).filter(|_| quota.take().is_ok()).count();
        assert_eq!(taken(&quota), 10);
        assert_eq!(quota.take(), Err(Duration::from_millis(100)));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(taken(&quota), 5);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(taken(&quota), 10);
    }

    #[test]
    fn without_a_number_there_is_no_end() {
        let quota = Quota::new(None);
        assert!((0..10_000).all(|_| quota.take().is_ok()));
    }
}
