//! Requests that start nothing, and so are let pass unjudged: what only ends, labels or reports what is there.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::images::{Kinds, Workload};
use super::review::{AdmissionRequest, Operation};

/// Why a request passes without being judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Passing {
    /// An object is deleted.
    Deletion,
    /// Somebody connects to an object that is there.
    Connection,
    /// A part of an object is written that holds no image.
    Part,
    /// An update that leaves everything as it is but labels and the like, or has fewer Pods run.
    StartsNothing,
}

impl Passing {
    /// Every one, for metrics that are there from the start.
    pub(crate) const ALL: [Self; 4] = [Self::Deletion, Self::Connection, Self::Part, Self::StartsNothing];

    /// A stable name, for metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deletion => "deletion",
            Self::Connection => "connection",
            Self::Part => "part",
            Self::StartsNothing => "starts-nothing",
        }
    }

    /// Why a request passes, if it does. Whatever is not known to start nothing is judged.
    pub(super) fn of(request: &AdmissionRequest<'_>, kinds: &Kinds) -> Option<Self> {
        match request.operation {
            Operation::Delete => return Some(Self::Deletion),
            Operation::Connect => return Some(Self::Connection),
            Operation::Create | Operation::Update => {}
        }
        let workload = kinds.of(request);
        match (request.part(), workload) {
            // A binding, an eviction, a scale: another kind than the object that it is a part of.
            ("status" | "scale", _) => return Some(Self::Part),
            (part, None) if !part.is_empty() => return Some(Self::Part),
            (_, _) => {}
        }
        let (Some(workload), Operation::Update) = (workload, request.operation) else { return None };
        let (old, new) = (request.old_object?, request.object?);
        starts_nothing(workload, old.get(), new.get()).then_some(Self::StartsNothing)
    }
}

/// Whether an update changes nothing but what an object is called and how it is, and how many Pods there are at most.
///
/// All else is compared, not images alone: a template that changes in whatever way has new Pods started, as does a Job
/// that is resumed, and a Pod whose last scheduling gate goes.
fn starts_nothing(workload: &Workload, old: &str, new: &str) -> bool {
    let (Ok(old), Ok(new)) =
        (serde_json::from_str::<Members<'_>>(old), serde_json::from_str::<Members<'_>>(new))
    else {
        return false;
    };
    let names = old.0.iter().chain(&new.0).map(|(name, _)| &**name);
    let mut names = names.filter(|name| !matches!(*name, "metadata" | "status"));
    names.all(|name| match (old.member(name), new.member(name)) {
        // The API server writes equal things alike.
        (Some(old), Some(new)) if old == new => true,
        (old, new) => {
            let read = |text: Option<&str>| text.map_or(Ok(Value::Null), serde_json::from_str::<Value>);
            let (Ok(old), Ok(new)) = (read(old), read(new)) else { return false };
            old == new || (name == "spec" && workload.scales() && only_fewer(old, new))
        }
    })
}

/// Whether two specifications differ in that the second wants fewer replicas, and in nothing else.
fn only_fewer(mut old: Value, mut new: Value) -> bool {
    let taken = |spec: &mut Value| spec.as_object_mut()?.remove("replicas")?.as_u64();
    let (Some(before), Some(after)) = (taken(&mut old), taken(&mut new)) else { return false };
    after < before && old == new
}

/// The members of an object, unread.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl Members<'_> {
    fn member(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.get())
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    if members.iter().any(|(known, _)| *known == name) {
                        return Err(serde::de::Error::custom("a member is there twice"));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workload(kind: &str) -> Workload {
        let kinds = Kinds::new(&[]);
        kinds.all().find(|workload| workload.kind() == kind).unwrap().clone()
    }

    #[track_caller]
    fn check(kind: &str, old: &Value, new: &Value, expected: bool) {
        assert_eq!(
            starts_nothing(&workload(kind), &old.to_string(), &new.to_string()),
            expected,
            "{old} {new}"
        );
    }

    fn deployment(replicas: u64, image: &str) -> Value {
        json!({
            "metadata": {"name": "d", "finalizers": ["a"]},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"image": image}]}}},
            "status": {"replicas": 1},
        })
    }

    #[test]
    fn labels_finalizers_status_and_fewer_replicas_start_nothing() {
        let old = deployment(3, "a");
        check("Deployment", &old, &old, true);
        check("Deployment", &old, &deployment(1, "a"), true);
        check("Deployment", &old, &deployment(0, "a"), true);
        let mut new = deployment(1, "a");
        new["metadata"] =
            json!({"name": "d", "labels": {"a": "b"}, "deletionTimestamp": "2026-01-01T00:00:00Z"});
        new["status"] = json!({});
        check("Deployment", &old, &new, true);
        let pod = |gates: Value| json!({"spec": {"schedulingGates": gates, "containers": [{"image": "a"}]}});
        check(
            "Pod",
            &pod(json!(null)),
            &json!({"spec": {"containers": [{"image": "a"}]}, "metadata": {}}),
            false,
        );
        check("Pod", &pod(json!(["a"])), &pod(json!(["a"])), true);
    }

    #[test]
    fn whatever_else_changes_is_judged() {
        let old = deployment(3, "a");
        check("Deployment", &old, &deployment(4, "a"), false);
        check("Deployment", &old, &deployment(2, "b"), false);
        check("Deployment", &old, &deployment(3, "b"), false);
        for (at, value) in [
            ("/spec/template/metadata", json!({"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}})),
            ("/spec/replicas", json!(null)),
            ("/spec/replicas", json!(-1)),
            ("/spec/replicas", json!(2.5)),
            ("/spec/paused", json!(false)),
            ("/other", json!(1)),
        ] {
            let (parent, name) = at.rsplit_once('/').unwrap();
            let mut new = deployment(3, "a");
            new.pointer_mut(parent).unwrap()[name] = value;
            check("Deployment", &old, &new, false);
        }
        // Not every kind means Pods by replicas.
        let job = |replicas| json!({"spec": {"replicas": replicas}});
        check("Job", &job(2), &job(1), false);
        check("Pod", &json!({"spec": {"schedulingGates": [{"name": "a"}]}}), &json!({"spec": {}}), false);
    }

    #[test]
    fn what_cannot_be_read_is_judged() {
        let workload = workload("Deployment");
        for (old, new) in [("{", "{}"), ("{}", "7"), (r#"{"spec": 1, "spec": 2}"#, r#"{"spec": 1}"#)] {
            assert!(!starts_nothing(&workload, old, new), "{old} {new}");
        }
    }
}
