//! What is counted. Handles are registered once; no name, digest or tenant's text is ever a label.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use policies::{Facts, Finding, PolicySet, Verdict};

use crate::admission::{Act, Passing};
use crate::kubernetes::Standing;
use crate::material::MaterialList;
use crate::phase;
use crate::place::Unrouted;
use crate::pull::Kind;
use crate::records::Outcome;
use crate::undecided::Undecided;
use crate::verdicts::Source;

/// Seconds, from a memory's answer to a slow registry's.
const BUCKETS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];

/// Every counter and histogram.
pub struct Metrics {
    pull_seconds: Histogram,
    warm_manifests: Counter,
    mutate_seconds: Histogram,
    validate_seconds: Histogram,
    validate_allowed: Counter,
    verification_seconds: Histogram,
    canary_pulls: Counter,
    canary_reviews: Counter,
    passed: [Counter; Passing::ALL.len()],
}

/// How trust roots from repositories are, in seconds since 1970 where they are times.
pub(crate) struct Trusted {
    /// How many are not there.
    pub(crate) missing: usize,
    /// When the one that was refreshed longest ago was.
    pub(crate) refreshed: Option<i64>,
    /// When the first of the metadata that vouches for any expires.
    pub(crate) expires: Option<i64>,
    /// When the first of them [ends](verify::TrustRoot::ends).
    pub(crate) ends: Option<i64>,
}

/// Installs the process's recorder and gives what renders it. Installing twice keeps the first, which tests rely on.
pub(crate) fn install() -> PrometheusHandle {
    static HANDLE: std::sync::OnceLock<PrometheusHandle> = std::sync::OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let builder = PrometheusBuilder::new();
            let builder = builder
                .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), BUCKETS)
                .unwrap_or_else(|_| PrometheusBuilder::new());
            let recorder = builder.build_recorder();
            let handle = recorder.handle();
            if metrics::set_global_recorder(recorder).is_err() {
                tracing::warn!("another metrics recorder was there first");
            }
            handle
        })
        .clone()
}

/// How often what was measured is put into its histograms.
const TIDYING: Duration = Duration::from_secs(5);

/// Puts what was measured into histograms now and then, until `stop` resolves: every single measurement is held until
/// somebody does, and nobody may ever ask for them.
pub(crate) async fn tidy(measured: PrometheusHandle, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(TIDYING) => measured.run_upkeep(),
        }
    }
}

impl Metrics {
    /// Registers everything with the installed recorder.
    pub fn new() -> Arc<Self> {
        describe();
        Arc::new(Self {
            pull_seconds: histogram!("countersign_pull_seconds"),
            warm_manifests: counter!(
                "countersign_pulls_total", "kind" => Kind::Manifest.as_str(), "status" => "200",
                "source" => Source::Memory.as_str()
            ),
            mutate_seconds: histogram!("countersign_admission_seconds", "act" => Act::Mutate.as_str()),
            validate_seconds: histogram!("countersign_admission_seconds", "act" => Act::Validate.as_str()),
            validate_allowed: counter!(
                "countersign_reviews_total", "act" => Act::Validate.as_str(), "allowed" => "true"
            ),
            verification_seconds: histogram!("countersign_verification_seconds"),
            // There from the start, so that their staying at nought can be seen.
            canary_pulls: counter!("countersign_canary_denials_total", "door" => "pull"),
            canary_reviews: counter!("countersign_canary_denials_total", "door" => "admission"),
            passed: Passing::ALL
                .map(|passing| counter!("countersign_reviews_passed_total", "reason" => passing.as_str())),
        })
    }

    /// A pull was answered.
    pub fn pulled(&self, kind: Kind, status: StatusCode, source: Option<Source>, took: Duration) {
        self.pull_seconds.record(took.as_secs_f64());
        if (kind, status, source) == (Kind::Manifest, StatusCode::OK, Some(Source::Memory)) {
            self.warm_manifests.increment(1);
            return;
        }
        let source = source.map_or("none", Source::as_str);
        let status = status.as_str().to_owned();
        counter!("countersign_pulls_total", "kind" => kind.as_str(), "status" => status, "source" => source)
            .increment(1);
    }

    /// A pull went nowhere.
    pub fn unrouted(&self, why: &Unrouted) {
        match why {
            Unrouted::Canary => self.canary_pulls.increment(1),
            Unrouted::UnknownUpstream(_) | Unrouted::NoUpstream | Unrouted::Contradiction { .. } => {}
        }
    }

    /// A review asked for a canary.
    pub fn canary_reviewed(&self) {
        self.canary_reviews.increment(1);
    }

