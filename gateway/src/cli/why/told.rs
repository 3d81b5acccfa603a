//! What the gateway answered, for a person. The names in it were chosen by strangers.

use policies::printable;
use serde_json::Value;

/// Each decision, and what came of each of its images.
pub(super) fn decisions(report: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for decision in all(&report["decisions"]) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(of_decision(decision));
    }
    match report["more"].as_u64() {
        None | Some(0) => {}
        Some(more) => lines.push(format!("and {more} older: --limit shows more")),
    }
    lines
}

/// One line for each case, and what a person would have been told.
pub(super) fn disagreements(report: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for case in all(&report["cases"]) {
        let of = |key: &str| text(&case[key]);
        lines.push(format!("{} x {}: {}", case["count"], of("image"), of("reason")));
        let namespaces: Vec<_> = all(&case["namespaces"]).map(text).collect();
        lines.push(format!(
            "  in {}, last at {}, decision {}",
            namespaces.join(", "),
            of("last"),
            of("decision")
        ));
        for line in case["message"].as_str().unwrap_or_default().lines() {
            lines.push(format!("  {}", printable(line)));
        }
    }
    if lines.is_empty() {
        lines.push(format!(
            "nothing that is kept would have been denied; {} reviews would",
            report["reviews"]
        ));
    }
    lines
}

fn of_decision(decision: &Value) -> Vec<String> {
    let of = |key: &str| text(&decision[key]);
    let observed =
        if decision["observed"] == true { ", and let pass because admission only observes" } else { "" };
    let mut lines = vec![
        format!("{}: {}{observed}", of("decision"), of("outcome")),
        format!("  {} at {}, in {}", asked(decision), of("time"), milliseconds(&decision["microseconds"])),
    ];
    lines.extend(
        decision["message"]
            .as_str()
            .unwrap_or_default()
            .lines()
            .map(|line| format!("  | {}", printable(line))),
    );
    for image in all(&decision["images"]) {
        lines.extend(of_image(image).into_iter().map(|line| format!("  {line}")));
    }
    lines
}

fn asked(decision: &Value) -> String {
    let (review, pull) = (&decision["review"], &decision["pull"]);
    if let Some(path) = pull["path"].as_str() {
        return format!("{} {} ({})", text(&pull["method"]), printable(path), pull["status"]);
    }
    let name = match (review["name"].as_str(), review["generateName"].as_str()) {
        (Some(name), _) => printable(name),
        (None, Some(beginning)) => format!("{}*", printable(beginning)),
        (None, None) => "(without a name)".to_owned(),
    };
    let part = review["subResource"].as_str().map(|part| format!("/{}", printable(part))).unwrap_or_default();
    let (operation, kind, namespace) =
        (text(&review["operation"]), text(&review["kind"]), text(&review["namespace"]));
    format!("{operation} {kind}{part} {namespace}/{name}")
}

fn of_image(image: &Value) -> Vec<String> {
    let of = |key: &str| text(&image[key]);
    let mut lines = vec![format!("{}: {} ({})", of("asked"), of("verdict"), of("reason"))];
    if let Some(path) = image["path"].as_str() {
        lines.push(format!("  at {}", printable(path)));
    }
    if image["digest"].is_string() {
        lines.push(format!("  {}@{}", of("image"), of("digest")));
    }
    if image["error"].is_string() {
        lines.push(format!("  {}", of("error")));
    }
    if image["revoked"].is_string() {
        lines.push(format!("  {}", of("revoked")));
    }
    for policy in all(&image["policies"]) {
        lines.extend(of_policy(policy).into_iter().map(|line| format!("  {line}")));
    }
    if image["noMatch"].is_string() {
        lines.push(format!("  no policy matches; then it is {}", of("noMatch")));
    }
    for signature in all(&image["signatures"]) {
        let said = match signature["flaw"].as_str() {
            Some(flaw) => format!("vouches for nothing ({flaw}): {}", text(&signature["says"])),
            None => format!("signed by {}", signer(&signature["signer"])),
        };
        lines.push(format!("  signature {}: {said}", text(&signature["material"])));
    }
    for (key, what) in [("morePolicies", "policies"), ("moreSignatures", "signatures")] {
        if let Some(more) = image[key].as_u64() {
            lines.push(format!("  and {more} more {what}"));
        }
    }
    lines.extend(whence(image));
    lines
}

/// From how far back the answer came, and how long that took.
fn whence(image: &Value) -> Option<String> {
    let from = match image["cache"].as_str()? {
        "hit" => "from memory",
        "facts" => "judged from what was known",
        "miss" => "judged after its registry was asked",
        other => other,
    };
    let found = image["signaturesFound"].as_str();
    let found =
        found.map(|found| format!(", signatures looked for at {}", printable(found))).unwrap_or_default();
    let timings = &image["timings"];
    Some(format!(
        "  {from} in {}; judged at {}{found} ({} to gather, {} to judge)",
        milliseconds(&image["microseconds"]),
        text(&image["judged"]),
        milliseconds(&timings["gathering"]),
        milliseconds(&timings["judging"]),
    ))
}

fn of_policy(policy: &Value) -> Vec<String> {
    let of = |key: &str| text(&policy[key]);
    let warns = if policy["mode"] == "warn" { ", which only warns" } else { "" };
    let reason = policy["reason"].as_str().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let mut lines =
        vec![format!("policy {}{warns}, by {}: {}{reason}", of("name"), of("pattern"), of("outcome"))];
    if policy["says"].is_string() {
        lines.push(format!("  {}", of("says")));
    }
    for authority in all(&policy["authorities"]) {
        lines.push(format!("  {}: {}", text(&authority["name"]), text(&authority["reason"])));
        for expected in all(&authority["expected"]) {
            lines.push(format!("    expected {}", text(expected)));
        }
        for found in all(&authority["found"]) {
            let found = if found.is_string() { text(found) } else { signer(found) };
            lines.push(format!("    found    {found}"));
        }
        for key in ["flaws", "revoked"] {
            lines.extend(all(&authority[key]).map(|said| format!("    {}", text(said))));
        }
        if authority["says"].is_string() {
            lines.push(format!("    {}", text(&authority["says"])));
        }
    }
    lines
}

fn signer(signer: &Value) -> String {
    match signer["key"].as_str() {
        Some(key) => format!("key {}", printable(key)),
        None => {
            let subjects: Vec<_> = all(&signer["subjects"]).map(text).collect();
            format!("{} of {}", subjects.join(", "), text(&signer["issuer"]))
        }
    }
}

fn milliseconds(microseconds: &Value) -> String {
    let microseconds = microseconds.as_u64().unwrap_or_default();
    format!("{}.{:03} ms", microseconds / 1000, microseconds % 1000)
}

fn all(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().map(printable).unwrap_or_default()
}
