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

/// Follows a kind for ever.
pub(super) async fn follow(cluster: &Cluster, client: &Client, kind: Kind) {
    let api = kind.everywhere(client, &cluster.settings.namespace);
    let mut pause = AGAIN[0];
    loop {
        let named = cluster.named.notified();
        tokio::pin!(named);
        named.as_mut().enable();
        if !cluster.state().held.wants(kind) {
            named.await;
            continue;
        }
        let ended = tokio::select! {
            ended = list_and_watch(cluster, &api, kind, &mut pause) => ended,
            // All that is named now is to be listed.
            () = &mut named, if kind.is_named() => Ok(()),
        };
        if let Err(why) = ended {
            let new = cluster.state().held.trouble(kind, format!("{}: {why}", kind.plural()));
            if new {
                tracing::warn!(kind = kind.as_str(), why, "objects cannot be followed");
                cluster.changed.notify_one();
            }
            tokio::time::sleep(pause).await;
            pause = AGAIN[1].min(pause * 2);
        }
    }
}

/// Lists a kind and watches it, until it has to be listed anew.
async fn list_and_watch(
    cluster: &Cluster,
    api: &Api<DynamicObject>,
    kind: Kind,
    pause: &mut Duration,
) -> Result<(), String> {
    let (objects, mut version) = list(api).await?;
    let changed = cluster.state().held.list(kind, objects).map_err(|error| error.to_string())?;
    heard(cluster, kind, changed);
    *pause = AGAIN[0];
    let params = WatchParams::default().timeout(WATCH);
    loop {
        within(ANSWER, api.list(&ListParams::default().limit(1))).await?.map_err(said)?;
        heard(cluster, kind, false);
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
            let changed = {
                let mut state = cluster.state();
                if is {
                    state.held.put(kind, object).map_err(|error| error.to_string())?
                } else {
                    state.held.remove(kind, &object)
                }
            };
            if changed {
                cluster.changed.notify_one();
            }
        }
    }
}

/// Something came of a kind.
fn heard(cluster: &Cluster, kind: Kind, changed: bool) {
    let back = cluster.state().held.hear(kind, SystemTime::now());
    if changed || back {
        cluster.changed.notify_one();
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