    /// A review was answered.
    pub fn reviewed(&self, act: Act, allowed: bool, took: Duration) {
        match (act, allowed) {
            (Act::Validate, true) => self.validate_allowed.increment(1),
            (
                Act::Validate | Act::Mutate | Act::ValidatePolicy | Act::DefaultPolicy | Act::ConvertPolicies,
                _,
            ) => {
                let allowed = if allowed { "true" } else { "false" };
                counter!("countersign_reviews_total", "act" => act.as_str(), "allowed" => allowed)
                    .increment(1);
            }
        }
        match act {
            Act::Mutate => self.mutate_seconds.record(took.as_secs_f64()),
            Act::Validate => self.validate_seconds.record(took.as_secs_f64()),
            // Rare, and never what anybody waits for.
            Act::ValidatePolicy | Act::DefaultPolicy | Act::ConvertPolicies => {}
        }
    }

    /// A review passed without being judged.
    pub fn passed(&self, passing: Passing) {
        if let Some(counter) =
            Passing::ALL.iter().position(|known| *known == passing).and_then(|it| self.passed.get(it))
        {
            counter.increment(1);
        }
    }

    /// A review was answered yes because nothing else is to be said, and would have been answered so.
    pub(crate) fn observed(&self, outcome: Outcome) {
        counter!("countersign_observed_reviews_total", "would_be" => outcome.as_str()).increment(1);
    }

    /// A review was answered that is only tried out.
    pub fn tried(&self, act: Act) {
        counter!("countersign_dry_runs_total", "act" => act.as_str()).increment(1);
    }

    /// A review was denied because there were too many: of the gateway, of its namespace, or to be read at all.
    pub fn shed(&self, too_many: &'static str) {
        counter!("countersign_reviews_shed_total", "too_many" => too_many).increment(1);
    }

    /// One piece of material was checked.
    pub fn verified(&self, facts: &Facts, took: Duration) {
        self.verification_seconds.record(took.as_secs_f64());
        let outcome = match &facts.finding {
            Finding::Signed(_) => "signed",
            Finding::Flawed(flaw) => flaw.kind.as_str(),
        };
        counter!("countersign_verifications_total", "outcome" => outcome).increment(1);
    }

    /// An image was judged anew.
    pub fn judged(&self, verdict: &Verdict) {
        let outcome = match verdict {
            Verdict::Allow(allowed) => allowed.ground().as_str(),
            Verdict::Deny(denial) => denial.as_str(),
        };
        counter!("countersign_verdicts_total", "outcome" => outcome).increment(1);
    }

    /// A registry was asked for signatures.
    pub fn discovery(&self, outcome: &Result<Arc<MaterialList>, Undecided>) {
        let outcome = match outcome {
            Ok(list) if list.materials.is_empty() => "none",
            Ok(_) => "found",
            Err(undecided) => undecided.as_str(),
        };
        counter!("countersign_discoveries_total", "outcome" => outcome).increment(1);
    }

    /// A review got no verdict.
    pub fn undecided(&self, undecided: &Undecided) {
        counter!("countersign_undecided_total", "reason" => undecided.as_str()).increment(1);
    }

    /// A repository did not give its trust root.
    pub(crate) fn trust_failed(&self, reason: &'static str) {
        counter!("countersign_trust_refresh_failures_total", "reason" => reason).increment(1);
    }

    /// The repositories were asked.
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit a float for a long time yet")]
    pub(crate) fn trusted(&self, trusted: &Trusted) {
        metrics::gauge!("countersign_trust_roots_missing").set(trusted.missing as f64);
        for (name, seconds) in [
            ("countersign_trust_refreshed_timestamp_seconds", trusted.refreshed),
            ("countersign_trust_metadata_expires_timestamp_seconds", trusted.expires),
            ("countersign_trust_root_ends_timestamp_seconds", trusted.ends),
        ] {
            if let Some(seconds) = seconds {
                metrics::gauge!(name).set(seconds as f64);
            }
        }
    }

    /// How the policies of a cluster stand.
    pub(crate) fn synced(&self, standing: &Standing, heard: Option<SystemTime>) {
        for (name, is) in [
            ("current", *standing == Standing::Current),
            ("stale", matches!(standing, Standing::Stale(..))),
            ("missing", matches!(standing, Standing::Missing(_))),
        ] {
            metrics::gauge!("countersign_policies_standing", "is" => name).set(if is { 1.0 } else { 0.0 });
        }
        if let Some(heard) = heard.and_then(|heard| heard.duration_since(SystemTime::UNIX_EPOCH).ok()) {
            metrics::gauge!("countersign_policies_heard_timestamp_seconds").set(heard.as_secs_f64());
        }
    }

