//! How fast an endpoint is asked: no more at once than it may be, and not before it wants to be.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Method;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::error::{FetchError, Outage};
use crate::rate_limit::RateLimit;
use crate::upstream::Kind;

/// The pace of one endpoint.
pub(crate) struct Pace {
    room: Arc<Semaphore>,
    /// How long is waited for room.
    patience: Duration,
    known: Mutex<Known>,
}

/// What the endpoint said.
#[derive(Default)]
struct Known {
    /// Until when it wants no requests of a kind. Registries count kinds apart: Docker Hub the manifests that are
    /// fetched, and no others.
    not_before: HashMap<(Kind, bool), Instant>,
    /// How near the end of what it answers we are.
    shortage: f64,
}

/// One of the requests that may be under way. It ends with the body.
pub(crate) type Permit = OwnedSemaphorePermit;

/// The longest pause before a request that the endpoint counts. It spreads those that are left, and is short enough for a
/// client to wait for.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl Pace {
    pub(crate) fn new(concurrency: usize, patience: Duration) -> Self {
        Self { room: Arc::new(Semaphore::new(concurrency)), patience, known: Mutex::default() }
    }

    /// Waits until a request may be made, behind those that came before.
    ///
    /// # Errors
    /// The endpoint wants none of this kind yet; or too many are under way for too long.
    pub(crate) async fn enter(&self, method: &Method, kind: Kind) -> Result<Permit, FetchError> {
        self.check(method, kind, Instant::now())?;
        let permit = match timeout(self.patience, self.room.clone().acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            // It is never closed.
            Ok(Err(_)) | Err(_) => return Err(Outage::Crowded.into()),
        };
        if is_counted(method, kind) {
            let pause = pause(self.lock().shortage);
            if !pause.is_zero() {
                tokio::time::sleep(crate::client::jittered(pause)).await;
            }
        }
        // What the endpoint said while we waited counts too.
        self.check(method, kind, Instant::now())?;
        Ok(permit)
    }

    fn check(&self, method: &Method, kind: Kind, now: Instant) -> Result<(), FetchError> {
        let mut known = self.lock();
        let key = (kind.counted_as(), *method == Method::HEAD);
        match known.not_before.get(&key).map(|until| until.saturating_duration_since(now)) {
            Some(left) if !left.is_zero() => Err(FetchError::TooManyRequests { retry_after: Some(left) }),
            Some(_) => {
                known.not_before.remove(&key);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The endpoint wants no more requests of a kind for this long.
    pub(crate) fn hold(&self, method: &Method, kind: Kind, wait: Duration) {
        let until = Instant::now() + wait;
        let mut known = self.lock();
        let held = known.not_before.entry((kind.counted_as(), *method == Method::HEAD)).or_insert(until);
        *held = until.max(*held);
    }

    /// The endpoint says how much is left.
    pub(crate) fn heard(&self, limit: &RateLimit) {
        self.lock().shortage = limit.shortage();
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether registries count such requests.
fn is_counted(method: &Method, kind: Kind) -> bool {
    *method == Method::GET && kind.counted_as() == Kind::Manifest
}

fn pause(shortage: f64) -> Duration {
    LONGEST_PAUSE.mul_f64(shortage)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_asked_for_time_gets_it_for_what_it_asked() {
        let pace = Pace::new(8, SECOND);
        pace.hold(&Method::GET, Kind::Manifest, SECOND * 60);
        pace.hold(&Method::GET, Kind::Manifest, SECOND);
        let refused = pace.enter(&Method::GET, Kind::Manifest).await;
        assert!(
            matches!(refused, Err(FetchError::TooManyRequests { retry_after: Some(left) }) if left == SECOND * 60),
            "{refused:?}"
        );
        assert!(pace.enter(&Method::HEAD, Kind::Manifest).await.is_ok());
        assert!(pace.enter(&Method::GET, Kind::Blob).await.is_ok());
        tokio::time::advance(SECOND * 60).await;
        assert!(pace.enter(&Method::GET, Kind::Manifest).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_first_goes_first_and_nobody_waits_for_ever() {
        let pace = Pace::new(1, SECOND);
        let first = pace.enter(&Method::GET, Kind::Blob).await.unwrap();
        let crowded = pace.enter(&Method::GET, Kind::Blob).await;
        assert!(
            matches!(&crowded, Err(FetchError::Unavailable(outage)) if matches!(**outage, Outage::Crowded)),
            "{crowded:?}"
        );
        drop(first);
        assert!(pace.enter(&Method::GET, Kind::Blob).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_counted_is_slowed_down_near_the_end_and_still_made() {
        let pace = Pace::new(8, SECOND);
        pace.heard(&RateLimit { limit: Some(100), remaining: 0 });
        let before = Instant::now();
        assert!(pace.enter(&Method::HEAD, Kind::Manifest).await.is_ok());
        assert!(pace.enter(&Method::GET, Kind::Blob).await.is_ok());
        assert_eq!(before, Instant::now());
        assert!(pace.enter(&Method::GET, Kind::Manifest).await.is_ok());
        assert!((LONGEST_PAUSE / 2..=LONGEST_PAUSE).contains(&before.elapsed()));
        pace.heard(&RateLimit { limit: Some(100), remaining: 100 });
        let before = Instant::now();
        assert!(pace.enter(&Method::GET, Kind::Manifest).await.is_ok());
        assert_eq!(before, Instant::now());
    }
}
