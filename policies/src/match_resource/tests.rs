use serde_json::json;

use super::*;
use crate::node;

#[track_caller]
fn check(entry: &str, object: &Admitted, selects: bool) {
    let mut report = Report::default();
    let node = node::documents(entry).unwrap().remove(0);
    let read = MatchResource::read(&Object::of(&node, "m".into(), &mut report).unwrap(), &mut report);
    assert_eq!(report.errors.entries().collect::<Vec<_>>(), [""; 0]);
    assert_eq!(read.selects(object), selects, "{entry}");
}

fn object(group: &str, version: &str, kind: &str, labels: &serde_json::Value) -> Admitted {
    let text = json!({"metadata": {"labels": labels}}).to_string();
    Admitted::new(None, group.into(), version.into(), kind.into(), text)
}

#[test]
fn group_version_and_resource_must_all_be_those_of_the_object() {
    let pod = object("", "v1", "Pod", &json!({}));
    let job = object("batch", "v1", "Job", &json!({}));
    for (entry, of_pod, of_job) in [
        ("{version: v1, resource: pods}", true, false),
        ("{version: '*', resource: pods}", true, false),
        ("{version: v2, resource: pods}", false, false),
        ("{resource: pods}", false, false),
        ("{version: v1}", false, false),
        ("{group: batch, version: v1, resource: jobs}", false, true),
        ("{group: apps, version: v1, resource: jobs}", false, false),
        ("{version: v1, resource: jobs}", false, false),
    ] {
        check(entry, &pod, of_pod);
        check(entry, &job, of_job);
    }
}

#[test]
fn an_entry_that_selects_nothing_is_warned_of() {
    for (entry, missing) in [
        ("{version: v1, resource: pods}", None),
        ("{version: v1}", Some("m.resource")),
        ("{resource: pods}", Some("m.version")),
        ("{group: batch}", Some("m.resource")),
    ] {
        let mut report = Report::default();
        let node = node::documents(entry).unwrap().remove(0);
        MatchResource::read(&Object::of(&node, "m".into(), &mut report).unwrap(), &mut report);
        let warned = report.warnings.first().map(|warning| warning.split(':').next().unwrap());
        assert_eq!(warned, missing, "{entry}");
    }
}

#[test]
fn a_selector_reads_the_labels_of_the_object_itself() {
    let pod = object("", "v1", "Pod", &json!({"app": "web", "tier": "front"}));
    let bare = object("", "v1", "Pod", &serde_json::Value::Null);
    for (selector, labelled, unlabelled) in [
        ("{matchLabels: {app: web}}", true, false),
        ("{matchLabels: {app: web, tier: back}}", false, false),
        ("{matchExpressions: [{key: app, operator: In, values: [api, web]}]}", true, false),
        ("{matchExpressions: [{key: app, operator: NotIn, values: [web]}]}", false, true),
        ("{matchExpressions: [{key: app, operator: Exists}]}", true, false),
        ("{matchExpressions: [{key: app, operator: DoesNotExist}]}", false, true),
        ("{}", true, true),
    ] {
        let entry = format!("{{version: v1, resource: pods, selector: {selector}}}");
        check(&entry, &pod, labelled);
        check(&entry, &bare, unlabelled);
    }
}
