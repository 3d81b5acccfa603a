//! Trust roots that come from repositories of The Update Framework: fetched in the background, kept on disk, and never
//! waited for by a request.

mod object;
mod refresh;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use upstream::{Fetcher, Url};
use verify::TrustRoot;
use verify::tuf::{Kept, Repository};

pub(crate) use object::root_of;
pub(crate) use refresh::run;

/// A trust root that policies may rest on, or why it is not there.
#[derive(Clone, Debug)]
pub enum Root {
    /// It can be used.
    Usable(Arc<TrustRoot>),
    /// It cannot, and what rests on it cannot be told.
    Missing(String),
}

/// A repository and where it is asked.
#[derive(Clone)]
pub struct Source {
    /// Whom to believe.
    pub repository: Repository,
    /// Where its metadata is.
    pub mirror: Url,
    /// The folder of the mirror that its targets are in.
    pub targets: String,
}

/// The repositories that are followed, by the names of their trust roots.
pub struct Repositories {
    directory: PathBuf,
    interval: Duration,
    fetcher: Fetcher,
    slots: Mutex<BTreeMap<String, Slot>>,
    /// What came of archives, by the object that they are in.
    unpacked: Mutex<BTreeMap<String, object::Unpacked>>,
    /// A repository is followed that was not.
    followed: Notify,
    /// A trust root came that was not there, or is another one than was.
    arrived: Notify,
}

/// One repository that is followed.
struct Slot {
    source: Source,
    root: Option<Arc<TrustRoot>>,
    kept: Option<Kept>,
    /// Why the last run failed; nothing if it did not.
    failure: Option<String>,
    failures: u32,
    due: Instant,
}

/// The public instances of Sigstore, whose trust roots are built in.
const PUBLIC_GOOD: &str = "https://tuf-repo-cdn.sigstore.dev";
const STAGING: &str = "https://tuf-repo-cdn.sigstage.dev";

impl Repositories {
    /// Follows nothing yet. What is kept goes below this directory, and is fetched again after about so long.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn new(storage: &std::path::Path, interval: Duration) -> anyhow::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            directory: storage.join("trust"),
            interval,
            fetcher: Fetcher::new()?,
            slots: Mutex::default(),
            unpacked: Mutex::default(),
            followed: Notify::new(),
            arrived: Notify::new(),
        }))
    }

    /// The trust root of a repository, which from now on is kept up to date. At first it is the one on disk; without,
    /// for a public instance, the one that is built in.
    ///
    /// It reads a file the first time, and opens no connection.
    pub fn follow(&self, name: &str, source: &Source) -> Root {
        let mut slots = self.slots();
        if let Some(slot) = slots.get(name).filter(|slot| slot.source.same(source)) {
            return slot.root();
        }
        let kept = store::read(&self.directory, name, &source.repository);
        let root = kept.as_ref().and_then(Kept::target).and_then(|text| TrustRoot::from_json(text).ok());
        let root = root.or_else(|| built_in(&source.mirror)).map(Arc::new);
        let due = Instant::now();
        let slot = Slot { source: source.clone(), root, kept, failure: None, failures: 0, due };
        let root = slot.root();
        slots.insert(name.to_owned(), slot);
        self.followed.notify_one();
        root
    }

    /// Follows these and no others, but for those of tenants. What is on disk of others stays there.
    pub fn keep_only(&self, names: &BTreeSet<String>) {
        self.slots().retain(|name, _| names.contains(name) || is_of_a_tenant(name));
        self.unpacked().retain(|name, _| names.contains(name));
    }

    /// What a trust root of a tenant's own is followed as. No other has such a name.
    pub(crate) fn slot_of(tenant: cache::Domain, name: &str) -> String {
        format!("_{tenant}.{name}")
    }

    /// Resolves once a trust root has come that is not in force yet.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// No name of a trust root for all begins with an underscore but the default's, which has no dot.
fn is_of_a_tenant(slot: &str) -> bool {
    slot.starts_with('_') && slot.contains('.')
}

impl Source {
    fn same(&self, other: &Self) -> bool {
        self.repository.id() == other.repository.id()
            && self.mirror == other.mirror
            && self.targets == other.targets
    }
}

impl Slot {
    fn root(&self) -> Root {
        match (&self.root, &self.failure) {
            (Some(root), _) => Root::Usable(root.clone()),
            (None, Some(failure)) => Root::Missing(failure.clone()),
            (None, None) => Root::Missing("it has not been fetched yet".to_owned()),
        }
    }
}

fn built_in(mirror: &Url) -> Option<TrustRoot> {
    match mirror.to_string().trim_end_matches('/') {
        PUBLIC_GOOD => TrustRoot::public_good().ok(),
        STAGING => TrustRoot::staging().ok(),
        _ => None,
    }
}
