//! What is remembered of one kind: in memory, across restarts, and by the fleet.

mod look;
mod record;
mod sharing;
mod store;
mod turns;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

pub use self::look::{Look, Presence};
pub use self::sharing::{Sharing, What};
use self::store::{Remembered, Store};
use crate::blocking::blocking;
use crate::index::Ticket;
use crate::random::fraction;
use crate::shared::Forgets;
use crate::{Beginning, Domain, Index, Key, KeyBytes, MemoStats, MemoryStats, Shared, Since};

/// Values by key: the ones in use in memory, all of them in the index, if there is one, and in the shared tier, if
/// there is one.
///
/// A value is stored as JSON. One that does not decode, because an older version wrote it, is as good as absent;
/// where the meaning of a value changes and its JSON does not, the name must.
///
/// Every future may be dropped: what was begun is then done nevertheless.
pub struct Memo<K, V> {
    store: Arc<Store<K, V>>,
    /// Who is told of purges, whether or not values are shared.
    fleet: Option<Arc<Shared>>,
}

/// Another handle to the same memory.
impl<K, V> Clone for Memo<K, V> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), fleet: self.fleet.clone() }
    }
}

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many bytes are held in memory at most, more or less: the keys, the values as they are stored, and what
    /// every entry takes besides.
    pub bytes: u64,
    /// How many of the last entries are kept on disk at least; twice as many at most.
    pub entries: u64,
}

/// What a value has to be, to be held in memory and stored as JSON.
pub(crate) trait Value: Clone + Send + Sync + Serialize + DeserializeOwned + 'static {}

impl<V: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> Value for V {}

impl<K: Key, V: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> Memo<K, V> {
    /// An empty memory over this table of the index. Without an index it is memory alone.
    ///
    /// The name is that of the table: no two memos over one index share it.
    pub fn new(name: &'static str, limits: Limits, index: Option<Arc<Index>>) -> Self {
        let domain = domain_of(index.as_ref(), None);
        Self { store: Arc::new(Store::new(name, limits, domain, index, None)), fleet: None }
    }

    /// A memory that is not shared with the fleet, and forgets what any of it purges.
    pub fn purged_with(
        name: &'static str,
        limits: Limits,
        index: Option<Arc<Index>>,
        fleet: Option<Arc<Shared>>,
    ) -> Self {
        let domain = domain_of(index.as_ref(), fleet.as_ref());
        Self::told(Store::new(name, limits, domain, index, None), fleet)
    }

    /// A memory that is shared with the fleet. Of what others keep there, what is found is kept here too.
    ///
    /// The name is also that of the shared table.
    pub fn shared(
        name: &'static str,
        limits: Limits,
        index: Option<Arc<Index>>,
        sharing: Sharing<K>,
    ) -> Self {
        let fleet = sharing.shared.clone();
        let domain = domain_of(index.as_ref(), Some(&fleet));
        let sharing = sharing.is_trusted().then_some(sharing);
        Self::told(Store::new(name, limits, domain, index, sharing), Some(fleet))
    }

    fn told(store: Store<K, V>, fleet: Option<Arc<Shared>>) -> Self {
        let store = Arc::new(store);
        let forgets: Arc<dyn Forgets> = store.clone();
        let forgets: Weak<dyn Forgets> = Arc::downgrade(&forgets);
        if let Some(fleet) = &fleet {
            fleet.add(store.name, forgets);
        }
        Self { store, fleet }
    }

    /// What is remembered for this key: in memory, or else on disk, or else by the fleet. Of many who look for the
    /// same at once, one looks.
    pub async fn find(&self, key: &K) -> Option<V> {
        if let Some(value) = self.find_in_memory(key) {
            return Some(value);
        }
        if self.store.index.is_none() && self.store.sharing.is_none() {
            self.store.meters.misses.add();
            return None;
        }
        // A look that began before the key was changed is not joined: it may have seen what is no more.
        let changes = self.store.turns.changes(&KeyBytes::of(key));
        let (memo, of_look) = (self.clone(), key.clone());
        let look =
            self.store.looks.run((key.clone(), changes), || async move { memo.find_below(&of_look).await });
        // A look that panicked found nothing.
        look.await.ok().flatten()
    }

    async fn find_below(&self, key: &K) -> Option<V> {
        if let Some(index) = self.store.index.clone() {
            let (store, key) = (self.store.clone(), key.clone());
            if let Some(value) = blocking(move || store.find_below(&index, &key)).await.flatten() {
                self.store.meters.disk.add();
                return Some(value);
            }
        }
        let found = self.find_shared(key).await;
        if found.is_none() {
            self.store.meters.misses.add();
        }
        found
    }

