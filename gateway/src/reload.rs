//! Policies and trust roots that change while the gateway runs: all of a change, or nothing and a complaint.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::config::Config;
use crate::metrics::Metrics;
use crate::rules::Rules;
use crate::trust::Repositories;

/// How often the files are read. They are small, and unlike a watch a read misses no change, whatever the file system.
const INTERVAL: Duration = Duration::from_secs(5);

/// Reads the rules again and again until `stop` resolves, and puts them in force where they changed and are right; at once where a trust
/// root has come.
pub(crate) async fn watch(
    config: Config,
    rules: Arc<ArcSwap<Rules>>,
    repositories: Arc<Repositories>,
    metrics: Arc<Metrics>,
    stop: impl Future<Output = ()>,
) {
    tokio::pin!(stop);
    let config = Arc::new(config);
    let mut complaint = None;
    loop {
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(INTERVAL) => {}
            () = repositories.arrived() => {}
        }
        let (config, followed) = (config.clone(), repositories.clone());
        let Ok(loaded) = tokio::task::spawn_blocking(move || Rules::load(&config, &followed)).await else {
            continue;
        };
        complaint = match loaded {
            Ok(loaded) => {
                replace(&rules, loaded, &metrics);
                None
            }
            Err(error) => complain(error.to_string(), complaint.as_ref(), &metrics),
        };
    }
}

fn replace(rules: &ArcSwap<Rules>, loaded: Rules, metrics: &Metrics) {
    if loaded.revision() == rules.load().revision() {
        return;
    }
    metrics.reloaded(Ok(loaded.policies.len()));
    tracing::info!(policies = loaded.policies.len(), revision = %loaded.revision(), "new rules are in force");
    rules.store(Arc::new(loaded));
}

/// Says once what is wrong, not every five seconds.
fn complain(error: String, before: Option<&String>, metrics: &Metrics) -> Option<String> {
    if before != Some(&error) {
        metrics.reloaded(Err(()));
        tracing::error!(%error, "the new rules are refused, those before them stay in force");
    }
    Some(error)
}
