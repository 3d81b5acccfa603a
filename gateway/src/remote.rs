//! Files elsewhere that policies name: fetched in the background, kept on disk, and never waited for by a request.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cache::Domain;
use oci::Digest;
use policies::{External, Externals};
use tokio::sync::Notify;
use upstream::{Fetcher, Scheme, Url};

use crate::undecided::with_causes;

/// The most bytes of one file.
const LIMIT: u64 = 1024 * 1024;

/// How long one may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long after a failure it is asked for again, at first; twice as long after each, up to the second.
const AGAIN: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(300)];

/// The files that policies name, by what they name them.
pub struct RemoteFiles {
    directory: PathBuf,
    fetcher: Fetcher,
    wanted: Mutex<Wanted>,
    /// A policy names what it did not name before.
    named: Notify,
    /// Something is there, or failed otherwise than before.
    arrived: Notify,
}

/// What is wanted, by the tenant whose policies name it; and why it is not there, if that is known.
type Wanted = BTreeMap<(&'static str, External), Option<Arc<str>>>;

impl RemoteFiles {
    /// Wants nothing yet. What comes is kept below this directory.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn new(storage: &Path) -> anyhow::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            directory: storage.join("policies"),
            fetcher: Fetcher::new()?,
            wanted: Mutex::default(),
            named: Notify::new(),
            arrived: Notify::new(),
        }))
    }

    /// Adds what of these is at hand, read from disk. From now on they are the only ones that are wanted for this tenant.
    pub fn externals<'a>(
        &self,
        domain: Domain,
        named: impl Iterator<Item = &'a External>,
        mut externals: Externals,
    ) -> Externals {
        let mut wanted = self.wanted();
        let mut still = BTreeMap::new();
        for external in named {
            let External::Remote { url, sha256 } = external else { continue };
            let content = match self.read(sha256) {
                Some(text) => Ok(text.into()),
                None => {
                    let key = (domain.name(), external.clone());
                    let failure = wanted.get(&key).cloned().flatten();
                    still.insert(key, failure.clone());
                    Err(failure
                        .map_or_else(|| format!("{url} has not been fetched yet"), |why| why.to_string()))
                }
            };
            externals.insert(external.clone(), content);
        }
        let before: BTreeSet<_> = wanted.keys().cloned().collect();
        if still.keys().any(|external| !before.contains(external)) {
            self.named.notify_one();
        }
        wanted.retain(|(of, _), _| *of != domain.name());
        wanted.append(&mut still);
        externals
    }

    /// Resolves once something is there that was not.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Fetches what is wanted until `stop` resolves.
    pub(crate) async fn run(self: Arc<Self>, stop: impl Future<Output = ()>) {
        let fetching = async {
            let mut pause = AGAIN[0];
            loop {
                if self.fetch_wanted().await {
                    pause = AGAIN[0];
                    self.named.notified().await;
                    continue;
                }
                let soon = tokio::time::timeout(pause, self.named.notified()).await;
                pause = if soon.is_ok() { AGAIN[0] } else { AGAIN[1].min(pause * 2) };
            }
        };
        tokio::select! {
            () = stop => {}
            () = fetching => {}
        }
    }

    /// Fetches whatever is wanted, once. Whether all of it is there now.
    pub(crate) async fn fetch_wanted(&self) -> bool {
        let wanted: BTreeSet<_> = self.wanted().keys().map(|(_, external)| external.clone()).collect();
        let mut all = true;
        for external in wanted {
            all &= self.fetch(&external).await;
        }
        all
    }

    /// Fetches one file and keeps it if it is what its checksum says.
    async fn fetch(&self, external: &External) -> bool {
        let External::Remote { url, sha256 } = external else { return true };
        let outcome = match get(&self.fetcher, url, sha256).await {
            Ok(text) => self.keep(sha256, &text).map_err(|error| format!("{url} cannot be kept: {error}")),
            Err(why) => Err(why),
        };
        let failure = outcome.err().map(Arc::from);
        let fetched = failure.is_none();
        if let Some(why) = &failure {
            tracing::warn!(%why, "a file that a policy names could not be had");
        }
        for ((_, wanted), state) in &mut *self.wanted() {
            if wanted == external && (fetched || *state != failure) {
                state.clone_from(&failure);
                self.arrived.notify_one();
            }
        }
        fetched
    }

    fn read(&self, sha256: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.directory.join(file_name(sha256)?)).ok()?;
        is_what_it_says(&text, sha256).then_some(text)
    }

    fn keep(&self, sha256: &str, text: &str) -> std::io::Result<()> {
        let name = file_name(sha256).ok_or(std::io::ErrorKind::InvalidInput)?;
        std::fs::create_dir_all(&self.directory)?;
        let file = tempfile::NamedTempFile::new_in(&self.directory)?;
        std::fs::write(file.path(), text)?;
        file.as_file().sync_all()?;
        file.persist(self.directory.join(name))?;
        Ok(())
    }

    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn get(fetcher: &Fetcher, url: &str, sha256: &str) -> Result<String, String> {
    let parsed = url.parse::<Url>().ok().filter(|parsed| parsed.scheme() == Scheme::Https);
    let parsed = parsed.ok_or_else(|| format!("{url} is no https URL"))?;
    let bytes = fetcher.get(&parsed, LIMIT, DEADLINE).await;
    let bytes =
        bytes.map_err(|error| format!("failed to fetch content from policy url: {}", with_causes(&error)))?;
    let text = String::from_utf8(bytes.to_vec()).map_err(|_| format!("{url} is no text"))?;
    if is_what_it_says(&text, sha256) {
        return Ok(text);
    }
    let got = Digest::of(text.as_bytes()).hex();
    Err(format!("failed to check sha256sum from policy remote: {sha256} got {got}"))
}

fn is_what_it_says(text: &str, sha256: &str) -> bool {
    Digest::of(text.as_bytes()).hex().eq_ignore_ascii_case(sha256)
}

/// What a file is kept as: its checksum, and nothing that could be a path.
fn file_name(sha256: &str) -> Option<String> {
    let is_one = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_one.then(|| sha256.to_ascii_lowercase())
}