    /// New policies were loaded, or refused.
    pub fn reloaded(&self, outcome: Result<&PolicySet, ()>) {
        if let Ok(policies) = outcome {
            for (name, count) in [
                ("countersign_policies", policies.len()),
                ("countersign_policies_unusable", policies.unusable().count()),
                ("countersign_revocations", policies.revocations().count()),
            ] {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "a gauge is a float, and nobody has 2^52 policies"
                )]
                metrics::gauge!(name).set(count as f64);
            }
        }
        let outcome = if outcome.is_ok() { "loaded" } else { "refused" };
        counter!("countersign_reloads_total", "outcome" => outcome).increment(1);
    }
}

/// Decisions were not written to the file that all are written to.
pub(crate) fn audit_lost(count: u64) {
    counter!("countersign_audit_lost_total").increment(count);
}

/// The secrets that seal what replicas share were read again, or refused.
pub(crate) fn resealed(outcome: &'static str) {
    counter!("countersign_seal_key_reloads_total", "outcome" => outcome).increment(1);
}

fn describe() {
    phase::describe();
    describe_counter!("countersign_tenant_pulls_total", "Pulls of a tenant, by status");
    describe_counter!("countersign_tenant_reviews_total", "Reviews of a tenant, by whether it was let in");
    describe_counter!(
        "countersign_tenant_over_quota_total",
        "Requests of a tenant that were more than its quota"
    );
    describe_counter!("countersign_strangers_total", "Requests at either door that are of no tenant, by why");
    describe_counter!("countersign_seal_key_reloads_total", "Times that changed seal keys were read");
    describe_histogram!(
        "countersign_pull_seconds",
        Unit::Seconds,
        "Time to the response's headers, at the pull door"
    );
    describe_counter!(
        "countersign_pulls_total",
        "Requests at the pull door, by how far back the answer came from"
    );
    describe_counter!(
        "countersign_stale_tags_total",
        "Tags that were taken for what they last meant, because their registry could not be asked"
    );
    describe_counter!("countersign_streams_cut_total", "Downloads that were cut because of a revocation");
    describe_histogram!("countersign_admission_seconds", Unit::Seconds, "Time to answer an admission review");
    describe_counter!("countersign_reviews_total", "Admission reviews answered");
    describe_counter!(
        "countersign_reviews_passed_total",
        "Reviews of requests that start nothing, which pass without being judged"
    );
    describe_counter!(
        "countersign_observed_reviews_total",
        "Reviews answered yes because admission only observes, by what would have been said"
    );
    describe_counter!("countersign_dry_runs_total", "Reviews of requests that are only tried out");
    describe_counter!("countersign_reviews_shed_total", "Reviews denied because too many were under way");
    describe_counter!("countersign_audit_lost_total", "Decisions that could not be written to audit.path");
    describe_histogram!("countersign_verification_seconds", Unit::Seconds, "Time to check one signature");
    describe_counter!("countersign_verifications_total", "Signatures checked, by what came of it");
    describe_counter!("countersign_verdicts_total", "Images judged anew, by verdict");
    describe_counter!("countersign_discoveries_total", "Registries asked for signatures, by what was found");
    describe_counter!("countersign_undecided_total", "Reviews denied because the answer could not be told");
    describe_counter!(
        "countersign_canary_denials_total",
        "Requests for a canary that were denied: the sign that nodes which try to pull it are guarded"
    );
    describe_counter!("countersign_reloads_total", "Times that policies and trust roots were read");
    describe_counter!(
        "countersign_trust_refresh_failures_total",
        "Runs over a trust root's repository that failed"
    );
    metrics::describe_gauge!("countersign_trust_roots_missing", "Trust roots that have not come yet");
    metrics::describe_gauge!(
        "countersign_trust_refreshed_timestamp_seconds",
        "When the trust root that was refreshed longest ago was"
    );
    metrics::describe_gauge!(
        "countersign_trust_metadata_expires_timestamp_seconds",
        "When the first metadata of a trust root's repository expires"
    );
    metrics::describe_gauge!(
        "countersign_trust_root_ends_timestamp_seconds",
        "When the first trust root can vouch for nothing new any more"
    );
    metrics::describe_gauge!(
        "countersign_policies_standing",
        "How the policies of the cluster stand: current, stale because the API server cannot be heard, or missing"
    );
    metrics::describe_gauge!(
        "countersign_policies_heard_timestamp_seconds",
        "When the API server last said which policies there are"
    );
    metrics::describe_gauge!("countersign_policies", "Policies in force");
    metrics::describe_gauge!(
        "countersign_policies_unusable",
        "Policies that deny what they speak of because they cannot be judged by"
    );
    metrics::describe_gauge!("countersign_revocations", "Revocations in force");
}
