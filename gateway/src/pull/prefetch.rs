//! Prefetch: what a node will ask for next, once it was given a manifest.
//!
//! Only what is allowed is fetched, by the same fills that requests share, so that nothing is fetched twice. It is never
//! needed, and yields: where too much is under way, whoever asks next has it fetched.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use oci::{Digest, Manifest, TagOrDigest};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Gate;
use super::blob::fill;
use crate::config::Platform;
use crate::content::{Content, Known};
use crate::place::Place;

/// How many images are fetched ahead at once, and how many blobs of each.
const IMAGES: usize = 2;
const BLOBS: usize = 3;

/// How many images of one index are, whatever it lists.
const OF_INDEX: usize = 4;

/// What is fetched ahead.
pub(crate) struct Prefetch {
    platforms: Arc<[Platform]>,
    places: Arc<Semaphore>,
}

impl Prefetch {
    /// Fetches the images of these platforms; none of any without one.
    pub(crate) fn new(platforms: Vec<Platform>) -> Self {
        Self { platforms: platforms.into(), places: Arc::new(Semaphore::new(IMAGES)) }
    }

    /// Begins to fetch what belongs to a manifest that was allowed just now. Takes microseconds.
    pub(super) fn begin(&self, gate: &Gate, content: &Arc<Content>, place: &Place, known: &Arc<Known>) {
        if self.platforms.is_empty() || known.artefact {
            return;
        }
        let Ok(permit) = self.places.clone().try_acquire_owned() else {
            counted("put-off");
            return;
        };
        counted("begun");
        let ahead =
            Ahead { gate: gate.clone(), content: content.clone(), place: place.clone(), _permit: permit };
        let (known, platforms) = (known.clone(), self.platforms.clone());
        // Detached on purpose: it ends by the upstream's deadlines, and nobody waits for it.
        tokio::spawn(async move { ahead.fetch(&known, &platforms).await });
    }
}

fn counted(outcome: &'static str) {
    metrics::counter!("countersign_prefetches_total", "outcome" => outcome).increment(1);
}

struct Ahead {
    gate: Gate,
    content: Arc<Content>,
    place: Place,
    _permit: OwnedSemaphorePermit,
}

impl Ahead {
    async fn fetch(&self, known: &Known, platforms: &[Platform]) {
        if let Manifest::Image(_) = known.manifest {
            return self.blobs(known).await;
        }
        for image in listed(known.content.bytes(), platforms).into_iter().take(OF_INDEX) {
            let Ok(child) = self.content.manifest(&self.place, image).await else { continue };
            let asked = TagOrDigest::Digest(image);
            if matches!(child.manifest, Manifest::Image(_))
                && self.gate.manifest(&self.place, &asked, &child).await.is_ok()
            {
                self.content.pulled(&child);
                self.blobs(&child).await;
            }
        }
    }

    async fn blobs(&self, known: &Known) {
        let fills = known.manifest.children().map(|child| (child.digest, child.size));
        let fills = stream::iter(fills.collect::<Vec<_>>()).for_each_concurrent(BLOBS, |(digest, size)| async move {
            if let Err(error) = fill(&self.content, &self.place, digest, size).settled().await {
                tracing::debug!(image = %self.place.name, blob = %digest, %error, "a blob could not be fetched ahead");
            }
        });
        fills.await;
    }
}

/// The images that an index lists for these platforms. What is not written as it should be is for none.
fn listed(index: &[u8], platforms: &[Platform]) -> Vec<Digest> {
    #[derive(Deserialize)]
    struct Index {
        #[serde(default)]
        manifests: Vec<Listed>,
    }
    #[derive(Deserialize)]
    struct Listed {
        digest: Digest,
        platform: Option<Platform>,
    }
    let Ok(index) = serde_json::from_slice::<Index>(index) else { return Vec::new() };
    let is_wanted = |listed: &Listed| {
        let of = |platform: &Platform| platforms.iter().any(|wanted| wanted.covers(platform));
        listed.platform.as_ref().is_some_and(of)
    };
    index.manifests.into_iter().filter(is_wanted).map(|listed| listed.digest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_the_platforms_that_are_wanted_are_picked() {
        let digest = |number: u8| Digest::of(&[number]);
        let of = |number, platform: &str| {
            let platform = platform.parse::<Platform>().unwrap();
            serde_json::json!({"digest": digest(number), "platform": {
                "os": platform.os, "architecture": platform.architecture, "variant": platform.variant,
            }})
        };
        let index = serde_json::json!({"manifests": [
            of(1, "linux/amd64"), of(2, "linux/arm64/v8"), of(3, "windows/amd64"), {"digest": digest(4)},
            of(5, "linux/arm/v7"), of(6, "linux/arm/v6"),
        ]});
        let picked = |platforms: &[&str]| {
            let platforms: Vec<Platform> = platforms.iter().map(|text| text.parse().unwrap()).collect();
            listed(index.to_string().as_bytes(), &platforms)
        };
        assert_eq!(picked(&["linux/amd64"]), [digest(1)]);
        assert_eq!(picked(&["linux/arm64"]), [digest(2)]);
        assert_eq!(picked(&["linux/arm/v7", "windows/amd64"]), [digest(3), digest(5)]);
        assert_eq!(listed(b"{}", &["linux/amd64".parse().unwrap()]), []);
        assert_eq!(listed(b"no index", &["linux/amd64".parse().unwrap()]), []);
    }
}
