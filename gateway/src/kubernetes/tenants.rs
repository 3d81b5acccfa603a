//! Tenants that a cluster keeps as objects, with the Secrets that they name.
//!
//! Here is only what the API server says of them. Whom they make a tenant is told where tenants are; what came of each object
//! is reported back, and written into its status by the replica that leads.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use kube::Client;
use kube::api::DynamicObject;
use serde_json::Value;
use tokio::sync::{Notify, watch as channel};

use super::held::{Held, Key, Object};
use super::kind::Kind;
use super::report::{Reason, Report};
use super::watch::{self, Follower};
use super::{Documents, Standing, stale};

/// The Tenant objects of a cluster.
pub(crate) struct TenantObjects {
    installation: String,
    stale_for: Duration,
    state: Mutex<State>,
    changed: Notify,
    /// A tenant names a Secret that none named before.
    named: Notify,
    pub(super) reports: channel::Sender<Arc<Report>>,
}

struct State {
    held: Held,
    /// Whether all of them were said once, with all that they name.
    settled: bool,
}

/// What the API server says.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Said {
    /// Which tenants there are cannot be told: why.
    Nothing(String),
    /// What was said last goes on: what it names is being looked up.
    Again,
    /// These, with the Secrets that they name.
    All(Documents),
}

impl TenantObjects {
    /// Nothing was said of any yet. They name Secrets of this namespace, and what was said is believed for so long while the
    /// API server cannot be heard.
    pub(crate) fn believed(stale_for: Duration, installation: &str) -> Arc<Self> {
        Arc::new(Self {
            installation: installation.to_owned(),
            stale_for,
            state: Mutex::new(State { held: Held::of(&Kind::TENANTS), settled: false }),
            changed: Notify::new(),
            named: Notify::new(),
            reports: channel::Sender::new(Arc::default()),
        })
    }

    /// Resolves once something else may be said.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What is said now.
    pub(crate) fn said(&self) -> Said {
        let mut state = self.state();
        let (unheard, trouble) = (state.held.unheard(), state.held.trouble_of());
        if !state.settled {
            if unheard.is_some() || trouble.is_some() {
                let why = trouble.unwrap_or_else(|| "no list of them has come".to_owned());
                return Said::Nothing(format!("Tenant objects are not synced: {why}"));
            }
            state.settled = true;
        }
        let standing = trouble.map(|why| {
            let heard = state.held.heard().unwrap_or(SystemTime::UNIX_EPOCH);
            stale("Tenant objects", heard, why, SystemTime::now(), self.stale_for)
        });
        match standing {
            Some(Standing::Missing(why)) => Said::Nothing(why),
            _ if unheard.is_some() => Said::Again,
            _ => Said::All(state.held.documents()),
        }
    }

    /// Why it cannot be told which tenants there are, if so.
    pub(crate) fn untold(&self) -> Option<String> {
        match self.said() {
            Said::Nothing(why) => Some(why),
            Said::Again | Said::All(_) => None,
        }
    }

    /// What came of these: what is wrong with which of them, and whether something that it needs is not there.
    pub(crate) fn report(&self, documents: &Documents, wrong: &[(String, Reason, String)]) {
        self.reports.send_replace(Arc::new(Report::of_tenants(documents, wrong)));
    }

    /// Follows them for ever.
    pub(super) async fn follow(&self, client: &Client) {
        let tenants = Followed { objects: self, kind: Kind::Tenant };
        let secrets = Followed { objects: self, kind: Kind::Secret };
        let apis = [Kind::Tenant, Kind::Secret].map(|kind| kind.everywhere(client, &self.installation));
        let wants = || self.state().held.wants(Kind::Secret);
        tokio::join!(
            watch::follow_all(&tenants, &apis[0]),
            watch::follow_named(&secrets, &apis[1], &self.named, wants)
        );
    }

