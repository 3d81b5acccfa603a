//! What a memo shares with the fleet, and as what.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::random::fraction;
use crate::shared::{MAX_LIFETIME, now};
use crate::{Key, KeyBytes, Label, Shared, Trust};

/// How a [`Memo`](crate::Memo) uses the shared tier.
pub struct Sharing<K> {
    /// The tier.
    pub shared: Arc<Shared>,
    /// What is shared. Conclusions are not, where the tier is not trusted with them: the memo is then as one without
    /// a shared tier.
    pub what: What,
    /// Which build makes the values, where builds may differ in what they make of the same; empty where they may not.
    pub build: Arc<str>,
    /// How long a value is kept there that is kept without an end here. At most 30 days, and up to a tenth less than
    /// it says.
    pub lifetime: Duration,
    key: PhantomData<fn(&K)>,
}

/// What kind of thing is shared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum What {
    /// Something that whoever finds it checks again, so that a false one costs time.
    Material,
    /// Something that whoever finds it believes.
    Conclusions,
}

/// A value as it is stored: how it is to be kept, then JSON.
#[derive(Deserialize, Serialize)]
struct Stored<V> {
    /// Whether it is believed without an end, wherever it is found in time.
    lasts: bool,
    value: V,
}

/// A value that was found.
pub(super) struct Found<V> {
    pub(super) value: V,
    /// For how long it is believed; `None` is without an end.
    pub(super) left: Option<Duration>,
}

impl<K: Key> Sharing<K> {
    /// Shared by all in the domain of the tier, whatever the build.
    pub fn new(shared: Arc<Shared>, what: What, lifetime: Duration) -> Self {
        Self { shared, what, build: "".into(), lifetime, key: PhantomData }
    }

    /// The same, made by this build.
    #[must_use]
    pub fn of_build(self, build: impl Into<Arc<str>>) -> Self {
        Self { build: build.into(), ..self }
    }

    /// Whether it may be shared at all.
    pub(super) fn is_trusted(&self) -> bool {
        match (self.what, self.shared.trust()) {
            (What::Material, Trust::Sealed | Trust::Material) | (What::Conclusions, Trust::Sealed) => true,
            (What::Conclusions, Trust::Material) => false,
        }
    }

    pub(super) async fn find<V: DeserializeOwned>(&self, table: &str, key: &K) -> Option<Found<V>> {
        let bytes = KeyBytes::of(key);
        let opened = self.shared.find(self.label(table, &bytes)).await?;
        let stored: Stored<V> = serde_json::from_slice(&opened.value)
            .inspect_err(|error| tracing::debug!(table, %error, "a value of another version"))
            .ok()?;
        let left = (!stored.lasts).then(|| Duration::from_millis(opened.expires.saturating_sub(now())));
        Some(Found { value: stored.value, left })
    }

    /// Shares a value that was made then: for this long, or without an end.
    pub(super) async fn keep<V: Serialize>(
        &self,
        table: &str,
        key: &K,
        value: &V,
        lasts: Option<Duration>,
        made: u64,
    ) {
        let bytes = KeyBytes::of(key);
        let stored = Stored { lasts: lasts.is_none(), value };
        let Ok(stored) = serde_json::to_vec(&stored) else {
            return;
        };
        let lifetime = lasts.unwrap_or_else(|| {
            let lifetime = self.lifetime.min(MAX_LIFETIME);
            lifetime - lifetime.mul_f64(fraction() / 10.0)
        });
        self.shared.keep(self.label(table, &bytes), &stored, lifetime, made).await;
    }

    pub(super) async fn forget(&self, table: &str, key: &K) {
        let bytes = KeyBytes::of(key);
        self.shared.forget(self.label(table, &bytes)).await;
    }

    fn label<'a>(&'a self, table: &'a str, key: &'a KeyBytes) -> Label<'a> {
        Label { domain: self.shared.domain().name(), table, build: &self.build, key: key.as_slice() }
    }
}

impl<K> fmt::Debug for Sharing<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sharing")
            .field("what", &self.what)
            .field("build", &self.build)
            .finish_non_exhaustive()
    }
}
