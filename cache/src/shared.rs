//! The shared tier: what the replicas of one fleet tell each other, through Redis.

mod address;
mod breaker;
mod link;
mod listener;
mod purges;
mod seldom;
mod server;
mod settings;
mod thread;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::{Duration, SystemTime};

use oci::{Algorithm, Hasher};
use redis::{Cmd, FromRedisValue};
use tokio::time::Instant;

pub use self::address::InvalidUrl;
pub use self::breaker::BreakerState;
use self::link::Link;
pub use self::purges::Forgets;
use self::purges::{Purge, Purges};
use self::seldom::Seldom;
use self::server::Server;
pub use self::settings::{BUDGET, ConnectError, Settings, Trust};
use self::thread::Thread;
use crate::seal::OVERHEAD;
use crate::stats::{Count, SharedStats};
use crate::{Beginning, Broken, Domain, Index, KeyBytes, Label, LeaseStats, Opened, Seals};

/// How large a value may be. What is larger is found elsewhere, and stays with whoever has it.
pub const MAX_VALUE: usize = 64 * 1024;

/// What a value may be with its seal around it.
const MAX_SEALED: usize = MAX_VALUE + 256;

/// How long anything is kept at most.
pub(crate) const MAX_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Adds a record and drops the oldest, in one step.
const APPEND: &str = "local all = string.sub((redis.call('GET', KEYS[1]) or '') .. ARGV[1], -tonumber(ARGV[2])) \
                      redis.call('SET', KEYS[1], all, 'PX', ARGV[3]) return #all";

/// A store that all replicas write, and none of them believes further than its seals prove.
///
/// It is never needed: whatever it does not answer in time, or not rightly, is a miss. What it holds are material and
/// conclusions under keys which say all that these rest on, so that nothing that is put back there can bring a
/// policy, a trust root or an allowance back.
///
/// Dropping it closes the connections.
///
/// It is of one [`Domain`]; [`within`](Self::within) gives that of another, over the same connections.
pub struct Shared {
    core: Arc<Core>,
    domain: Domain,
    thread: Arc<Thread>,
}

/// All of it but the tasks, which hold it.
struct Core {
    link: Arc<Link>,
    /// Replaced whole when secrets are.
    seals: RwLock<Arc<Seals>>,
    trust: Trust,
    prefix: String,
    purges: Arc<Purges>,
    meters: Meters,
    broken: Seldom,
}

#[derive(Debug, Default)]
struct Meters {
    hits: Count,
    misses: Count,
    stored: Count,
    oversized: Count,
    seals_broken: Count,
    seals_unknown: Count,
    seals_expired: Count,
    purged: Count,
    purges: Count,
    listening: std::sync::atomic::AtomicBool,
    leases: LeaseMeters,
}

/// What became of leases.
#[derive(Debug, Default)]
pub(crate) struct LeaseMeters {
    pub(crate) held: Count,
    pub(crate) awaited: Count,
    pub(crate) alone: Count,
}

impl Shared {
    /// A shared tier of these settings. It connects in the background, now and whenever the connection is lost: a
    /// server that is away delays nothing. With an index it remembers across restarts which purges it carried out.
    ///
    /// # Errors
    /// As [`ConnectError`] says.
    pub fn connect(settings: Settings, index: Option<Arc<Index>>) -> Result<Arc<Self>, ConnectError> {
        settings.check()?;
        let server = Server::new(&settings)?;
        let core = Arc::new(Core {
            link: Link::new(server, &settings.prefix, settings.budget),
            seals: RwLock::new(Arc::new(settings.seals.unwrap_or_else(Seals::unkeyed))),
            trust: settings.trust,
            prefix: settings.prefix,
            purges: Arc::new(Purges::new(index)),
            meters: Meters::default(),
            broken: Seldom::default(),
        });
        let (thread, link) = (Thread::start()?, core.link.clone());
        thread.run(async move { link.tend().await });
        thread.run(listener::run(core.clone()));
        Ok(Arc::new(Self { core, domain: Domain::default(), thread: Arc::new(thread) }))
    }

    /// What another domain shares.
    pub fn within(&self, domain: Domain) -> Arc<Self> {
        Arc::new(Self { core: self.core.clone(), domain, thread: self.thread.clone() })
    }

    /// Whose it is.
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// Waits until the server answers, which may be never: the caller has a deadline. For tests and tools; nothing
    /// that serves waits for it.
    pub async fn answers(&self) {
        self.core.link.answers().await;
    }

    /// How far it is trusted.
    pub fn trust(&self) -> Trust {
        self.core.trust
    }

