//! What is counted of one endpoint. Labels are names from the configuration, and outcomes that there are few of.

use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use oci::Host;

use crate::error::FetchError;
use crate::origin::Origin;
use crate::rate_limit::RateLimit;

/// The counters of one endpoint.
pub(crate) struct Figures {
    upstream: String,
    endpoint: String,
    seconds: Histogram,
    retries: Counter,
    resumed: Counter,
    set_aside: Gauge,
}

impl Figures {
    pub(crate) fn new(host: &Host, endpoint: &Origin) -> Self {
        describe();
        let labels = [("upstream", host.to_string()), ("endpoint", endpoint.to_string())];
        let figures = Self {
            seconds: histogram!("countersign_upstream_seconds", &labels),
            retries: counter!("countersign_upstream_retries_total", &labels),
            resumed: counter!("countersign_upstream_resumed_bodies_total", &labels),
            set_aside: gauge!("countersign_upstream_set_aside", &labels),
            upstream: host.to_string(),
            endpoint: endpoint.to_string(),
        };
        figures.set_aside.set(0.0);
        figures
    }

    /// A request was answered, or not. The answer's status says what it means.
    pub(crate) fn asked(&self, outcome: Result<u16, &FetchError>, took: Duration) {
        self.seconds.record(took.as_secs_f64());
        let outcome = match outcome {
            Ok(200..=399) => "ok",
            Ok(404) => "not-found",
            Ok(401 | 403) => "unauthorized",
            Ok(429) => "throttled",
            Ok(500..) => "unavailable",
            Ok(_) => "refused",
            Err(error) => error.as_str(),
        };
        self.count(outcome);
    }

    /// A request was not made, because the endpoint wants none yet or has enough.
    pub(crate) fn held_back(&self) {
        self.count("held-back");
    }

    fn count(&self, outcome: &'static str) {
        counter!(
            "countersign_upstream_requests_total",
            "upstream" => self.upstream.clone(), "endpoint" => self.endpoint.clone(), "outcome" => outcome
        )
        .increment(1);
    }

    /// A request was made again.
    pub(crate) fn retried(&self) {
        self.retries.increment(1);
    }

    /// A body that broke off went on.
    pub(crate) fn resumed(&self) {
        self.resumed.increment(1);
    }

    /// The endpoint was set aside, or is back.
    pub(crate) fn set_aside(&self, is: bool) {
        self.set_aside.set(if is { 1.0 } else { 0.0 });
    }

    /// The endpoint said how much it will answer. Few do, so those that do not have no such figure.
    pub(crate) fn limited(&self, limit: &RateLimit) {
        let labels = [("upstream", self.upstream.clone()), ("endpoint", self.endpoint.clone())];
        gauge!("countersign_upstream_ratelimit_remaining", &labels).set(limit.remaining as f64);
        if let Some(limit) = limit.limit {
            gauge!("countersign_upstream_ratelimit_limit", &labels).set(limit as f64);
        }
    }
}

fn describe() {
    describe_histogram!(
        "countersign_upstream_seconds",
        Unit::Seconds,
        "Time to the headers of a registry's answer, redirects, tokens, second tries and waiting included"
    );
    describe_counter!("countersign_upstream_requests_total", "Requests to registries, by what came of them");
    describe_counter!("countersign_upstream_retries_total", "Requests to registries that were made again");
    describe_counter!(
        "countersign_upstream_resumed_bodies_total",
        "Blobs that broke off and went on where they had"
    );
    describe_gauge!("countersign_upstream_set_aside", "Whether an endpoint failed and is left alone for now");
    describe_gauge!(
        "countersign_upstream_ratelimit_remaining",
        "How many requests a registry says that it will answer"
    );
    describe_gauge!("countersign_upstream_ratelimit_limit", "Of how many in its window of time");
}
