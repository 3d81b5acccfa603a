use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::*;
use crate::decision::Decisions;
use crate::place::Upstreams;
use crate::undecided::Undecided;

fn review(id: &Decisions, namespace: &str, name: &str, outcome: Outcome) -> Record {
    let images = vec![Image {
        path: "spec.containers[0].image".to_owned(),
        asked: "ghcr.io/acme/app:v1".into(),
        took: Duration::from_micros(5),
        came: match outcome {
            Outcome::Undecided => Came::Undecided {
                subject: Some(policies::Subject {
                    name: "ghcr.io/acme/app".parse::<oci::Reference>().unwrap().name().clone(),
                    digest: oci::Digest::of(b"app"),
                }),
                why: Undecided::Deadline,
            },
            Outcome::Allowed | Outcome::Denied => Came::Refused,
        },
    }];
    let review = Review {
        act: "validate",
        uid: "u".into(),
        operation: "CREATE",
        part: "".into(),
        group: "".into(),
        version: "v1".into(),
        kind: "Pod".into(),
        namespace: namespace.into(),
        name: if name.ends_with('-') { "".into() } else { name.into() },
        generate_name: if name.ends_with('-') { name.into() } else { "".into() },
    };
    Record {
        tenant: None,
        id: id.next(),
        at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        took: Duration::from_millis(1),
        asked: Asked::Review(review),
        outcome,
        observed: namespace == "observed",
        message: (outcome != Outcome::Allowed).then(|| "validation failed: b\nc".into()),
        images,
    }
}

fn about(text: &str) -> Search {
    Search { about: Some(Wanted::new(text, &Upstreams::default())), ..Search::default() }
}

#[test]
fn the_newest_are_kept_and_what_is_allowed_never_drives_out_what_was_denied() {
    let (ids, records) = (Decisions::new(1), Records::new(64 * 1024, None));
    records.keep(review(&ids, "shop", "first", Outcome::Denied));
    for _ in 0..1000 {
        records.keep(review(&ids, "shop", "web", Outcome::Allowed));
    }
    let all = records.newest();
    assert!(all.len() > 10 && all.len() < 200, "{}", all.len());
    assert_eq!(records.find(&about("first"), 10).0.len(), 1);
    // The last that was kept is the first that is told.
    assert_eq!(all[0].id.to_string(), "00000001-3e9");
}

#[test]
fn a_decision_is_found_by_its_name_its_object_and_its_image() {
    let (ids, records) = (Decisions::new(7), Records::new(1024 * 1024, None));
    records.keep(review(&ids, "shop", "web", Outcome::Denied));
    records.keep(review(&ids, "other", "web", Outcome::Denied));
    records.keep(review(&ids, "shop", "job-", Outcome::Undecided));
    let digest = oci::Digest::of(b"app").to_string();
    let found = |search: &Search| records.find(search, 10).0.len();
    for (text, count) in [
        ("00000007-1", 1),
        ("00000007-9", 0),
        ("web", 2),
        ("shop/web", 1),
        ("job-x7k2p", 1),
        ("shop/job-x7k2p", 1),
        ("job", 0),
        ("ghcr.io/acme/app:v1", 3),
        ("ghcr.io/acme/app", 1),
        (&digest, 1),
        (&format!("ghcr.io/acme/app@{digest}"), 1),
        ("ghcr.io/acme/app:v2", 0),
        ("ghcr.io/acme/other", 0),
    ] {
        assert_eq!(found(&about(text)), count, "{text}");
    }
    assert_eq!(found(&Search { namespace: Some("other".to_owned()), ..about("web") }), 1);
    assert_eq!(found(&Search { outcome: Some(Outcome::Undecided), ..Search::default() }), 1);
    let (newest, more) = records.find(&Search::default(), 2);
    let ids: Vec<_> = newest.iter().map(|record| record.id.to_string()).collect();
    assert_eq!((ids, more), (vec!["00000007-3".to_owned(), "00000007-2".to_owned()], 1));
}

#[test]
fn what_would_be_denied_is_told_once_with_how_often_and_where() {
    let (ids, records) = (Decisions::new(7), Records::new(1024 * 1024, None));
    for outcome in [Outcome::Denied, Outcome::Denied, Outcome::Undecided, Outcome::Allowed] {
        records.keep(review(&ids, "observed", "web", outcome));
        records.keep(review(&ids, "shop", "web", outcome));
    }
    let report = disagreements(&records);
    assert_eq!(report["reviews"], 3);
    assert_eq!(report["cases"].as_array().unwrap().len(), 2);
    let case = &report["cases"][0];
    assert_eq!((&case["image"], &case["count"]), (&"ghcr.io/acme/app:v1".into(), &2.into()));
    assert_eq!((&case["reason"], &case["namespaces"]), (&"refused".into(), &serde_json::json!(["observed"])));
}

#[test]
fn a_cloud_event_has_what_its_specification_demands() {
    let event = cloud_event(&review(&Decisions::new(7), "shop", "web", Outcome::Denied));
    for required in ["specversion", "id", "source", "type"] {
        assert!(!event[required].as_str().unwrap().is_empty(), "{required}");
    }
    assert_eq!(event["time"], "2027-01-15T08:00:00Z");
    assert_eq!(event["type"], "dev.countersign.policy.decision.denied");
    assert_eq!(event["data"]["images"][0]["path"], "spec.containers[0].image");
}

#[test]
fn the_file_has_a_line_for_each_and_is_begun_anew_at_its_limit() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let ids = Decisions::new(7);
    let lines = |path: &std::path::Path| -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["decision"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    };
    let length =
        told(&review(&Decisions::new(7), "shop", "web", Outcome::Denied)).to_string().len() as u64 + 1;
    let mut file = audit::Writer::open(path.clone(), 3 * length + length / 2, Format::Json).unwrap();
    let (sender, receiver) = std::sync::mpsc::sync_channel(10);
    for _ in 0..4 {
        sender.send(Arc::new(review(&ids, "shop", "web", Outcome::Denied))).unwrap();
    }
    drop(sender);
    file.run(&receiver);
    assert_eq!(lines(&directory.path().join("audit.jsonl.1")), ["00000007-1", "00000007-2", "00000007-3"]);
    assert_eq!(lines(&path), ["00000007-4"]);
    use std::os::unix::fs::MetadataExt as _;
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
}
