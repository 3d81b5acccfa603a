//! Figures that are kept where they arise, and read when somebody asks for metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cache::{
    BlobStats, BreakerState, BucketStats, FlightStats, Latency, MemoStats, MemoryStats, Shared, SharedStats,
};
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use crate::core::Core;
use crate::tenants::Tenants;

/// Whoever keeps figures.
pub(crate) struct Figures {
    tenants: Arc<Tenants>,
    shared: Option<Arc<Shared>>,
}

impl Figures {
    /// The figures of all who are served.
    pub(crate) fn new(tenants: Arc<Tenants>, shared: Option<Arc<Shared>>) -> Self {
        describe();
        Self { tenants, shared }
    }

    /// Hands them to the recorder: of several tenants the sums of those for whom there is something in memory.
    pub(crate) fn record(&self) {
        let live = self.tenants.live();
        let (mut lookups, mut entries) = (BTreeMap::new(), BTreeMap::new());
        let (mut flights, mut begun, mut put_off) = (BTreeMap::new(), 0, 0);
        for served in &live {
            let Core { content, verdicts, renewals, .. } = served.core();
            for (table, stats) in content.stats().into_iter().chain(verdicts.stats()) {
                add_lookups(lookups.entry(table).or_default(), &stats);
            }
            for (table, stats) in content.held().into_iter().chain(verdicts.held()) {
                add_entries(entries.entry(table).or_default(), &stats);
            }
            for (work, stats) in content.flights().into_iter().chain(verdicts.flights()) {
                let sum: &mut FlightStats = flights.entry(work).or_default();
                sum.led += stats.led;
                sum.followed += stats.followed;
            }
            let renewals = renewals.stats();
            begun += renewals.begun;
            put_off += renewals.put_off;
        }
        lookups.into_iter().for_each(|(table, stats)| looked_up(table, stats));
        entries.into_iter().for_each(|(table, stats)| held(table, stats));
        flights.into_iter().for_each(|(work, stats)| flown(work, stats));
        kept(&self.tenants.everybody().core().content.blobs().stats());
        if let Some(bucket) = self.tenants.everybody().core().content.blobs().bucket() {
            shared_bytes(&bucket.stats());
        }
        for (outcome, count) in [("begun", begun), ("put-off", put_off)] {
            counter!("countersign_renewals_total", "outcome" => outcome).absolute(count);
        }
        if let Some(shared) = &self.shared {
            asked(&shared.stats());
        }
    }

    /// How long the shared store's answers took, as a histogram in the text format of Prometheus: the recorder takes
    /// only one answer at a time.
    pub(crate) fn latency(&self) -> String {
        self.shared.as_ref().map(|shared| histogram(&shared.stats().latency)).unwrap_or_default()
    }
}

fn add_lookups(sum: &mut MemoStats, stats: &MemoStats) {
    sum.memory += stats.memory;
    sum.disk += stats.disk;
    sum.shared += stats.shared;
    sum.misses += stats.misses;
}

fn add_entries(sum: &mut MemoryStats, stats: &MemoryStats) {
    sum.entries += stats.entries;
    sum.bytes += stats.bytes;
    sum.evictions += stats.evictions;
}