    /// What it did so far.
    pub fn stats(&self) -> SharedStats {
        let (meters, link) = (&self.core.meters, &self.core.link.meters);
        SharedStats {
            hits: meters.hits.value(),
            misses: meters.misses.value(),
            stored: meters.stored.value(),
            oversized: meters.oversized.value(),
            late: link.late.value(),
            failed: link.failed.value(),
            spared: link.spared.value(),
            seals_broken: meters.seals_broken.value(),
            seals_unknown: meters.seals_unknown.value(),
            seals_expired: meters.seals_expired.value(),
            purged: meters.purged.value(),
            purges: meters.purges.value(),
            breaker: self.core.link.state(),
            openings: link.openings.value(),
            listening: meters.listening.load(std::sync::atomic::Ordering::Relaxed),
            latency: link.answers.latency(),
            leases: LeaseStats {
                held: meters.leases.held.value(),
                awaited: meters.leases.awaited.value(),
                alone: meters.leases.alone.value(),
            },
        }
    }

    /// What is stored under this label, if it is ours and still believed.
    pub(crate) async fn find(&self, label: Label<'_>) -> Option<Opened> {
        let core = &self.core;
        // A range, so that a value of any size that somebody put there costs no more than ours do.
        let question = redis::cmd("GETRANGE").arg(core.place(label)).arg(0).arg(MAX_SEALED).to_owned();
        let sealed: Vec<u8> = core.link.ask(&question).await?;
        if sealed.is_empty() {
            core.meters.misses.add();
            return None;
        }
        if sealed.len() > MAX_SEALED {
            core.meters.oversized.add();
            return None;
        }
        core.open(label, &sealed)
    }

    /// Stores a value under this label, for this long, as made at this time. Says whether it is there; where it is
    /// not, that costs others time.
    pub(crate) async fn keep(&self, label: Label<'_>, value: &[u8], lifetime: Duration, made: u64) -> bool {
        let core = &self.core;
        if value.len() > MAX_VALUE {
            core.meters.oversized.add();
            return false;
        }
        let lifetime = u64::try_from(lifetime.min(MAX_LIFETIME).as_millis()).unwrap_or(u64::MAX);
        if lifetime == 0 {
            return false;
        }
        let Some(sealed) = core.seals().seal(label, value, now().saturating_add(lifetime), made) else {
            return false;
        };
        let command = redis::cmd("SET").arg(core.place(label)).arg(sealed).arg("PX").arg(lifetime).to_owned();
        let stored = core.link.ask::<()>(&command).await.is_some();
        if stored {
            core.meters.stored.add();
        }
        stored
    }

    /// When something that is made now under this key is to say that it was made.
    pub(crate) fn made(&self, table: &str, key: &KeyBytes) -> u64 {
        self.core.purges.made(table, key.as_slice(), now())
    }

    /// Removes what is stored under this label.
    pub(crate) async fn forget(&self, label: Label<'_>) {
        let command = redis::cmd("DEL").arg(self.core.place(label)).to_owned();
        // Where it cannot be removed it expires; who needs more than that purges.
        let _: Option<u64> = self.core.link.ask(&command).await;
    }

    /// Adds a value to those under this label, all of one length; of more than `most` the oldest go. Says whether it
    /// is there.
    pub(crate) async fn append(
        &self,
        label: Label<'_>,
        value: &[u8],
        most: usize,
        lifetime: Duration,
    ) -> bool {
        let core = &self.core;
        let lifetime = u64::try_from(lifetime.min(MAX_LIFETIME).as_millis()).unwrap_or(u64::MAX).max(1);
        let now = now();
        let made = core.purges.made(label.table, label.key, now);
        let Some(sealed) = core.seals().seal(label, value, now.saturating_add(lifetime), made) else {
            return false;
        };
        let command = append(&core.place(label), &sealed, sealed.len() * most, lifetime);
        let added = core.link.ask::<u64>(&command).await.is_some();
        if added {
            core.meters.stored.add();
        }
        added
    }

    /// The last `most` values under this label, each of this length, the oldest first; those alone that are ours and
    /// still believed.
    pub(crate) async fn records(&self, label: Label<'_>, length: usize, most: usize) -> Vec<Vec<u8>> {
        let core = &self.core;
        let length = length + OVERHEAD;
        let question = redis::cmd("GETRANGE").arg(core.place(label)).arg(0).arg(length * most - 1).to_owned();
        let all: Vec<u8> = core.link.ask(&question).await.unwrap_or_default();
        let opened = all.chunks(length).filter_map(|sealed| core.open(label, sealed));
        let records: Vec<_> = opened.map(|opened| opened.value).collect();
        if records.is_empty() {
            core.meters.misses.add();
        }
        records
    }

