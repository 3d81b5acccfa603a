//! Looking at what is remembered, tier by tier, without bringing any of it nearer: for whoever asks why.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Memo;
use crate::blocking::blocking;
use crate::{Beginning, Key, KeyBytes};

/// What each tier has for one key.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Look<V> {
    /// What is in memory, and still believed.
    pub memory: Option<V>,
    /// What is on disk.
    pub disk: Option<V>,
    /// What is in the shared tier, and still believed.
    pub shared: Option<V>,
}

/// Where something is remembered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Presence {
    /// In memory, and still believed.
    pub memory: bool,
    /// On disk, or nobody can tell.
    pub disk: bool,
    /// In the shared tier, and still believed.
    pub shared: bool,
}

impl<K: Key, V: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> Memo<K, V> {
    /// Every key that begins so, in memory or on disk, encoded. For whoever asks what there is.
    pub async fn keys_under(&self, beginning: Beginning) -> Vec<KeyBytes> {
        let store = self.store.clone();
        blocking(move || store.keys_under(&beginning)).await.unwrap_or_default()
    }

    /// What each tier has for this key, without bringing it nearer. For whoever asks why.
    pub async fn look(&self, key: &K) -> Look<V> {
        let memory = self.store.find_in_memory(key);
        let disk = match self.store.index.clone() {
            Some(index) => {
                let (store, key) = (self.store.clone(), key.clone());
                blocking(move || store.look_below(&index, &key)).await.flatten()
            }
            None => None,
        };
        let shared = match &self.store.sharing {
            Some(sharing) => sharing.find::<V>(self.store.table.name, key).await.map(|found| found.value),
            None => None,
        };
        Look { memory, disk, shared }
    }

    /// Where something is remembered for this key, without bringing it nearer. For whoever asks why.
    pub async fn inspect(&self, key: &K) -> Presence {
        let memory = self.store.find_in_memory(key).is_some();
        let disk = match self.store.index.clone() {
            Some(index) => {
                let (table, key) = (self.store.table, KeyBytes::of(key));
                blocking(move || index.may_have(table, key.as_slice())).await.unwrap_or(false)
            }
            None => false,
        };
        let shared = match &self.store.sharing {
            Some(sharing) => sharing.find::<V>(self.store.table.name, key).await.is_some(),
            None => false,
        };
        Presence { memory, disk, shared }
    }
}
