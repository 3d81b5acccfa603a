//! Replicas: what each process of a fleet has.

use std::sync::Arc;
use std::time::Duration;

use cache::{Index, KeyBytes, Limits, Memo, Seals, Settings, Shared, SharedStats, Sharing, What};

use crate::server::Server;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Keys are a tenant and a name.
pub(crate) type TenantKey = (String, String);

/// One replica, with a memory and a disk of its own.
pub(crate) struct Replica {
    pub(crate) shared: Arc<Shared>,
    pub(crate) index: Arc<Index>,
    pub(crate) memo: Memo<TenantKey, String>,
}

pub(crate) fn secret(first: u8) -> [u8; 32] {
    std::array::from_fn(|at| first.wrapping_add(at as u8))
}

pub(crate) fn key(tenant: &str, name: &str) -> TenantKey {
    (tenant.to_owned(), name.to_owned())
}

/// A key of the tenant that most tests are about.
pub(crate) fn acme(name: &str) -> TenantKey {
    key("acme", name)
}

pub(crate) fn settings(url: &str) -> Settings {
    // The machine that tests run on may be busy; what is measured of budgets says its own.
    Settings { budget: Duration::from_millis(500), ..Settings::new(url, Seals::new(&[secret(1)]).unwrap()) }
}

pub(crate) fn memo(shared: &Arc<Shared>, index: &Arc<Index>, build: &str) -> Memo<TenantKey, String> {
    let sharing = Sharing::new(shared.clone(), What::Conclusions, DAY).of_build(build);
    Memo::shared("things", Limits { bytes: 16 * 1024 * 1024, entries: 10_000 }, Some(index.clone()), sharing)
}

impl Replica {
    pub(crate) async fn of(server: &Server) -> Self {
        Self::with(settings(&server.url())).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let replica = Self::unconnected(settings, &Index::in_memory());
        replica.answers().await;
        replica
    }

    /// A replica whose disk has something from before.
    pub(crate) fn unconnected(settings: Settings, index: &Arc<Index>) -> Self {
        let shared = Shared::connect(settings, Some(index.clone())).unwrap();
        let memo = memo(&shared, index, "1");
        Self { shared, index: index.clone(), memo }
    }

    pub(crate) async fn answers(&self) {
        within(Duration::from_secs(20), self.shared.answers()).await;
    }

    /// Waits until it hears of purges at once.
    pub(crate) async fn listens(&self) {
        self.until(|stats| stats.listening).await;
    }

    /// Waits until its figures are so.
    #[track_caller]
    pub(crate) fn until(&self, so: impl Fn(&SharedStats) -> bool) -> impl Future<Output = ()> {
        let shared = self.shared.clone();
        async move {
            let waiting = async {
                while !so(&shared.stats()) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            within(Duration::from_secs(20), waiting).await;
        }
    }

    pub(crate) async fn keep(&self, key: &TenantKey, value: &str) {
        self.memo.keep(key.clone(), value.to_owned()).await;
    }

    pub(crate) async fn find(&self, key: &TenantKey) -> Option<String> {
        self.memo.find(key).await
    }

    /// What it finds without its own memory and disk.
    pub(crate) async fn find_shared(&self, key: &TenantKey) -> Option<String> {
        self.memo.find_shared(key).await
    }

    pub(crate) async fn purge_tenant(&self, tenant: &str) {
        self.memo.purge(&KeyBytes::of(&tenant.to_owned())).await;
    }
}

/// The outcome, which has to come in time.
#[track_caller]
pub(crate) fn within<F: Future>(limit: Duration, future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(limit, future).await {
            Ok(outcome) => outcome,
            Err(_) => panic!("not within {limit:?}: {caller}"),
        }
    }
}
