//! Whose the bytes are that are kept: by what their repositories' manifests name.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use cache::{Beginning, Part, PartStats};
use oci::Digest;
use serde::Serialize;

use super::{Memory, image_of};

/// How often it is counted for the metrics.
const EVERY: Duration = Duration::from_secs(60);

/// How many repositories of an upstream are told of, the largest first.
const REPOSITORIES: usize = 1000;

/// What is kept, and whose it is. Bytes that several have count for each of them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Usage {
    limit: Option<u64>,
    documents: OfPart,
    layers: OfPart,
    upstreams: Vec<OfUpstream>,
    /// The bytes of layers that no manifest is known to name.
    unlinked_bytes: u64,
}

#[derive(Debug, Serialize)]
struct OfPart {
    files: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct OfUpstream {
    tenant: &'static str,
    upstream: String,
    files: u64,
    bytes: u64,
    repositories: Vec<OfRepository>,
    /// How many more repositories there are than are told of.
    more: usize,
}

#[derive(Debug, Serialize)]
struct OfRepository {
    repository: String,
    files: u64,
    bytes: u64,
}

/// The digests that belong to each repository of each upstream.
type Belongings = BTreeMap<String, BTreeMap<String, BTreeSet<Digest>>>;

impl Memory {
    /// What is kept now, and whose it is. Looks through all that is linked: not for every request.
    pub(crate) async fn usage(&self) -> Usage {
        let mut belongings = Belongings::new();
        let mut add = |upstream: String, repository: String, digest| {
            belongings.entry(upstream).or_default().entry(repository).or_default().insert(digest);
        };
        for (scope, child) in self.content.links().children().await {
            if let Ok([_, upstream, repository]) = <[String; 3]>::try_from(scope) {
                add(upstream, repository, child);
            }
        }
        for (name, digest) in
            self.content.members_under(Beginning::of_all()).await.iter().filter_map(image_of)
        {
            add(name.host.to_string(), name.repository.to_string(), digest);
        }
        let (blobs, tenant) = (self.content.blobs().clone(), self.tenant);
        let counted = tokio::task::spawn_blocking(move || {
            let sizes = |digest: &Digest| blobs.size(digest);
            (count(tenant, belongings, sizes), blobs.stats())
        });
        let ((upstreams, linked), stats) = counted.await.unwrap_or_default();
        let blobs = self.content.blobs();
        let layers = |digest: &&Digest| blobs.part(digest) == Some(Part::Layers);
        let linked: u64 = linked.iter().filter(layers).filter_map(|digest| blobs.size(digest)).sum();
        Usage {
            limit: stats.limit,
            documents: stats.documents.into(),
            layers: stats.layers.into(),
            upstreams,
            unlinked_bytes: stats.layers.bytes.saturating_sub(linked),
        }
    }
}

impl From<PartStats> for OfPart {
    fn from(stats: PartStats) -> Self {
        Self { files: stats.files, bytes: stats.bytes }
    }
}

/// How much of what belongs to each is here, and all digests that belong to any.
fn count(
    tenant: &'static str,
    belongings: Belongings,
    size: impl Fn(&Digest) -> Option<u64>,
) -> (Vec<OfUpstream>, BTreeSet<Digest>) {
    let total = |digests: &BTreeSet<Digest>| {
        let sizes = digests.iter().filter_map(&size);
        sizes.fold((0, 0), |(files, bytes), size| (files + 1, bytes + size))
    };
    let mut linked = BTreeSet::new();
    let upstreams = belongings.into_iter().map(|(upstream, repositories)| {
        let mut of = Vec::with_capacity(repositories.len());
        let mut all = BTreeSet::new();
        for (repository, digests) in repositories {
            let (files, bytes) = total(&digests);
            all.extend(digests);
            of.push(OfRepository { repository, files, bytes });
        }
        let (files, bytes) = total(&all);
        linked.extend(all);
        of.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.repository.cmp(&b.repository)));
        let more = of.len().saturating_sub(REPOSITORIES);
        of.truncate(REPOSITORIES);
        OfUpstream { tenant, upstream, files, bytes, repositories: of, more }
    });
    (upstreams.collect(), linked)
}

/// Counts for the metrics, until it is to stop.
pub(crate) async fn count_now_and_then(memory: Memory, stop: impl Future<Output = ()>) {
    metrics::describe_gauge!(
        "countersign_storage_used_bytes",
        metrics::Unit::Bytes,
        "Bytes kept that manifests of an upstream name, looked at once a minute"
    );
    let mut stop = pin!(stop);
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = ticks.tick() => record(&memory.usage().await, &memory),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and no disk has 2^52 bytes")]
fn record(usage: &Usage, memory: &Memory) {
    let used: BTreeMap<_, _> = usage.upstreams.iter().map(|of| (of.upstream.as_str(), of.bytes)).collect();
    // Those that are configured alone: whatever else is remembered of others is no label.
    for host in memory.upstreams.hosts() {
        let bytes = used.get(host.as_str()).copied().unwrap_or_default();
        metrics::gauge!("countersign_storage_used_bytes", "tenant" => memory.tenant, "upstream" => host.to_string())
            .set(bytes as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_repositories_share_counts_once_for_their_upstream() {
        let digest = |number: u8| Digest::of(&[number]);
        let of = |numbers: &[u8]| numbers.iter().copied().map(digest).collect::<BTreeSet<_>>();
        let belongings = Belongings::from([
            (
                "a.example".to_owned(),
                [("one".to_owned(), of(&[1, 2])), ("two".to_owned(), of(&[2, 3, 9]))].into(),
            ),
            ("b.example".to_owned(), [("one".to_owned(), of(&[2]))].into()),
        ]);
        let sizes = |wanted: &Digest| {
            (1..4_u8).find(|number| digest(*number) == *wanted).map(|size| u64::from(size) * 10)
        };
        let (upstreams, linked) = count("default", belongings, sizes);
        let told: Vec<_> = upstreams.iter().map(|of| (of.upstream.as_str(), of.files, of.bytes)).collect();
        assert_eq!(told, [("a.example", 3, 60), ("b.example", 1, 20)]);
        let repositories: Vec<_> =
            upstreams[0].repositories.iter().map(|of| (of.repository.as_str(), of.files, of.bytes)).collect();
        assert_eq!(repositories, [("two", 2, 50), ("one", 2, 30)], "what is not here is no use of it");
        assert_eq!(linked.len(), 4);
    }
}
