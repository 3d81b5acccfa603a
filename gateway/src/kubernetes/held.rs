//! What the API server said, by kind, and when it last said anything of a kind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::Documents;
use super::kind::Kind;

/// The most bytes of all objects together, as they are read.
const SIZE_LIMIT: usize = 64 * 1024 * 1024;

/// The most objects of one kind.
const COUNT_LIMIT: usize = 20_000;

/// The objects.
#[derive(Debug)]
pub(crate) struct Held {
    /// Of which kinds.
    kinds: &'static [Kind],
    objects: BTreeMap<Key, Object>,
    size: usize,
    feeds: BTreeMap<Kind, Feed>,
}

/// Which object.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
}

/// One object.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    /// What the parser reads.
    pub(crate) text: Arc<str>,
    pub(crate) generation: i64,
    pub(crate) uid: String,
    /// What was said of it, in the cluster.
    pub(crate) status: Arc<Value>,
}

/// How it is with one kind.
#[derive(Debug, Default)]
struct Feed {
    /// Whether all of them are here.
    listed: bool,
    heard: Option<SystemTime>,
    trouble: Option<String>,
    /// Which are wanted, where not all are.
    named: BTreeSet<String>,
}

/// There is more than may be held.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum TooMuch {
    #[error("there are more than {COUNT_LIMIT} {}", .0.plural())]
    Count(Kind),
    #[error("the objects are larger than {SIZE_LIMIT} bytes together")]
    Size,
}

impl Default for Held {
    fn default() -> Self {
        Self::of(&Kind::POLICIES)
    }
}

impl Held {
    /// None yet, of these kinds.
    pub(crate) fn of(kinds: &'static [Kind]) -> Self {
        Self { kinds, objects: BTreeMap::new(), size: 0, feeds: BTreeMap::new() }
    }

    /// Takes all objects of a kind in place of those that were here. Whether anything changed that is read.
    pub(crate) fn list(&mut self, kind: Kind, objects: Vec<DynamicObject>) -> Result<bool, TooMuch> {
        if objects.len() > COUNT_LIMIT && !kind.is_named() {
            return Err(TooMuch::Count(kind));
        }
        let listed: BTreeMap<Key, Object> =
            objects.into_iter().filter_map(|object| self.read(kind, object)).collect();
        let others = self.objects.iter().filter(|(key, _)| key.kind != kind);
        let size = others.map(|(_, object)| object.text.len()).sum::<usize>()
            + listed.values().map(|object| object.text.len()).sum::<usize>();
        if size > SIZE_LIMIT {
            return Err(TooMuch::Size);
        }
        let before: BTreeMap<Key, Object> = {
            let (before, others) =
                std::mem::take(&mut self.objects).into_iter().partition(|(key, _)| key.kind == kind);
            self.objects = others;
            before
        };
        let same = before.len() == listed.len()
            && before
                .iter()
                .zip(&listed)
                .all(|((one, was), (other, is))| one == other && was.text == is.text);
        self.objects.extend(listed);
        self.size = size;
        let feed = self.feeds.entry(kind).or_default();
        let first = !std::mem::replace(&mut feed.listed, true);
        Ok(!same || first)
    }

    /// Takes one object, new or changed. Whether anything changed that is read.
    pub(crate) fn put(&mut self, kind: Kind, object: DynamicObject) -> Result<bool, TooMuch> {
        let Some((key, object)) = self.read(kind, object) else { return Ok(false) };
        let before = self.objects.get(&key).map_or(0, |before| before.text.len());
        let size = self.size - before + object.text.len();
        let count = self.objects.keys().filter(|held| held.kind == kind).count();
        if size > SIZE_LIMIT {
            return Err(TooMuch::Size);
        }
        if before == 0 && count >= COUNT_LIMIT {
            return Err(TooMuch::Count(kind));
        }
        self.size = size;
        let text = object.text.clone();
        Ok(self.objects.insert(key, object).is_none_or(|before| before.text != text))
    }

    /// Lets go of one object. Whether it was here.
    pub(crate) fn remove(&mut self, kind: Kind, object: &DynamicObject) -> bool {
        let removed = key_of(kind, object).and_then(|key| self.objects.remove(&key));
        if let Some(object) = &removed {
            self.size -= object.text.len();
        }
        removed.is_some()
    }

    /// What of a kind is wanted by name. Whether there are names among them that were not wanted before: then all of them
    /// are to be listed anew.
    pub(crate) fn want(&mut self, kind: Kind, names: BTreeSet<String>) -> bool {
        let feed = self.feeds.entry(kind).or_default();
        let more = !names.is_subset(&feed.named);
        if more {
            feed.listed = false;
        }
        feed.named = names;
        let named = &feed.named;
        self.objects.retain(|key, _| key.kind != kind || named.contains(&key.name));
        self.size = self.objects.values().map(|object| object.text.len()).sum();
        more
    }

