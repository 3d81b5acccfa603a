//! Listing a kind of objects and watching it, again and again.
//!
//! Each watch is asked for a short time only, and before each the API server is asked for something that it has to ask its
//! own store for: that it answers is how it is known to be heard, also where nothing changes, where a connection died without
//! a word, and where an API server goes on without its store.

use std::future::Future;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, WatchEvent, WatchParams};
use tokio::sync::Notify;

use super::Cluster;
use super::kind::Kind;
use crate::undecided::with_causes;

/// How long the API server may take to begin an answer, or over one page.
const ANSWER: Duration = Duration::from_secs(10);

/// How long a watch is asked for, in seconds.
const WATCH: u32 = 20;

/// How much longer than asked for a watch may be silent.
const SILENCE: Duration = Duration::from_secs(10);

/// How many objects are asked for at once.
const PAGE: u32 = 500;

/// How long after trouble it is asked again, at first, and at last.
const AGAIN: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(3)];

/// Whoever is told what the API server says of some objects.
pub(super) trait Follower {
    /// What the objects are called.
    fn called(&self) -> &'static str;

    /// These are all of them.
    ///
    /// # Errors
    /// It is more than may be held.
    fn list(&self, objects: Vec<DynamicObject>) -> Result<(), String>;

    /// One is new, or changed.
    ///
    /// # Errors
    /// It is more than may be held.
    fn put(&self, object: DynamicObject) -> Result<(), String>;

    /// One is gone.
    fn remove(&self, object: &DynamicObject);

    /// The API server said something, if only that nothing changed.
    fn heard(&self);

    /// It says nothing: why. Whether that is new.
    fn trouble(&self, why: String) -> bool;
}

/// The objects of one kind that policies are made of, followed by what they are put in force by.
struct Policies<'a> {
    cluster: &'a Cluster,
    kind: Kind,
}

impl Policies<'_> {
    fn changed(&self, changed: bool) {
        if changed {
            self.cluster.changed.notify_one();
        }
    }
}

impl Follower for Policies<'_> {
    fn called(&self) -> &'static str {
        self.kind.plural()
    }

    fn list(&self, objects: Vec<DynamicObject>) -> Result<(), String> {
        let listed = self.cluster.state().held.list(self.kind, objects);
        self.changed(listed.map_err(|error| error.to_string())?);
        Ok(())
    }

    fn put(&self, object: DynamicObject) -> Result<(), String> {
        let put = self.cluster.state().held.put(self.kind, object);
        self.changed(put.map_err(|error| error.to_string())?);
        Ok(())
    }

    fn remove(&self, object: &DynamicObject) {
        let removed = self.cluster.state().held.remove(self.kind, object);
        self.changed(removed);
    }

    fn heard(&self) {
        let back = self.cluster.state().held.hear(self.kind, SystemTime::now());
        self.changed(back);
    }

    fn trouble(&self, why: String) -> bool {
        let new = self.cluster.state().held.trouble(self.kind, why);
        self.changed(new);
        new
    }
}

/// Follows a kind that policies are made of for ever.
pub(super) async fn follow(cluster: &Cluster, client: &Client, kind: Kind) {
    let api = kind.everywhere(client, &cluster.settings.namespace);
    let follower = Policies { cluster, kind };
    if kind.is_named() {
        follow_named(&follower, &api, &cluster.named, || cluster.state().held.wants(kind)).await;
    } else {
        follow_all(&follower, &api).await;
    }
}

/// Follows those objects of a kind that are named for ever. `named` tells that others are, and `wants` whether any is.
pub(super) async fn follow_named(
    follower: &impl Follower,
    api: &Api<DynamicObject>,
    named: &Notify,
    wants: impl Fn() -> bool,
) {
    let mut pause = AGAIN[0];
    loop {
        let named = named.notified();
        tokio::pin!(named);
        named.as_mut().enable();
        if !wants() {
            named.await;
            continue;
        }
        let ended = tokio::select! {
            ended = list_and_watch(follower, api, &mut pause) => ended,
            // All that is named now is to be listed.
            () = &mut named => Ok(()),
        };
        again(follower, ended, &mut pause).await;
    }
}

/// Follows all objects of a kind for ever.
pub(super) async fn follow_all(follower: &impl Follower, api: &Api<DynamicObject>) {
    let mut pause = AGAIN[0];
    loop {
        let ended = list_and_watch(follower, api, &mut pause).await;
        again(follower, ended, &mut pause).await;
    }
}

/// Says what came between, and waits, longer each time.
async fn again(follower: &impl Follower, ended: Result<(), String>, pause: &mut Duration) {
    let Err(why) = ended else { return };
    let kind = follower.called();
    if follower.trouble(format!("{kind}: {why}")) {
        tracing::warn!(kind, why, "objects cannot be followed");
    }
    tokio::time::sleep(*pause).await;
    *pause = AGAIN[1].min(*pause * 2);
}

/// Lists a kind and watches it, until it has to be listed anew.
async fn list_and_watch(
    follower: &impl Follower,
    api: &Api<DynamicObject>,
    pause: &mut Duration,
) -> Result<(), String> {
    let (objects, mut version) = list(api).await?;
    follower.list(objects)?;
    follower.heard();
    *pause = AGAIN[0];
    let params = WatchParams::default().timeout(WATCH);
    loop {
        within(ANSWER, api.list(&ListParams::default().limit(1))).await?.map_err(said)?;
        follower.heard();
        let stream = within(ANSWER, api.watch(&params, &version)).await?.map_err(said)?;
        let mut stream = std::pin::pin!(stream);
        let silence = Duration::from_secs(WATCH.into()) + SILENCE;
        while let Some(event) = within(silence, stream.next()).await? {
            let (is, object) = match event.map_err(said)? {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => (true, object),
                WatchEvent::Deleted(object) => (false, object),
                WatchEvent::Bookmark(bookmark) => {
                    version = bookmark.metadata.resource_version;
                    continue;
                }
                // Too old a version, most likely.
                WatchEvent::Error(status) if status.code == 410 => return Ok(()),
                WatchEvent::Error(status) => return Err(status.message),
            };
            version = object.metadata.resource_version.clone().unwrap_or(version);
            if is {
                follower.put(object)?;
            } else {
                follower.remove(&object);
            }
        }
    }
}

/// All objects, as they are now, and the version to watch from.
async fn list(api: &Api<DynamicObject>) -> Result<(Vec<DynamicObject>, String), String> {
    let mut objects = Vec::new();
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = within(ANSWER, api.list(&params)).await?.map_err(said)?;
        objects.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok((objects, page.metadata.resource_version.unwrap_or_default())),
        }
    }
}

async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Result<T, String> {
    tokio::time::timeout(time, work).await.map_err(|_| format!("nothing was heard for {} s", time.as_secs()))
}

/// What an error comes to, for a person.
pub(super) fn said(error: kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        let of_none = status.details.as_ref().is_none_or(|details| details.name.is_empty());
        if status.code == 404 && of_none {
            return "the cluster has no such kind: apply what `countersign crds` prints".to_owned();
        }
        return status.message;
    }
    with_causes(&error)
}