    /// What is in memory by now, or else what the fleet says when it is asked anew: for whoever looked, and is about
    /// to do what others may have done meanwhile.
    pub async fn look_again(&self, key: &K) -> Option<V> {
        match self.find_in_memory(key) {
            Some(value) => Some(value),
            None => self.find_shared(key).await,
        }
    }

    /// What is remembered for this key, if it is in memory: about a microsecond, and no await.
    pub fn find_in_memory(&self, key: &K) -> Option<V> {
        let found = self.store.find_in_memory(key);
        if found.is_some() {
            self.store.meters.memory.add();
        }
        found
    }

    /// What is in memory for this key, and how much longer it is believed; `None` is without an end.
    pub fn find_in_memory_with_end(&self, key: &K) -> Option<(V, Option<Duration>)> {
        let found = self.store.memory.find(key)?;
        let left = found.until.map(|until| until.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return None;
        }
        self.store.meters.memory.add();
        Some((found.value, left))
    }

    /// Tells the fleet again what is in memory or on disk for this key and believed without an end, so that it does
    /// not leave the shared tier while it is in use. Says whether there was such a thing.
    pub async fn share_again(&self, key: &K) -> bool {
        if self.store.sharing.is_none() {
            return false;
        }
        let since = self.since(key);
        let remembered = self.store.memory.find(key);
        let value = match (remembered, self.store.index.clone()) {
            (Some(remembered), _) => remembered.until.is_none().then_some(remembered.value),
            (None, Some(index)) => {
                let (store, key) = (self.store.clone(), key.clone());
                blocking(move || store.look_below(&index, &key)).await.flatten()
            }
            (None, None) => None,
        };
        let Some(value) = value else {
            return false;
        };
        self.share(since, key.clone(), value, None).await;
        true
    }

    /// What the fleet remembers for this key, whatever is remembered here: it takes the place of that, unless that
    /// changed meanwhile.
    pub async fn find_shared(&self, key: &K) -> Option<V> {
        let sharing = self.store.sharing.as_ref()?;
        let bytes = KeyBytes::of(key);
        let asked = self.store.asked(&bytes);
        let found = sharing.find::<V>(self.store.table.name, key).await?;
        self.store.meters.shared.add();
        let remembered = Remembered::new(found.value.clone(), found.left);
        match self.store.index.clone() {
            Some(index) => {
                let (store, key) = (self.store.clone(), key.clone());
                blocking(move || store.fill(Some(&index), &key, &bytes, remembered, asked)).await;
            }
            None => self.store.fill(None, key, &bytes, remembered, asked),
        }
        Some(found.value)
    }

    /// Remembers a value. It is on disk when this returns, and in the shared tier if that answers; where it could not
    /// be written the log says so, and memory has it until then.
    pub async fn keep(&self, key: K, value: V) {
        self.keep_since(self.since(&key), key, value).await;
    }

    /// For whoever asks for something now that is to be remembered later, and must not be if it is purged meanwhile.
    pub fn since(&self, key: &K) -> Since {
        let fleet = self.fleet.as_ref();
        let made = fleet.map_or(0, |fleet| fleet.made(self.store.table.name, &KeyBytes::of(key)));
        Since { made, ..self.store.memory.since() }
    }

    /// Remembers a value as [`keep`](Self::keep) does, unless something was purged since it was asked for.
    pub async fn keep_since(&self, since: Since, key: K, value: V) {
        self.remember(since, key, value, None).await;
    }

    /// Remembers a value in memory alone, and in the shared tier, for this long at most: up to a tenth less, so that
    /// what came together does not go together. It takes the place of what was remembered before, on disk too.
    pub async fn keep_for(&self, key: K, value: V, for_: Duration) {
        self.keep_for_since(self.since(&key), key, value, for_).await;
    }

    /// Remembers a value for a while as [`keep_for`](Self::keep_for) does, unless something was purged since it was
    /// asked for.
    pub async fn keep_for_since(&self, since: Since, key: K, value: V, for_: Duration) {
        self.remember(since, key, value, Some(shortened(for_))).await;
    }

    /// Forgets what is remembered for this key, in memory, on disk and in the shared tier. What other replicas have
    /// of it themselves they keep: see [`purge`](Self::purge).
    pub async fn forget(&self, key: &K) {
        // The shared value first, or whoever asks in between finds it there and keeps it here.
        if self.store.sharing.is_some() {
            let (store, key) = (self.store.clone(), key.clone());
            detached(async move {
                if let Some(sharing) = &store.sharing {
                    sharing.forget(store.table.name, &key).await;
                }
            })
            .await;
        }
        match self.store.index.clone() {
            None => drop(self.store.forget(None, key)),
            Some(index) => {
                let (store, to, key) = (self.store.clone(), index.clone(), key.clone());
                let ticket = blocking(move || store.forget(Some(&to), &key)).await;
                index.settled(ticket.unwrap_or(Ticket::NONE)).await;
            }
        }
    }