    /// Whether any of a kind is wanted.
    pub(crate) fn wants(&self, kind: Kind) -> bool {
        !kind.is_named() || self.feeds.get(&kind).is_some_and(|feed| !feed.named.is_empty())
    }

    /// The API server said something of a kind, if only that nothing changed. Whether there had been trouble.
    pub(crate) fn hear(&mut self, kind: Kind, now: SystemTime) -> bool {
        let feed = self.feeds.entry(kind).or_default();
        feed.heard = Some(now);
        feed.trouble.take().is_some()
    }

    /// The API server says nothing of a kind. Whether that is new.
    pub(crate) fn trouble(&mut self, kind: Kind, why: String) -> bool {
        self.feeds.entry(kind).or_default().trouble.replace(why).is_none()
    }

    /// A kind that was never listed whole, if there is one.
    pub(crate) fn unheard(&self) -> Option<Kind> {
        let mut kinds = self.kinds.iter().copied();
        kinds.find(|kind| self.wants(*kind) && !self.feeds.get(kind).is_some_and(|feed| feed.listed))
    }

    /// Why something of a kind cannot be told, if so.
    pub(crate) fn trouble_of(&self) -> Option<String> {
        let wanted = self.kinds.iter().copied().filter(|kind| self.wants(*kind));
        wanted.filter_map(|kind| self.feeds.get(&kind)?.trouble.clone()).next()
    }

    /// Up to when all that is here is known to be true. A kind of which nothing ever came is not here.
    pub(crate) fn heard(&self) -> Option<SystemTime> {
        let wanted = self.kinds.iter().copied().filter(|kind| self.wants(*kind));
        wanted.filter_map(|kind| self.feeds.get(&kind)?.heard).min()
    }

    /// What the parser reads.
    pub(crate) fn documents(&self) -> Documents {
        self.objects.iter().map(|(key, object)| (key.to_string(), object.text.clone())).collect()
    }

    /// The objects of the kinds that have a status.
    pub(crate) fn with_status(&self) -> impl Iterator<Item = (&Key, &Object)> {
        self.objects.iter().filter(|(key, _)| !key.kind.is_named())
    }

    fn read(&self, kind: Kind, object: DynamicObject) -> Option<(Key, Object)> {
        let key = key_of(kind, &object)?;
        let wanted =
            !kind.is_named() || self.feeds.get(&kind).is_some_and(|feed| feed.named.contains(&key.name));
        wanted.then(|| {
            let status = object.data.get("status").cloned().unwrap_or_default();
            let (generation, uid) = (object.metadata.generation, object.metadata.uid.clone());
            let is_whole = self.kinds.contains(&Kind::Tenant);
            let text = text(&key, object.data, is_whole).into();
            let read = Object {
                text,
                generation: generation.unwrap_or_default(),
                uid: uid.unwrap_or_default(),
                status: Arc::new(status),
            };
            (key, read)
        })
    }
}

fn key_of(kind: Kind, object: &DynamicObject) -> Option<Key> {
    let name = object.metadata.name.clone()?;
    Some(Key { kind, namespace: object.metadata.namespace.clone(), name })
}

/// The object as somebody would write it: what a cluster adds says nothing of images.
fn text(key: &Key, data: Value, is_whole: bool) -> String {
    let mut metadata = json!({"name": key.name});
    if let (Some(namespace), false) = (&key.namespace, key.kind.is_named()) {
        metadata["namespace"] = json!(namespace);
    }
    let mut document =
        json!({"apiVersion": key.kind.api_version(), "kind": key.kind.as_str(), "metadata": metadata});
    let known: &[&str] = if key.kind.is_named() { &["data"] } else { &[] };
    if let (Value::Object(document), Value::Object(data)) = (&mut document, data) {
        let fields = data
            .into_iter()
            .filter(|(field, _)| field != "status" && (known.is_empty() || known.contains(&field.as_str())));
        document.extend(fields);
    }
    if key.kind == Kind::Secret && !is_whole {
        forget(&mut document);
    }
    document.to_string()
}

/// A Secret of several entries is of no use to policies, so none of them is kept: one may be a private key.
fn forget(secret: &mut Value) {
    if let Some(Value::Object(data)) = secret.get_mut("data")
        && data.len() > 1
    {
        data.values_mut().for_each(|entry| *entry = json!(""));
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.namespace {
            Some(namespace) if !self.kind.is_named() => {
                write!(f, "{}/{namespace}/{}", self.kind.as_str(), self.name)
            }
            _ => write!(f, "{}/{}", self.kind.as_str(), self.name),
        }
    }
}

#[cfg(test)]
mod tests;
