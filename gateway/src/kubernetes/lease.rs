//! A Lease of `coordination.k8s.io`: the right of one replica to do what is to be done once.
//!
//! Nothing that protects anybody depends on it. Clocks of several machines are never compared: a lease is free once its
//! holder did not renew it for as long as it said, by the clock of whoever looks.

use std::time::{Duration, Instant, SystemTime};

use kube::Client;
use kube::api::{Api, DynamicObject, PostParams};
use kube::discovery::ApiResource;
use serde_json::{Value, json};

use super::watch::said;

/// How long a lease holds without being renewed.
const HOLDS: Duration = Duration::from_secs(15);

/// How often it is renewed, or looked at.
const RENEW: Duration = Duration::from_secs(3);

/// How long nobody may have granted it before whoever holds it stops.
const GIVE_UP: Duration = Duration::from_secs(10);

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);

pub(super) struct Lease {
    api: Api<DynamicObject>,
    resource: ApiResource,
    name: &'static str,
    holder: String,
    /// Whose it was last seen to be, when that was renewed by its own clock, and since when that is known here.
    seen: Option<(Value, Instant)>,
}

impl Lease {
    pub(super) fn new(client: &Client, namespace: &str, name: &'static str, holder: String) -> Self {
        let resource = ApiResource {
            group: "coordination.k8s.io".into(),
            version: "v1".into(),
            api_version: "coordination.k8s.io/v1".into(),
            kind: "Lease".into(),
            plural: "leases".into(),
        };
        let api = Api::namespaced_with(client.clone(), namespace, &resource);
        Self { api, resource, name, holder, seen: None }
    }

    /// Resolves once it is ours.
    pub(super) async fn acquired(&mut self) {
        let mut complaint = None;
        loop {
            match self.take().await {
                Ok(true) => return,
                Ok(false) => complaint = None,
                Err(why) => {
                    if complaint.as_ref() != Some(&why) {
                        tracing::warn!(
                            lease = self.name,
                            why,
                            "the lease cannot be had; nobody writes status here"
                        );
                    }
                    complaint = Some(why);
                }
            }
            tokio::time::sleep(RENEW).await;
        }
    }

    /// Renews it, and resolves once it is not ours any more, or nobody can say so.
    pub(super) async fn lost(&mut self) -> String {
        let mut granted = Instant::now();
        loop {
            tokio::time::sleep(RENEW).await;
            match self.take().await {
                Ok(true) => granted = Instant::now(),
                Ok(false) => return "another replica has it".to_owned(),
                Err(why) if granted.elapsed() > GIVE_UP => return why,
                Err(_) => {}
            }
        }
    }

    /// Takes or renews it. Whether it is ours.
    async fn take(&mut self) -> Result<bool, String> {
        tokio::time::timeout(ANSWER, self.ask())
            .await
            .unwrap_or_else(|_| Err("no answer came in time".into()))
    }

    async fn ask(&mut self) -> Result<bool, String> {
        let params = PostParams::default();
        let Some(mut lease) = self.api.get_opt(self.name).await.map_err(said)? else {
            let lease = DynamicObject::new(self.name, &self.resource).data(json!({"spec": self.spec(0)}));
            return granted(self.api.create(&params, &lease).await);
        };
        let spec = lease.data["spec"].take();
        let holder = spec["holderIdentity"].as_str().unwrap_or_default();
        if holder != self.holder && !holder.is_empty() && !self.is_over(&spec) {
            return Ok(false);
        }
        let transitions = spec["leaseTransitions"].as_u64().unwrap_or_default();
        lease.data["spec"] = self.spec(if holder == self.holder { transitions } else { transitions + 1 });
        // The version that was read goes with it: whoever else takes it meanwhile keeps it.
        granted(self.api.replace(self.name, &params, &lease).await)
    }

    /// Whether its holder let it lapse.
    fn is_over(&mut self, spec: &Value) -> bool {
        let now = json!([spec["holderIdentity"], spec["renewTime"]]);
        let holds = spec["leaseDurationSeconds"].as_u64().map_or(HOLDS, Duration::from_secs);
        match &self.seen {
            Some((before, since)) if *before == now => since.elapsed() > holds,
            _ => {
                self.seen = Some((now, Instant::now()));
                false
            }
        }
    }

    fn spec(&self, transitions: u64) -> Value {
        let now = jiff::Timestamp::try_from(SystemTime::now()).unwrap_or_default();
        json!({
            "holderIdentity": self.holder, "leaseDurationSeconds": HOLDS.as_secs(),
            "renewTime": format!("{now:.6}"), "leaseTransitions": transitions,
        })
    }
}

/// Whoever was faster has it.
fn granted(answer: kube::Result<DynamicObject>) -> Result<bool, String> {
    match answer {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(said(error)),
    }
}
