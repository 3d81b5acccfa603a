//! Refresh ahead: what is in use and about to end is renewed in the background, so that no request waits for it.
//!
//! Whoever is asked for such a thing begins its renewal; what nobody asks for ends. It is never needed: what is not
//! renewed in time is found by whoever asks next.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cache::KeyBytes;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// How many are done at once.
const AT_ONCE: usize = 4;

/// How long the place of one is taken at least: so many times four are all that a registry sees of them.
const PLACE: Duration = Duration::from_millis(400);

/// For how long one of the same is not begun again, whatever came of it.
const PAUSE: Duration = Duration::from_secs(5);

/// How many wait for their turn, or for their pause to end.
const WAITING: usize = 256;

/// Renewals that are under way. Each is a task of its own, which nobody waits for and which ends by its own deadlines.
#[derive(Debug)]
pub struct Renewals {
    waiting: Arc<Semaphore>,
    working: Arc<Semaphore>,
    under_way: Mutex<HashSet<Renewed>>,
    begun: AtomicU64,
    put_off: AtomicU64,
}

/// What is renewed: the kind, and the key.
pub(crate) type Renewed = (&'static str, KeyBytes);

/// How many renewals there were.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RenewalStats {
    /// Begun.
    pub(crate) begun: u64,
    /// Left to whoever asks next, because too many others were under way.
    pub(crate) put_off: u64,
}

impl Renewals {
    /// None yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            waiting: Arc::new(Semaphore::new(WAITING)),
            working: Arc::new(Semaphore::new(AT_ONCE)),
            under_way: Mutex::default(),
            begun: AtomicU64::new(0),
            put_off: AtomicU64::new(0),
        })
    }

    /// Begins this work, at once or at this time, unless it is under way or too much else is. Takes a microsecond.
    pub(crate) fn begin<F>(self: &Arc<Self>, what: Renewed, at: Option<Instant>, work: impl FnOnce() -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if !self.set_out(&what) {
            return;
        }
        let Ok(waiting) = self.waiting.clone().try_acquire_owned() else {
            self.put_off.fetch_add(1, Ordering::Relaxed);
            self.end(&what);
            return;
        };
        self.begun.fetch_add(1, Ordering::Relaxed);
        let ended = Ended { renewals: self.clone(), what };
        let (working, work) = (self.working.clone(), work());
        tokio::spawn(async move {
            if let Some(at) = at {
                tokio::time::sleep_until(at).await;
            }
            let Ok(place) = working.acquire_owned().await else { return };
            let begun = Instant::now();
            work.await;
            tokio::time::sleep_until(begun + PLACE).await;
            drop(place);
            tokio::time::sleep_until(begun + PAUSE).await;
            drop((waiting, ended));
        });
    }

    /// How many there were.
    pub(crate) fn stats(&self) -> RenewalStats {
        RenewalStats {
            begun: self.begun.load(Ordering::Relaxed),
            put_off: self.put_off.load(Ordering::Relaxed),
        }
    }

    fn set_out(&self, what: &Renewed) -> bool {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        !under_way.contains(what) && under_way.insert(what.clone())
    }

    fn end(&self, what: &Renewed) {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(what);
    }
}

/// Whatever becomes of a renewal, also a panic: it can be begun again.
struct Ended {
    renewals: Arc<Renewals>,
    what: Renewed,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.renewals.end(&self.what);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn of(number: u64) -> Renewed {
        ("test", KeyBytes::of(&number))
    }

    /// Lets whatever is due be done.
    async fn after(time: Duration) {
        tokio::time::sleep(time).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_is_renewed_once_however_many_ask_and_again_after_a_pause() {
        let (renewals, runs) = (Renewals::new(), Arc::new(AtomicUsize::new(0)));
        let ask = || {
            let runs = runs.clone();
            renewals.begin(of(1), None, move || async move {
                runs.fetch_add(1, Ordering::SeqCst);
            });
        };
        (0..100).for_each(|_| ask());
        after(PAUSE / 2).await;
        ask();
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        after(PAUSE).await;
        ask();
        after(PLACE).await;
        assert_eq!(runs.load(Ordering::SeqCst), 2);
        assert_eq!(renewals.stats(), RenewalStats { begun: 2, put_off: 0 });
    }

    #[tokio::test(start_paused = true)]
    async fn few_are_done_at_once_and_not_many_in_a_second() {
        let (renewals, runs) = (Renewals::new(), Arc::new(AtomicUsize::new(0)));
        for number in 0..1_000 {
            let runs = runs.clone();
            renewals.begin(of(number), None, move || async move {
                runs.fetch_add(1, Ordering::SeqCst);
            });
        }
        assert_eq!(renewals.stats(), RenewalStats { begun: 256, put_off: 744 });
        after(Duration::from_millis(1_100)).await;
        assert_eq!(runs.load(Ordering::SeqCst), 12);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_panics_or_never_ends_stops_no_other_of_its_kind() {
        let (renewals, runs) = (Renewals::new(), Arc::new(AtomicUsize::new(0)));
        renewals.begin(of(1), None, || async { panic!("on purpose") });
        renewals.begin(of(2), None, std::future::pending::<()>);
        after(PAUSE * 2).await;
        for number in [1, 2] {
            let runs = runs.clone();
            renewals.begin(of(number), None, move || async move {
                runs.fetch_add(number as usize, Ordering::SeqCst);
            });
        }
        after(PLACE).await;
        assert_eq!(runs.load(Ordering::SeqCst), 1, "what panicked can be begun again");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_later_is_done_then() {
        let (renewals, begun) = (Renewals::new(), Instant::now());
        let (done, at) = tokio::sync::oneshot::channel();
        renewals.begin(of(1), Some(begun + Duration::from_secs(3)), move || async move {
            assert!(done.send(Instant::now()).is_ok());
        });
        assert_eq!(at.await.unwrap() - begun, Duration::from_secs(3));
    }
}
