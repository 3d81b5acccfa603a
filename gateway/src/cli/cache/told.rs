//! What the gateway answered, for a person. The names in it were chosen by strangers.

use policies::printable;
use serde_json::Value;

/// What may be forgotten, as the answer calls it, and a person one of it and more.
const FORGOTTEN: [(&str, &str, &str); 6] = [
    ("lists", "list of signatures", "lists of signatures"),
    ("verdicts", "verdict", "verdicts"),
    ("tags", "tag", "tags"),
    ("links", "link", "links"),
    ("facts", "fact", "facts"),
    ("blobs", "blob", "blobs"),
];

/// One line for each table.
pub(super) fn summary(summary: &Value) -> Vec<String> {
    let line = |table: &Value| {
        let (name, of) = (text(&table["table"]), |key: &str| number(&table[key]));
        format!("{name}: {} in memory, {} bytes, {} evicted", of("entries"), of("bytes"), of("evictions"))
    };
    all(&summary["tables"]).map(line).collect()
}

/// One line for each thing that is remembered.
pub(super) fn report(report: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for tag in all(&report["tags"]) {
        lines.push(format!("tag {}: {} {}", text(&tag["tag"]), text(&tag["digest"]), tiers(tag)));
    }
    for image in all(&report["images"]) {
        lines.push(text(&image["image"]));
        lines.extend(of_image(image).into_iter().map(|line| format!("  {line}")));
    }
    match report["more"].as_u64() {
        None | Some(0) => {}
        Some(more) => lines.push(format!("and {more} more")),
    }
    lines
}

fn of_image(image: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for list in all(&image["lists"]) {
        let count = all(&list["materials"]).count();
        let prefix = list["tagPrefix"].as_str().map(|prefix| format!(" by tags of {}", printable(prefix)));
        let (prefix, age) = (prefix.unwrap_or_default(), number(&list["ageSeconds"]));
        lines.push(format!("{} found {age} s ago{prefix} {}", counted(count, "signature"), tiers(list)));
    }
    for signature in all(&image["signatures"]) {
        let by = match (signer(&signature["signer"]), signature["flaw"].as_str()) {
            (Some(signer), _) => format!("signed by {signer}"),
            (None, flaw) => format!("vouches for nothing: {}", flaw.unwrap_or("unknown")),
        };
        lines.push(format!("{}: {by} {}", text(&signature["material"]), tiers(signature)));
    }
    for verdict in all(&image["verdicts"]) {
        let ends = verdict["endsInSeconds"].as_u64().map(|left| format!(", for {left} s more"));
        let past =
            if verdict["inForce"] == Value::Bool(false) { ", under rules that are no more" } else { "" };
        let (says, reason) = (text(&verdict["verdict"]), text(&verdict["reason"]));
        lines.push(format!("verdict: {says} ({reason}){}{past} [memory]", ends.unwrap_or_default()));
    }
    for parent in all(&image["parents"]) {
        lines.push(format!("listed by {} {}", text(&parent["digest"]), tiers(parent)));
    }
    if let Value::Object(_) = image["manifest"] {
        let of = |key: &str| number(&image["manifest"][key]);
        let (held, blobs, bytes) = (of("held"), of("blobs"), of("bytes"));
        lines.push(format!("manifest at hand; {held} of {blobs} blobs held, {bytes} bytes"));
    }
    if lines.is_empty() {
        lines.push("nothing is remembered".to_owned());
    }
    lines
}

/// What was forgotten here.
pub(super) fn purged(purged: &Value) -> String {
    let count = |(key, one, many): &(&str, &str, &str)| match number(&purged[*key]) {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {many}")),
    };
    let counts: Vec<_> = FORGOTTEN.iter().filter_map(count).collect();
    if counts.is_empty() {
        return "nothing was remembered here; the other replicas forget all the same".to_owned();
    }
    format!("forgotten: {}", counts.join(", "))
}

/// Whether there was nothing to be forgotten here.
pub(super) fn is_nothing(purged: &Value) -> bool {
    FORGOTTEN.iter().all(|(key, ..)| number(&purged[*key]) == 0)
}

fn signer(signer: &Value) -> Option<String> {
    let certificate = &signer["certificate"];
    if let Value::Object(_) = certificate {
        let subjects: Vec<_> = all(&certificate["subjects"]).map(text).collect();
        return Some(format!("{} ({})", subjects.join(", "), text(&certificate["issuer"])));
    }
    signer["key"].as_str().map(|key| format!("the key {}", printable(key)))
}

fn tiers(of: &Value) -> String {
    let tiers: Vec<_> = all(&of["tiers"]).map(text).collect();
    format!("[{}]", tiers.join(", "))
}

fn counted(count: usize, name: &str) -> String {
    match count {
        0 => format!("no {name}"),
        1 => format!("1 {name}"),
        many => format!("{many} {name}s"),
    }
}

fn all(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn text(value: &Value) -> String {
    printable(value.as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_is_a_line_for_each_thing_and_no_letter_that_moves_the_cursor() {
        let told = report(&json!({
            "tags": [{"tag": "v1", "digest": "sha256:1", "tiers": ["memory", "redis"]}],
            "images": [{
                "image": "a.example/app@sha256:1",
                "lists": [{"materials": ["sha256:2"], "ageSeconds": 7, "tiers": ["disk"]}],
                "signatures": [
                    {"material": "sha256:2", "tiers": [], "signer":
                        {"certificate": {"issuer": "https://issuer", "subjects": ["me\u{1b}[2J"]}}},
                    {"material": "sha256:3", "tiers": [], "flaw": "signature"},
                ],
                "verdicts": [{"verdict": "deny", "reason": "unsigned", "inForce": false, "endsInSeconds": 3}],
                "parents": [{"digest": "sha256:4", "tiers": ["memory"]}],
                "manifest": {"blobs": 3, "held": 2, "bytes": 10},
            }],
            "more": 2,
        }))
        .join("\n");
        for line in [
            "tag v1: sha256:1 [memory, redis]",
            "  1 signature found 7 s ago [disk]",
            "(https://issuer)",
            "  sha256:3: vouches for nothing: signature",
            "  verdict: deny (unsigned), for 3 s more, under rules that are no more [memory]",
            "  listed by sha256:4 [memory]",
            "2 of 3 blobs held, 10 bytes",
            "and 2 more",
        ] {
            assert!(told.contains(line), "{line:?} is not in {told}");
        }
        assert!(!told.contains('\u{1b}'), "{told:?}");
    }

    #[test]
    fn what_was_forgotten_is_counted() {
        let nothing = json!({"lists": 0, "verdicts": 0, "told": true});
        assert!(is_nothing(&nothing) && purged(&nothing).contains("nothing"));
        let some = json!({"lists": 2, "verdicts": 1, "told": true});
        assert_eq!(purged(&some), "forgotten: 2 lists of signatures, 1 verdict");
        assert!(!is_nothing(&some));
    }
}
