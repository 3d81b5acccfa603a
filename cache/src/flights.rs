//! One piece of work, many who wait for it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use thiserror::Error;
use tokio::sync::watch;

use crate::lock::lock;
use crate::stats::Count;
use crate::{FlightStats, Key};

/// Work under way, by what it is for. Whoever asks for the same while it lasts shares its outcome.
///
/// An outcome is handed to those who wait and then forgotten: to remember it is the business of the work itself.
pub struct Flights<K, T> {
    waiting: Arc<Mutex<Waiting<K, T>>>,
    led: Count,
    followed: Count,
}

type Waiting<K, T> = HashMap<K, watch::Receiver<Option<T>>>;

/// That work ended without an outcome: it panicked, or the runtime is shutting down.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("work ended before it was done")]
pub struct Lost;

impl<K: Key, T: Clone + Send + Sync + 'static> Flights<K, T> {
    /// No work under way.
    pub fn new() -> Self {
        Self { waiting: Arc::default(), led: Count::default(), followed: Count::default() }
    }

    /// The outcome of the work for this key: of that which is under way, or else of this one, which is begun.
    ///
    /// The work is a task of its own, under no deadline but its own. This future may be dropped: the work goes on,
    /// for the others and for what it leaves behind.
    ///
    /// # Errors
    /// [`Lost`] when the work panics; the next caller begins anew.
    pub async fn run<F>(&self, key: K, work: impl FnOnce() -> F + Send) -> Result<T, Lost>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut outcome = self.join_or_begin(key, work);
        let outcome = outcome.wait_for(Option::is_some).await.map_err(|_| Lost)?;
        outcome.clone().ok_or(Lost)
    }

    /// How many were begun, and how many were joined.
    pub fn stats(&self) -> FlightStats {
        FlightStats { led: self.led.value(), followed: self.followed.value() }
    }

    fn join_or_begin<F>(&self, key: K, work: impl FnOnce() -> F) -> watch::Receiver<Option<T>>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut waiting = lock(&self.waiting);
        if let Some(outcome) = waiting.get(&key) {
            self.followed.add();
            return outcome.clone();
        }
        self.led.add();
        let (sender, outcome) = watch::channel(None);
        waiting.insert(key.clone(), outcome.clone());
        drop(waiting);

        // From here on the key is taken out again whatever happens, also when `work` itself panics.
        let flight = Flight { waiting: self.waiting.clone(), key };
        let work = work();
        tokio::spawn(async move {
            let outcome = work.await;
            // Taken out before anyone hears of it: whoever asks after the outcome is known asks for new work.
            drop(flight);
            sender.send_replace(Some(outcome));
        });
        outcome
    }
}

impl<K: Key, T: Clone + Send + Sync + 'static> Default for Flights<K, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, T> fmt::Debug for Flights<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").finish_non_exhaustive()
    }
}

struct Flight<K: Key, T> {
    waiting: Arc<Mutex<Waiting<K, T>>>,
    key: K,
}

impl<K: Key, T> Drop for Flight<K, T> {
    fn drop(&mut self) {
        lock(&self.waiting).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_hundred_who_ask_at_once_share_one_run() {
        let flights = Flights::new();
        let runs = Arc::new(AtomicU32::new(0));
        let outcomes = join_all((0..100).map(|_| {
            let runs = runs.clone();
            flights.run("key", move || async move {
                tokio::task::yield_now().await;
                runs.fetch_add(1, Ordering::SeqCst)
            })
        }));
        assert_eq!(outcomes.await, vec![Ok(0); 100]);
        assert_eq!(flights.stats(), FlightStats { led: 1, followed: 99 });

        let again = flights.run("key", || async { 7 }).await;
        assert_eq!(again, Ok(7), "an outcome is not remembered");
        let (one, other) = tokio::join!(flights.run("a", || async { 1 }), flights.run("b", || async { 2 }));
        assert_eq!((one, other), (Ok(1), Ok(2)), "other keys are other work");
    }

    #[tokio::test]
    async fn the_first_who_asks_may_leave() {
        let flights = Arc::new(Flights::new());
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let first = {
            let (flights, begun, go) = (flights.clone(), begun.clone(), go.clone());
            let work = move || async move {
                begun.notify_one();
                go.notified().await;
                "done"
            };
            tokio::spawn(async move { flights.run("key", work).await })
        };
        begun.notified().await;
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());

        let mut second = Box::pin(flights.run("key", || async { "begun again" }));
        assert!(futures_util::poll!(&mut second).is_pending());
        go.notify_one();
        assert_eq!(second.await, Ok("done"));
    }

    #[tokio::test]
    async fn a_panic_reaches_those_who_wait_and_not_the_next() {
        let flights: Flights<&'static str, u32> = Flights::new();
        let panicking = || async {
            tokio::task::yield_now().await;
            panic!("on purpose")
        };
        let (first, second) = tokio::join!(flights.run("key", panicking), flights.run("key", || async { 1 }));
        assert_eq!((first, second), (Err(Lost), Err(Lost)));
        assert_eq!(flights.run("key", || async { 2 }).await, Ok(2));
    }
}
