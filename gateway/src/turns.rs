//! Turns at what everybody uses and there is little of: the processor's cores.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many turns at once, for all; and for each tenant a queue of its own before that.
///
/// Whoever floods waits in its own queue. In the common one it has no more places than its weight gives it, so that
/// the next of another tenant waits for as many turns as there are tenants at work, and not for the whole flood.
#[derive(Clone, Debug)]
pub struct Turns {
    all: Arc<Semaphore>,
    own: Arc<Semaphore>,
    at_once: usize,
}

/// A turn. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _all: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
}

impl Turns {
    /// So many at once, all of one queue.
    pub(crate) fn new(at_once: usize) -> Self {
        let own = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        Self { all: Arc::new(Semaphore::new(at_once)), own, at_once }
    }

    /// As many as there are cores.
    pub(crate) fn at_cores() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// The same turns, with a queue before them of somebody who has so many where others have one.
    pub(crate) fn apart(&self, weight: u32) -> Self {
        let places = self.at_once.saturating_mul(weight.max(1) as usize).min(Semaphore::MAX_PERMITS);
        Self { own: Arc::new(Semaphore::new(places)), ..self.clone() }
    }

    /// Waits for a turn. `None` is never: nobody closes the queue.
    pub(crate) async fn take(&self) -> Option<Turn> {
        let own = self.own.clone().acquire_owned().await.ok()?;
        let all = self.all.clone().acquire_owned().await.ok()?;
        Some(Turn { _all: all, _own: own })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, future::join_all};

    use super::*;

    #[tokio::test]
    async fn who_comes_after_a_flood_waits_for_as_many_turns_as_it_has_places() {
        let turns = Turns::new(2);
        let (flood, other) = (turns.apart(1), turns.apart(1));
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let take = |turns: Turns, who: &'static str| {
            let order = order.clone();
            async move {
                let turn = turns.take().await.unwrap();
                order.lock().unwrap().push(who);
                tokio::task::yield_now().await;
                drop(turn);
            }
        };
        let mut all: Vec<_> = (0..1_000).map(|_| take(flood.clone(), "flood").boxed()).collect();
        all.push(take(other, "other").boxed());
        join_all(all).await;
        let order = order.lock().unwrap();
        let at = order.iter().position(|who| *who == "other").unwrap();
        assert!(at <= 4, "it was let in after {at} of 1000");
    }

    #[tokio::test]
    async fn no_more_are_at_work_than_there_are_turns_whoever_they_are_of() {
        let turns = Turns::new(2);
        let (one, other) = (turns.apart(1), turns.apart(100));
        let (first, second) = (one.take().await.unwrap(), other.take().await.unwrap());
        assert!(one.take().now_or_never().is_none() && other.take().now_or_never().is_none());
        drop(first);
        assert!(other.take().now_or_never().is_some());
        drop(second);
    }

    #[tokio::test]
    async fn one_alone_has_all_turns() {
        let turns = Turns::new(3).apart(1);
        let taken: Vec<_> = (0..3).map(|_| turns.take().now_or_never().flatten().unwrap()).collect();
        assert_eq!(taken.len(), 3);
    }
}