    /// Forgets every key that begins so, here and at every replica of the fleet: at those that listen within a second,
    /// at others when they are back. What was asked for before is not kept after it either, wherever it is under way.
    /// Says whether those that listen were told.
    pub async fn purge(&self, beginning: impl Into<Beginning>) -> bool {
        let beginning = beginning.into();
        let Some(fleet) = self.fleet.clone() else {
            self.forget_under(beginning).await;
            return true;
        };
        let table = self.store.name;
        let told = tokio::spawn(async move { fleet.purge(table, &beginning).await }).await;
        told.unwrap_or_else(|error| {
            tracing::error!(%error, "a purge ended early");
            false
        })
    }

    /// Forgets every key that begins so, here alone. Waits for the disk.
    pub(crate) fn forget_at_once(&self, beginning: &Beginning) {
        Forgets::forget_under(&*self.store, beginning);
    }

    /// Where it found what it was asked for.
    pub fn stats(&self) -> MemoStats {
        self.store.meters.stats()
    }

    /// What is in memory, and what made room.
    pub fn held(&self) -> MemoryStats {
        self.store.memory.stats()
    }

    async fn remember(&self, since: Since, key: K, value: V, lasts: Option<Duration>) {
        let remembered = Remembered::new(value.clone(), lasts);
        let kept = match self.store.index.clone() {
            None => self.store.keep(None, &key, remembered, since).is_some(),
            Some(index) => {
                let (store, to, key) = (self.store.clone(), index.clone(), key.clone());
                let ticket = blocking(move || store.keep(Some(&to), &key, remembered, since)).await.flatten();
                index.settled(ticket.unwrap_or(Ticket::NONE)).await;
                ticket.is_some()
            }
        };
        // What is purged from now on is not believed there: it says when it was asked for.
        if kept {
            self.share(since, key, value, lasts).await;
        }
    }

    async fn share(&self, since: Since, key: K, value: V, lasts: Option<Duration>) {
        if self.store.sharing.is_none() {
            return;
        }
        let store = self.store.clone();
        detached(async move {
            if let Some(sharing) = &store.sharing {
                sharing.keep(store.table.name, &key, &value, lasts, since.made).await;
            }
        })
        .await;
    }

    /// Changes the values of these keys, each from what it is to what `change` makes of it; `None` leaves it alone.
    /// No two changes of one key overlap. On disk when this returns.
    pub(crate) async fn change(
        &self,
        keys: Vec<K>,
        change: impl Fn(&K, Option<V>) -> Option<V> + Send + 'static,
    ) {
        let store = self.store.clone();
        let ticket = blocking(move || keys.iter().map(|key| store.change(key, &change)).max()).await;
        if let (Some(index), Some(Some(ticket))) = (&self.store.index, ticket) {
            index.settled(ticket).await;
        }
    }

    /// Forgets every key that begins so, here alone.
    pub(crate) async fn forget_under(&self, beginning: Beginning) {
        let store = self.store.clone();
        let ticket = blocking(move || store.forget_under(&beginning)).await;
        if let (Some(index), Some(ticket)) = (&self.store.index, ticket) {
            index.settled(ticket).await;
        }
    }
}

/// The table alone: what is remembered is many and may be private.
impl<K, V> fmt::Debug for Memo<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memo").field("table", &self.store.table).finish_non_exhaustive()
    }
}

/// Whose a memory over these is. They are of one domain: whoever has a tenant's index has that tenant's fleet.
fn domain_of(index: Option<&Arc<Index>>, fleet: Option<&Arc<Shared>>) -> Domain {
    let (of_index, of_fleet) = (index.map(|index| index.domain()), fleet.map(|fleet| fleet.domain()));
    debug_assert!(
        of_index.is_none_or(|index| of_fleet.is_none_or(|fleet| index.name() == fleet.name())),
        "an index and a fleet of two domains"
    );
    of_index.or(of_fleet).unwrap_or_default()
}

/// Work that is finished also when this future is dropped.
async fn detached(work: impl Future<Output = ()> + Send + 'static) {
    if let Err(error) = tokio::spawn(work).await {
        tracing::error!(%error, "work on the shared tier ended early");
    }
}

fn shortened(duration: Duration) -> Duration {
    duration - duration.mul_f64(fraction() / 10.0)
}

#[cfg(test)]
mod tests;
