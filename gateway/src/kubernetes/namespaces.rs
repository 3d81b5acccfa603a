//! Which labels namespaces have, where a tenant is told by them.
//!
//! What was never said of a namespace, or so long ago that it may be another by now, is not told at all: whose the namespace
//! is stays undecided then.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use kube::Client;
use kube::api::{Api, DynamicObject};
use kube::core::ObjectMeta;
use kube::discovery::ApiResource;
use thiserror::Error;
use tokio::sync::Notify;

use super::watch::{self, Follower};
use super::{Standing, stale};

/// The labels of one namespace.
pub(crate) type Labels = BTreeMap<String, String>;

/// How many namespaces there may be.
const COUNT_LIMIT: usize = 50_000;

/// How long whoever asks of a namespace that nothing was said of waits for that: it may have been made a moment ago.
const PATIENCE: Duration = Duration::from_secs(2);

/// The namespaces of a cluster.
pub(crate) struct Namespaces {
    stale_for: Duration,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    labels: HashMap<String, Arc<Labels>>,
    listed: bool,
    heard: Option<SystemTime>,
    trouble: Option<String>,
}

/// Why it cannot be told which labels a namespace has.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{0}")]
pub(crate) struct Untold(String);

impl Namespaces {
    /// Nothing was said of any yet. What was said is believed for so long while the API server cannot be heard.
    pub(crate) fn believed(stale_for: Duration) -> Arc<Self> {
        Arc::new(Self { stale_for, state: Mutex::default(), changed: Notify::new() })
    }

    /// The labels of a namespace.
    ///
    /// # Errors
    /// The API server did not say, or may say something else by now.
    pub(crate) fn labels(&self, namespace: &str) -> Result<Arc<Labels>, Untold> {
        if let Standing::Missing(why) = self.standing() {
            return Err(Untold(why));
        }
        let labels = self.state().labels.get(namespace).cloned();
        labels.ok_or_else(|| Untold("the API server has not said that there is such a namespace".to_owned()))
    }

    /// Waits until something was said of a namespace, for a moment.
    pub(crate) async fn seen(&self, namespace: &str) {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                let nothing_comes = matches!(self.standing(), Standing::Missing(_));
                if nothing_comes || self.state().labels.contains_key(namespace) {
                    return;
                }
                changed.await;
            }
        };
        // Whoever asks for its labels is told why there are none.
        drop(tokio::time::timeout(PATIENCE, waiting).await);
    }

    /// How what is known stands now.
    pub(crate) fn standing(&self) -> Standing {
        let state = self.state();
        match (&state.trouble, state.heard.filter(|_| state.listed)) {
            (None, Some(_)) => Standing::Current,
            (why, None) => {
                let why = why.as_deref().unwrap_or("no list of namespaces has come");
                Standing::Missing(format!("namespaces are not synced: {why}"))
            }
            (Some(why), Some(heard)) => {
                stale("namespaces", heard, why.clone(), SystemTime::now(), self.stale_for)
            }
        }
    }

    /// Follows them for ever.
    pub(super) async fn follow(&self, client: &Client) {
        let resource = ApiResource {
            group: String::new(),
            version: "v1".to_owned(),
            api_version: "v1".to_owned(),
            kind: "Namespace".to_owned(),
            plural: "namespaces".to_owned(),
        };
        watch::follow_all(self, &Api::all_with(client.clone(), &resource)).await;
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower for Namespaces {
    fn called(&self) -> &'static str {
        "namespaces"
    }

    fn list(&self, objects: Vec<DynamicObject>) -> Result<(), String> {
        if objects.len() > COUNT_LIMIT {
            return Err(too_many());
        }
        let labels = objects.into_iter().filter_map(|object| of(object.metadata)).collect();
        self.change(|state| {
            state.labels = labels;
            state.listed = true;
        });
        Ok(())
    }

    fn put(&self, object: DynamicObject) -> Result<(), String> {
        let Some((name, labels)) = of(object.metadata) else { return Ok(()) };
        if self.state().labels.len() >= COUNT_LIMIT {
            return Err(too_many());
        }
        self.change(|state| drop(state.labels.insert(name, labels)));
        Ok(())
    }

    fn remove(&self, object: &DynamicObject) {
        if let Some(name) = &object.metadata.name {
            self.change(|state| drop(state.labels.remove(name)));
        }
    }

    fn heard(&self) {
        self.change(|state| {
            state.heard = Some(SystemTime::now());
            state.trouble = None;
        });
    }

    fn trouble(&self, why: String) -> bool {
        self.state().trouble.replace(why).is_none()
    }
}

fn of(metadata: ObjectMeta) -> Option<(String, Arc<Labels>)> {
    Some((metadata.name?, Arc::new(metadata.labels.unwrap_or_default())))
}

fn too_many() -> String {
    format!("there are more than {COUNT_LIMIT} namespaces")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn namespace(name: &str, team: &str) -> DynamicObject {
        serde_json::from_value(json!({"metadata": {"name": name, "labels": {"team": team}}})).unwrap()
    }

    fn team(namespaces: &Namespaces, name: &str) -> Option<String> {
        namespaces.labels(name).ok().map(|labels| labels["team"].clone())
    }

    #[test]
    fn labels_are_told_as_they_were_said_last_and_only_while_they_can_be_believed() {
        let namespaces = Namespaces::believed(Duration::from_secs(3600));
        assert!(namespaces.trouble("refused".to_owned()), "it is new");
        assert!(!namespaces.trouble("refused".to_owned()));
        let why = namespaces.labels("a").unwrap_err().to_string();
        assert!(why.contains("not synced: refused"), "{why}");

        namespaces.list(vec![namespace("a", "one"), namespace("b", "two")]).unwrap();
        namespaces.heard();
        assert_eq!(team(&namespaces, "a").as_deref(), Some("one"));
        assert_eq!(team(&namespaces, "c"), None);
        namespaces.put(namespace("a", "two")).unwrap();
        namespaces.remove(&namespace("b", "two"));
        assert_eq!((team(&namespaces, "a").as_deref(), team(&namespaces, "b")), (Some("two"), None));
        namespaces.list(vec![namespace("c", "one")]).unwrap();
        assert_eq!((team(&namespaces, "a"), team(&namespaces, "c").as_deref()), (None, Some("one")));

        // While the API server is away what it said goes on for a while.
        namespaces.trouble("away".to_owned());
        assert!(matches!(namespaces.standing(), Standing::Stale(..)));
        assert_eq!(team(&namespaces, "c").as_deref(), Some("one"));
        namespaces.state().heard = Some(SystemTime::now() - Duration::from_secs(7200));
        let why = namespaces.labels("c").unwrap_err().to_string();
        assert!(why.contains("namespaces are too old") && why.contains("away"), "{why}");
        namespaces.heard();
        assert_eq!(team(&namespaces, "c").as_deref(), Some("one"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_that_is_new_is_waited_for_and_not_for_ever() {
        let namespaces = Namespaces::believed(Duration::MAX);
        namespaces.list(Vec::new()).unwrap();
        namespaces.heard();
        let asked = namespaces.clone();
        let waiting = tokio::spawn(async move {
            asked.seen("new").await;
            asked.labels("new").is_ok()
        });
        tokio::task::yield_now().await;
        namespaces.put(namespace("new", "one")).unwrap();
        assert!(waiting.await.unwrap());
        namespaces.seen("never").await;
        assert!(namespaces.labels("never").is_err());
    }
}
