//! What would have been denied, had it not only been observed: each case once, with how often and where.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use serde_json::{Value, json};

use super::told::time;
use super::{Asked, Came, Outcome, Record, Records, Search};

/// How many cases are told, and of each how many namespaces.
const CASES: usize = 1000;
const NAMESPACES: usize = 20;

struct Case {
    count: usize,
    first: SystemTime,
    last: SystemTime,
    namespaces: BTreeSet<String>,
    /// The newest of its decisions.
    decision: String,
    says: Option<String>,
}

/// Every case in which this gateway would have said no to what was let pass, the most frequent first: by image and reason.
/// As far as records reach back.
pub(crate) fn disagreements(records: &Records) -> Value {
    let (found, _) = records.find(&Search { would_deny: true, ..Search::default() }, usize::MAX);
    let mut cases = BTreeMap::<(String, &'static str), Case>::new();
    for record in &found {
        for (image, reason) in objections(record) {
            let case = cases.entry((image, reason)).or_insert_with(|| Case {
                count: 0,
                first: record.at,
                last: record.at,
                namespaces: BTreeSet::new(),
                decision: record.id.to_string(),
                says: record.message.as_deref().map(str::to_owned),
            });
            case.count += 1;
            case.first = case.first.min(record.at);
            if let Asked::Review(review) = &record.asked {
                case.namespaces.insert(review.namespace.to_string());
            }
        }
    }
    let mut cases: Vec<_> = cases.into_iter().collect();
    cases.sort_by_key(|(_, case)| std::cmp::Reverse(case.count));
    let more = cases.len().saturating_sub(CASES);
    let told = cases.into_iter().take(CASES).map(|((image, reason), case)| {
        let namespaces: Vec<_> = case.namespaces.iter().take(NAMESPACES).collect();
        json!({
            "image": image, "reason": reason, "count": case.count, "first": time(case.first),
            "last": time(case.last), "namespaces": namespaces, "decision": case.decision, "message": case.says,
        })
    });
    json!({"reviews": found.len(), "cases": told.collect::<Vec<_>>(), "more": more})
}

/// The images for which a review would have been denied, and why. The object itself, where it is none of them.
fn objections(record: &Record) -> Vec<(String, &'static str)> {
    let objects = record.images.iter().filter_map(|image| match &image.came {
        Came::Ruled(ruling) if ruling.allows() => None,
        Came::Ruled(ruling) => Some((ruling.subject().to_string(), ruling.reason())),
        came @ (Came::Refused | Came::Undecided { .. }) => Some((image.asked.to_string(), came.reason())),
    });
    let objections: Vec<_> = objects.collect();
    match (&record.asked, objections.is_empty() && record.outcome != Outcome::Allowed) {
        (Asked::Review(review), true) => vec![(format!("{} {}", review.kind, review.name), "object")],
        (_, _) => objections,
    }
}
