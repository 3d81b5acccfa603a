//! What one replica does for all: it writes into each object's status what came of it, tells of what changed, and keeps the
//! certificate that all show.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::discovery::ApiResource;
use serde_json::{Value, json};
use tokio::sync::watch as channel;

use super::held::{Key, Object};
use super::lease::Lease;
use super::report::Report;
use super::watch::said;
use super::{Cluster, display, inject};

/// How often all statuses are looked at, besides whenever objects change.
const LOOK: Duration = Duration::from_secs(30);

/// How long writing one may take.
const ANSWER: Duration = Duration::from_secs(5);

/// Leads whenever no other replica does.
pub(super) async fn run(cluster: &Cluster, client: &Client, certifies: bool) {
    let mut lease = Lease::new(client, &cluster.settings.namespace, "countersign", identity());
    loop {
        lease.acquired().await;
        tracing::info!("this replica writes the status of policies");
        let why = tokio::select! {
            why = lease.lost() => why,
            why = write_statuses(&cluster.reports, |report, now| outdated(cluster, report, now), client) => why,
            why = write_tenants(cluster, client) => why,
            () = inject::keep(cluster, client), if certifies => "it keeps certificates no more".to_owned(),
        };
        tracing::warn!(why, "this replica does not write the status of policies any more");
    }
}

/// The replica: the Pod's name, and something of this process.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "countersign".to_owned());
    format!("{host}_{}", std::process::id())
}

async fn write_tenants(cluster: &Cluster, client: &Client) -> String {
    match &cluster.tenants {
        Some(tenants) => {
            write_statuses(&tenants.reports, |report, now| tenants.outdated(report, now), client).await
        }
        None => std::future::pending().await,
    }
}

async fn write_statuses(
    reports: &channel::Sender<Arc<Report>>,
    outdated: impl Fn(&Report, &str) -> Vec<(Key, Object, Value)>,
    client: &Client,
) -> String {
    let mut reports = reports.subscribe();
    loop {
        let report = reports.borrow_and_update().clone();
        let now = display(std::time::SystemTime::now());
        for (key, object, status) in outdated(&report, &now) {
            if let Err(why) = write(client, &key, &object, &status).await {
                tracing::warn!(object = %key, why, "a status could not be written");
            }
        }
        match tokio::time::timeout(LOOK, reports.changed()).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(_)) => return "the gateway is stopping".to_owned(),
        }
    }
}

/// The objects whose status says something else than is so.
fn outdated(cluster: &Cluster, report: &Report, now: &str) -> Vec<(Key, Object, Value)> {
    let state = cluster.state();
    let objects = state.held.with_status().filter_map(|(key, object)| {
        Some((key.clone(), object.clone(), report.status(&key.to_string(), object, now)?))
    });
    objects.collect()
}

async fn write(client: &Client, key: &Key, object: &Object, status: &Value) -> Result<(), String> {
    let resource = key.kind.resource();
    let api: Api<DynamicObject> = match &key.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    // Of this very object, and not of one that took its name.
    let patch = Patch::Merge(json!({"metadata": {"uid": object.uid}, "status": status}));
    let params = PatchParams::default();
    let written = api.patch_status(&key.name, &params, &patch);
    match tokio::time::timeout(ANSWER, written).await {
        Err(_) => return Err("no answer came in time".to_owned()),
        // It is gone, or another one has its name.
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => return Ok(()),
        Ok(written) => written.map_err(said)?,
    };
    let (before, now) = (&object.status["conditions"][0], &status["conditions"][0]);
    if before["status"] != now["status"] || before["message"] != now["message"] {
        tell(client, key, object, now).await?;
    }
    Ok(())
}

/// An Event, for whoever looks with `kubectl describe`.
async fn tell(client: &Client, key: &Key, object: &Object, condition: &Value) -> Result<(), String> {
    let resource = ApiResource {
        group: String::new(),
        version: "v1".into(),
        api_version: "v1".into(),
        kind: "Event".into(),
        plural: "events".into(),
    };
    // Events of what is in no namespace are in this one.
    let namespace = key.namespace.as_deref().unwrap_or("default");
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let now = display(std::time::SystemTime::now());
    let mut event = DynamicObject::new("", &resource).within(namespace).data(json!({
        "involvedObject": {
            "apiVersion": key.kind.api_version(), "kind": key.kind.as_str(), "name": key.name,
            "namespace": key.namespace, "uid": object.uid,
        },
        "type": if condition["status"] == "True" { "Normal" } else { "Warning" },
        "reason": condition["reason"], "message": condition["message"],
        "source": {"component": "countersign"}, "count": 1, "firstTimestamp": now, "lastTimestamp": now,
    }));
    event.metadata.name = None;
    event.metadata.generate_name = Some(format!("{}.", key.name));
    let created = tokio::time::timeout(ANSWER, api.create(&PostParams::default(), &event)).await;
    created.map_err(|_| "no answer came in time".to_owned())?.map(drop).map_err(said)
}