    /// There is no way to the API server.
    pub(super) fn trouble(&self, why: &str) {
        let mut state = self.state();
        for kind in Kind::TENANTS {
            state.held.trouble(kind, why.to_owned());
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The objects whose status says something else than is so.
    pub(super) fn outdated(&self, report: &Report, now: &str) -> Vec<(Key, Object, Value)> {
        let state = self.state();
        let objects = state.held.with_status().filter_map(|(key, object)| {
            Some((key.clone(), object.clone(), report.status(&key.to_string(), object, now)?))
        });
        objects.collect()
    }

    /// Takes note of the Secrets that tenants name.
    fn name(&self) {
        let mut state = self.state();
        let named: BTreeSet<String> =
            state.held.with_status().flat_map(|(_, object)| named(&object.text)).collect();
        if state.held.want(Kind::Secret, named) {
            self.named.notify_waiters();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The objects of one kind.
struct Followed<'a> {
    objects: &'a TenantObjects,
    kind: Kind,
}

impl Followed<'_> {
    fn changed(&self, changed: bool) {
        if changed && self.kind == Kind::Tenant {
            self.objects.name();
        }
        if changed {
            self.objects.changed.notify_one();
        }
    }
}

impl Follower for Followed<'_> {
    fn called(&self) -> &'static str {
        self.kind.plural()
    }

    fn list(&self, objects: Vec<DynamicObject>) -> Result<(), String> {
        let listed = self.objects.state().held.list(self.kind, objects);
        self.changed(listed.map_err(|error| error.to_string())?);
        Ok(())
    }

    fn put(&self, object: DynamicObject) -> Result<(), String> {
        let put = self.objects.state().held.put(self.kind, object);
        self.changed(put.map_err(|error| error.to_string())?);
        Ok(())
    }

    fn remove(&self, object: &DynamicObject) {
        let removed = self.objects.state().held.remove(self.kind, object);
        self.changed(removed);
    }

    fn heard(&self) {
        let back = self.objects.state().held.hear(self.kind, SystemTime::now());
        self.changed(back);
    }

    fn trouble(&self, why: String) -> bool {
        let new = self.objects.state().held.trouble(self.kind, why);
        self.changed(new);
        new
    }
}

/// The Secrets that a tenant names, wherever it does so: what stands elsewhere than it should is told when it is read.
fn named(text: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(text).unwrap_or_default();
    let callers = document.pointer("/spec/callers").and_then(Value::as_array).into_iter().flatten();
    let logins = callers.filter_map(|caller| caller["credentials"].as_array()).flatten();
    let upstreams = document.pointer("/spec/upstreams").and_then(Value::as_array).into_iter().flatten();
    let shown = upstreams.map(|upstream| &upstream["credentials"]);
    let names = logins.chain(shown).filter_map(|credential| credential["secretRef"]["name"].as_str());
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(kind: Kind, name: &str, data: Value) -> DynamicObject {
        DynamicObject::new(name, &kind.resource()).data(data)
    }

    fn tenant(secret: &str) -> DynamicObject {
        object(
            Kind::Tenant,
            "payments",
            json!({"spec": {"callers": [{"credentials": [{"secretRef": {"name": secret}}]}]}}),
        )
    }

    fn origins(objects: &TenantObjects) -> Vec<String> {
        match objects.said() {
            Said::All(documents) => documents.into_iter().map(|(origin, _)| origin).collect(),
            Said::Nothing(why) => vec![why],
            Said::Again => vec!["again".to_owned()],
        }
    }

    #[test]
    fn tenants_are_said_with_the_secrets_that_they_name_and_what_was_said_goes_on_until_those_come() {
        let objects = TenantObjects::believed(Duration::from_secs(60), "here");
        let tenants = Followed { objects: &objects, kind: Kind::Tenant };
        let secrets = Followed { objects: &objects, kind: Kind::Secret };
        assert_eq!(origins(&objects), ["Tenant objects are not synced: no list of them has come"]);
        tenants.list(vec![tenant("one")]).unwrap();
        tenants.heard();
        assert_eq!(origins(&objects), ["Tenant objects are not synced: no list of them has come"]);
        let secret = |name: &str| {
            object(Kind::Secret, name, json!({"data": {"username": "YQ==", "password": "Yg=="}}))
        };
        secrets.list(vec![secret("one"), secret("another")]).unwrap();
        secrets.heard();
        assert_eq!(origins(&objects), ["Tenant/payments", "Secret/one"]);
        let Said::All(documents) = objects.said() else { panic!() };
        assert!(documents[1].1.contains("YQ=="), "{documents:?}");

        tenants.put(tenant("two")).unwrap();
        assert_eq!(origins(&objects), ["again"]);
        secrets.list(vec![secret("one"), secret("two")]).unwrap();
        assert_eq!(origins(&objects), ["Tenant/payments", "Secret/two"]);
        // What it names is not there, which is said too.
        tenants.put(tenant("three")).unwrap();
        secrets.list(Vec::new()).unwrap();
        assert_eq!(origins(&objects), ["Tenant/payments"]);

        assert!(tenants.trouble("away".to_owned()));
        assert_eq!(origins(&objects), ["Tenant/payments"], "it goes on for a while");
        tenants.heard();
        tenants.remove(&tenant("three"));
        assert_eq!(origins(&objects), Vec::<String>::new());
    }
}