    /// From now on, this forgets what anybody purges from its table of this domain. Waits for the disk where it was
    /// late.
    pub fn add(&self, table: &'static str, forgets: Weak<dyn Forgets>) {
        self.core.purges.add(self.domain.table(table), forgets);
    }

    /// Purges every key of this domain's table that begins so: here when this returns, within a second at replicas that
    /// listen, and at others when they are back. Says whether those that listen were told; where not, they are as soon
    /// as the server answers, also after a restart. May not be dropped before it is done.
    pub async fn purge(&self, table: &'static str, beginning: &Beginning) -> bool {
        let table = self.domain.table(table);
        let purge = Purge::new(crate::random::id(), table, beginning, now());
        self.core.carry_out(purge.clone()).await;
        if self.core.tell(&purge).await {
            return true;
        }
        let core = self.core.clone();
        crate::blocking::blocking(move || core.purges.owed().add(purge)).await;
        false
    }

    /// Seals and opens with these from now on, in place of those before. Says whether they are others.
    ///
    /// # Errors
    /// [`ConnectError::Unsealed`] where conclusions are shared and these prove nothing; those before stay.
    pub fn reseal(&self, seals: Seals) -> Result<bool, ConnectError> {
        if self.core.trust == Trust::Sealed && !seals.are_keyed() {
            return Err(ConnectError::Unsealed);
        }
        if self.core.seals().are_those(&seals) {
            return Ok(false);
        }
        *self.core.seals.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(seals);
        Ok(true)
    }

    /// The answer to a question about a lease, within this time.
    pub(crate) async fn ask<T: FromRedisValue>(&self, budget: Duration, command: &Cmd) -> Option<T> {
        self.core.link.ask_within(budget, command).await
    }

    /// The same where it is better to wait for a server that was late just now than to do without.
    pub(crate) async fn ask_in_doubt<T: FromRedisValue>(&self, budget: Duration, command: &Cmd) -> Option<T> {
        self.core.link.ask_in_doubt(budget, command).await
    }

    /// Where a thing under this label is.
    pub(crate) fn place(&self, label: Label<'_>) -> String {
        self.core.place(label)
    }

    pub(crate) fn leases(&self) -> &LeaseMeters {
        &self.core.meters.leases
    }
}

impl Core {
    fn seals(&self) -> Arc<Seals> {
        self.seals.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The prefix, the table for whoever looks, and in braces, so that a cluster puts what belongs together in one
    /// slot, the hash of the whole label.
    fn place(&self, label: Label<'_>) -> String {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(label.place().as_slice());
        format!("{}:{}:{{{}}}", self.prefix, label.table, hasher.finish().hex())
    }

    /// What was sealed, if it is ours, still believed, and not purged.
    fn open(&self, label: Label<'_>, sealed: &[u8]) -> Option<Opened> {
        match self.seals().open(label, sealed, now()) {
            Ok(opened) if self.purges.cover(label, opened.made) => {
                self.meters.purged.add();
                None
            }
            Ok(opened) => {
                self.meters.hits.add();
                Some(opened)
            }
            Err(broken) => {
                self.refuse(label, broken);
                None
            }
        }
    }

    fn refuse(&self, label: Label<'_>, broken: Broken) {
        let count = match broken {
            Broken::Malformed | Broken::Forged => &self.meters.seals_broken,
            Broken::UnknownKey => &self.meters.seals_unknown,
            Broken::Expired => &self.meters.seals_expired,
        };
        count.add();
        if self.broken.allows(Instant::now()) {
            tracing::warn!(table = label.table, %broken, "a value in the shared cache is not believed");
        }
    }

    /// Carries out a purge, away from where nothing may wait for the disk.
    async fn carry_out(self: &Arc<Self>, purge: Purge) {
        let core = self.clone();
        let carried_out = crate::blocking::blocking(move || core.purges.carry_out(&purge)).await;
        if carried_out == Some(true) {
            self.meters.purges.add();
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("prefix", &self.core.prefix)
            .field("trust", &self.core.trust)
            .field("seals", &self.core.seals())
            .finish_non_exhaustive()
    }
}

/// The command that adds a record to a place, of whose bytes the last `most` stay.
fn append(place: &str, record: &[u8], most: usize, lifetime: u64) -> Cmd {
    redis::cmd("EVAL").arg(APPEND).arg(1).arg(place).arg(record).arg(most).arg(lifetime).to_owned()
}

/// Milliseconds since 1970. A clock that is before that says zero, and opens what it should not have to: nothing that
/// matters rests on it.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