fn looked_up(table: &'static str, stats: MemoStats) {
    let tiers =
        [("memory", stats.memory), ("disk", stats.disk), ("redis", stats.shared), ("none", stats.misses)];
    for (tier, count) in tiers {
        counter!("countersign_cache_lookups_total", "table" => table, "tier" => tier).absolute(count);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and no memory has 2^52 bytes")]
fn held(table: &'static str, stats: MemoryStats) {
    gauge!("countersign_cache_entries", "table" => table).set(stats.entries as f64);
    gauge!("countersign_cache_bytes", "table" => table).set(stats.bytes as f64);
    counter!("countersign_cache_evictions_total", "table" => table).absolute(stats.evictions);
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and no disk has 2^52 bytes")]
fn kept(stats: &BlobStats) {
    for (part, of) in [("documents", stats.documents), ("layers", stats.layers)] {
        gauge!("countersign_storage_bytes", "part" => part).set(of.bytes as f64);
        gauge!("countersign_storage_files", "part" => part).set(of.files as f64);
        counter!("countersign_storage_evictions_total", "part" => part).absolute(of.evictions);
    }
    if let Some(limit) = stats.limit {
        gauge!("countersign_storage_limit_bytes").set(limit as f64);
    }
    gauge!("countersign_storage_pinned").set(stats.pinned as f64);
    gauge!("countersign_fills_under_way").set(stats.under_way as f64);
    for (outcome, count) in [("filled", stats.filled), ("joined", stats.joined), ("failed", stats.failed)] {
        counter!("countersign_fills_total", "outcome" => outcome).absolute(count);
    }
    counter!("countersign_fill_bytes_total").absolute(stats.filled_bytes);
    counter!("countersign_storage_hashed_again_total").absolute(stats.hashed_again);
    counter!("countersign_storage_changed_total").absolute(stats.changed);
    counter!("countersign_storage_unkept_total").absolute(stats.unkept);
    counter!("countersign_storage_disk_failures_total").absolute(stats.disk_failures);
}

fn shared_bytes(stats: &BucketStats) {
    let outcomes = [
        ("hit", stats.hits),
        ("miss", stats.misses),
        ("failed", stats.failed),
        ("spared", stats.spared),
        ("wrong", stats.wrong),
        ("stored", stats.stored),
        ("unstored", stats.unstored),
    ];
    for (outcome, count) in outcomes {
        counter!("countersign_object_store_total", "outcome" => outcome).absolute(count);
    }
}

fn flown(work: &'static str, stats: FlightStats) {
    for (part, count) in [("led", stats.led), ("followed", stats.followed)] {
        counter!("countersign_flights_total", "work" => work, "part" => part).absolute(count);
    }
}

fn asked(stats: &SharedStats) {
    let outcomes = [
        ("hit", stats.hits),
        ("miss", stats.misses),
        ("stored", stats.stored),
        ("oversized", stats.oversized),
        ("purged", stats.purged),
        ("late", stats.late),
        ("failed", stats.failed),
        ("spared", stats.spared),
    ];
    for (outcome, count) in outcomes {
        counter!("countersign_redis_questions_total", "outcome" => outcome).absolute(count);
    }
    let reasons =
        [("broken", stats.seals_broken), ("unknown", stats.seals_unknown), ("expired", stats.seals_expired)];
    for (reason, count) in reasons {
        counter!("countersign_redis_seal_failures_total", "reason" => reason).absolute(count);
    }
    let parts =
        [("held", stats.leases.held), ("awaited", stats.leases.awaited), ("alone", stats.leases.alone)];
    for (part, count) in parts {
        counter!("countersign_leases_total", "part" => part).absolute(count);
    }
    counter!("countersign_redis_breaker_openings_total").absolute(stats.openings);
    counter!("countersign_purges_total").absolute(stats.purges);
    for (state, name) in [
        (BreakerState::Closed, "closed"),
        (BreakerState::HalfOpen, "half-open"),
        (BreakerState::Open, "open"),
    ] {
        let is_so = f64::from(u8::from(stats.breaker == state));
        gauge!("countersign_redis_breaker_state", "state" => name).set(is_so);
    }
    let asks = match stats.breaker {
        BreakerState::Closed => 1.0,
        BreakerState::HalfOpen | BreakerState::Open => 0.0,
    };
    gauge!("countersign_redis_up").set(asks);
    gauge!("countersign_redis_listening").set(if stats.listening { 1.0 } else { 0.0 });
}

fn histogram(latency: &Latency) -> String {
    let name = "countersign_redis_answer_seconds";
    let within = |(bound, count): (&u64, u64)| {
        let bound = Duration::from_micros(*bound).as_secs_f64();
        format!("{name}_bucket{{le=\"{bound}\"}} {count}\n")
    };
    let buckets = Latency::BOUNDS.iter().zip(latency.within).map(within).collect::<Vec<_>>().concat();
    let (count, sum) = (latency.count, latency.sum.as_secs_f64());
    format!(
        "# HELP {name} Time to an answer of Redis\n# TYPE {name} histogram\n{buckets}\
         {name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {sum}\n{name}_count {count}\n"
    )
}

fn describe_storage() {
    describe_counter!(
        "countersign_object_store_total",
        "Blobs that the object store was asked for, and given, by what came of it"
    );
    describe_gauge!("countersign_storage_bytes", Unit::Bytes, "Bytes of content that are kept");
    describe_gauge!("countersign_storage_files", "Files of content that are kept");
    describe_gauge!("countersign_storage_limit_bytes", Unit::Bytes, "The most bytes that are kept");
    describe_gauge!(
        "countersign_storage_pinned",
        "Digests that make no room, because pulls of them are under way"
    );
    describe_gauge!("countersign_fills_under_way", "Blobs on their way from their registries");
    describe_counter!("countersign_storage_evictions_total", "Files that made room for others");
    describe_counter!(
        "countersign_fills_total",
        "Blobs that arrived and were right, requests that joined one under way, and fills that failed"
    );
    describe_counter!(
        "countersign_fill_bytes_total",
        Unit::Bytes,
        "Bytes of blobs that came from registries"
    );
    describe_counter!(
        "countersign_storage_hashed_again_total",
        "Files that were hashed before they were believed, because this process had not written them"
    );
    describe_counter!(
        "countersign_storage_changed_total",
        "Files that were not what they should be, and were removed"
    );
    describe_counter!("countersign_storage_unkept_total", "Content that was right and could not be kept");
    describe_counter!(
        "countersign_storage_disk_failures_total",
        "Times that the disk had no room, or failed"
    );
    describe_counter!(
        "countersign_passed_through_total",
        "Blobs that were fetched for one request and kept nowhere, because the disk took nothing"
    );
    describe_counter!(
        "countersign_prefetches_total",
        "Images fetched ahead, or put off because too many were"
    );
}

fn describe() {
    describe_storage();
    describe_counter!("countersign_cache_lookups_total", "Things looked for, by the tier that had them");
    describe_gauge!("countersign_cache_entries", "Entries in memory");
    describe_gauge!(
        "countersign_cache_bytes",
        Unit::Bytes,
        "Bytes that the entries in memory are taken to have"
    );
    describe_counter!(
        "countersign_cache_evictions_total",
        "Entries that made room in memory for others, or found none"
    );
    describe_counter!(
        "countersign_renewals_total",
        "Things in use that were renewed before they ended, or that were left to whoever asks next"
    );
    describe_counter!("countersign_purges_total", "Purges carried out, of one table each, by any replica");
    describe_gauge!("countersign_redis_breaker_state", "1 for the state that the breaker of Redis is in");
    describe_counter!("countersign_flights_total", "Work begun, and requests that waited for work under way");
    describe_counter!("countersign_redis_questions_total", "Questions to Redis, by what came of them");
    describe_counter!(
        "countersign_redis_seal_failures_total",
        "Values in Redis that were not believed; broken ones mean that somebody writes there who should not"
    );
    describe_counter!(
        "countersign_leases_total",
        "Discoveries as the one in the fleet, awaited of another replica, or done alone because nobody could tell"
    );
    describe_counter!("countersign_redis_breaker_openings_total", "Times that Redis began to be left alone");
    describe_gauge!("countersign_redis_up", "Whether Redis answers and is asked");
    describe_gauge!("countersign_redis_listening", "Whether purges by other replicas arrive at once");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_in_seconds_and_ends_with_everything() {
        let latency = Latency { within: [1; 10], count: 3, sum: Duration::from_millis(1500) };
        let text = histogram(&latency);
        assert!(text.contains("_bucket{le=\"0.0001\"} 1\n"), "{text}");
        assert!(text.contains("_bucket{le=\"0.25\"} 1\n"), "{text}");
        assert!(text.contains("_bucket{le=\"+Inf\"} 3\n"), "{text}");
        assert!(text.contains("_sum 1.5\n") && text.contains("_count 3\n"), "{text}");
    }
}
