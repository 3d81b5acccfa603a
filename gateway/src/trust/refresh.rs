//! Asking the repositories, again and again.

use std::future::Future;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;
use upstream::FetchError;
use verify::TrustRoot;
use verify::tuf::{Kept, Place, TufError};

use super::{Repositories, Source, store};
use crate::clock::seconds_since_1970;
use crate::metrics::{Metrics, Trusted};
use crate::undecided::with_causes;

/// How long one file may take, and one run over a repository.
const FILE_PATIENCE: Duration = Duration::from_secs(30);
const RUN_PATIENCE: Duration = Duration::from_secs(300);

/// How soon a run that failed is made again. It doubles with every failure, up to the interval.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// Why a run failed.
#[derive(Debug, Error)]
enum RunError {
    #[error("the mirror could not be read")]
    Fetch(#[source] FetchError),
    #[error("the repository is not believed")]
    Tuf(#[source] TufError),
    #[error("it took longer than the time allowed")]
    TooLong,
}

impl RunError {
    fn as_str(&self) -> &'static str {
        match self {
            Self::Fetch(_) => "mirror",
            Self::Tuf(error) => error.as_str(),
            Self::TooLong => "deadline",
        }
    }
}

/// Refreshes what is due until `stop` resolves. It may be dropped at any time.
pub(crate) async fn run(
    repositories: Arc<Repositories>,
    metrics: Arc<Metrics>,
    stop: impl Future<Output = ()>,
) {
    tokio::pin!(stop);
    loop {
        let round = async {
            repositories.until_due().await;
            repositories.refresh_due(&metrics).await;
            metrics.trusted(&repositories.state());
        };
        tokio::select! {
            () = &mut stop => return,
            () = round => {}
        }
    }
}

impl Repositories {
    /// Asks every repository that is due, once: for whoever does not stay to ask again.
    pub(crate) async fn refresh_due(&self, metrics: &Metrics) {
        let due = self.due();
        futures_util::future::join_all(due.iter().map(|name| self.refresh(name, metrics))).await;
    }

    /// Resolves when a repository is due. One that is followed anew is due at once.
    async fn until_due(&self) {
        loop {
            let next = self.slots().values().map(|slot| slot.due).min();
            let due = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => return,
                () = self.followed.notified() => {}
            }
        }
    }

    fn due(&self) -> Vec<String> {
        let now = Instant::now();
        self.slots().iter().filter(|(_, slot)| slot.due <= now).map(|(name, _)| name.clone()).collect()
    }

    /// One run, and what follows from it.
    async fn refresh(&self, name: &str, metrics: &Metrics) {
        let Some((source, before)) =
            self.slots().get(name).map(|slot| (slot.source.clone(), slot.kept.clone()))
        else {
            return;
        };
        let (outcome, kept) =
            match tokio::time::timeout(RUN_PATIENCE, self.ask(&source, before.clone())).await {
                Ok(outcome) => outcome,
                Err(_) => (Err(RunError::TooLong), before.clone()),
            };
        if let Some(kept) = kept.as_ref().filter(|kept| before.as_ref() != Some(*kept)) {
            self.keep(name, kept).await;
        }
        if let Err(error) = &outcome {
            metrics.trust_failed(error.as_str());
            complain(name, error);
        }
        self.settle(name, &source, outcome, kept);
    }

    /// Leads a run through the repository.
    async fn ask(
        &self,
        source: &Source,
        kept: Option<Kept>,
    ) -> (Result<Arc<TrustRoot>, RunError>, Option<Kept>) {
        let now = i64::try_from(seconds_since_1970()).unwrap_or(i64::MAX);
        let mut run = match source.repository.refresh(kept.clone(), now) {
            Ok(run) => run,
            Err(error) => return (Err(RunError::Tuf(error)), kept),
        };
        while let Some(want) = run.want() {
            let path = match want.place {
                Place::Metadata => want.path,
                Place::Targets => format!("{}/{}", source.targets, want.path),
            };
            let got = match source.mirror.below(&path) {
                Ok(url) => self.fetcher.get(&url, want.limit, FILE_PATIENCE).await,
                Err(error) => Err(FetchError::Refused(error.to_string())),
            };
            let taken = match got {
                Ok(bytes) => run.take(Some(&bytes)),
                Err(FetchError::NotFound) => run.take(None),
                // Object stores say this of what they do not have.
                Err(FetchError::Unauthorized) if want.optional => run.take(None),
                Err(error) => return (Err(RunError::Fetch(error)), Some(run.kept())),
            };
            if let Err(error) = taken {
                return (Err(RunError::Tuf(error)), Some(run.kept()));
            }
        }
        let root = run.trust_root().ok_or(RunError::TooLong);
        (root, Some(run.kept()))
    }

    async fn keep(&self, name: &str, kept: &Kept) {
        let (directory, name, kept) = (self.directory.clone(), name.to_owned(), kept.clone());
        let written = tokio::task::spawn_blocking(move || store::write(&directory, &name, &kept)).await;
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "a trust root is in force and could not be kept on disk")
            }
            Err(error) => tracing::warn!(%error, "a trust root could not be kept on disk"),
        }
    }

    /// Puts what came of a run where the next rules will find it.
    fn settle(
        &self,
        name: &str,
        source: &Source,
        outcome: Result<Arc<TrustRoot>, RunError>,
        kept: Option<Kept>,
    ) {
        let mut slots = self.slots();
        // It may have been configured otherwise in the meantime.
        let Some(slot) = slots.get_mut(name).filter(|slot| slot.source.same(source)) else { return };
        slot.kept = kept;
        match outcome {
            Ok(root) => {
                let known = slot.root.as_ref().is_some_and(|known| known.id() == root.id());
                if !known {
                    tracing::info!(name, root = %root.id(), "a trust root has come");
                    slot.root = Some(root);
                    self.arrived.notify_one();
                }
                (slot.failure, slot.failures) = (None, 0);
                slot.due = Instant::now() + jittered(self.interval);
            }
            Err(error) => {
                slot.failure = Some(with_causes(&error));
                slot.failures = slot.failures.saturating_add(1);
                let pause = FIRST_PAUSE.saturating_mul(1 << slot.failures.min(16)).min(self.interval);
                slot.due = Instant::now() + jittered(pause);
            }
        }
    }

    fn state(&self) -> Trusted {
        let slots = self.slots();
        let kept = || slots.values().filter_map(|slot| slot.kept.as_ref());
        Trusted {
            missing: slots.values().filter(|slot| slot.root.is_none()).count(),
            refreshed: kept().filter_map(|kept| kept.refreshed).min(),
            expires: kept().filter_map(|kept| kept.expires).min(),
            ends: slots.values().filter_map(|slot| slot.root.as_ref()?.ends()).min(),
        }
    }
}

/// What expired is an error, since it does not pass by itself; everything else may.
fn complain(name: &str, error: &RunError) {
    let why = with_causes(error);
    if let RunError::Tuf(TufError::Expired { .. }) = error {
        tracing::error!(name, error = %why, "a trust root's repository expired, the last good root stays");
    } else {
        tracing::warn!(name, error = %why, "a trust root could not be refreshed, the last good one stays");
    }
}

/// Within a tenth of the pause, so that many gateways do not ask at once.
fn jittered(pause: Duration) -> Duration {
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish() % 1024;
    pause.mul_f64(0.9 + random as f64 / 5120.0)
}
