//! What is decided otherwise of a policy that both read: docs/policy-controller.md has the reasons.

use serde_json::Value;

use super::Note;
use super::objects::Object;

/// The log that is public, and the one that policies have when they name none.
const PUBLIC_LOG: &str = "https://rekor.sigstore.dev";

/// Predicates that policy-controller shows to programs as its own types have them.
const RESHAPED: [&str; 3] = ["link", "slsaprovenance", "vuln"];

/// Everything that is decided otherwise, in the order of its fields.
pub(super) fn of(object: &Object) -> Vec<Note> {
    let spec = object.value.get("spec");
    let mut notes = Vec::new();
    for (index, authority) in list(spec, "authorities").enumerate() {
        let path = format!("spec.authorities[{index}]");
        signatures(&path, authority, &mut notes);
        for (index, attestation) in list(Some(authority), "attestations").enumerate() {
            let path = format!("{path}.attestations[{index}]");
            let Some(policy) = attestation.get("policy") else { continue };
            let predicate = attestation.get("predicateType").and_then(Value::as_str);
            if let Some(name) = predicate.filter(|name| RESHAPED.contains(name)) {
                notes.push(Note::Differs(format!(
                    "{path}: the statement is shown to the program as it was signed, not as the type {name} has it"
                )));
            }
            program(&path, policy, &mut notes);
        }
    }
    if let Some(policy) = spec.and_then(|spec| spec.get("policy")) {
        program("spec", policy, &mut notes);
    }
    notes
}

/// Whether an object has a program in CUE.
pub(super) fn has_cue(object: &Object) -> bool {
    let spec = object.value.get("spec");
    let attested = list(spec, "authorities").flat_map(|authority| list(Some(authority), "attestations"));
    let programs = attested.chain(spec).filter_map(|it| it.get("policy"));
    programs.into_iter().any(is_cue)
}

fn signatures(path: &str, authority: &Value, notes: &mut Vec<Note>) {
    let mut differs = |text: String| notes.push(Note::Differs(text));
    let (key, log, timestamp) =
        (authority.get("key"), authority.get("ctlog"), authority.get("rfc3161timestamp"));
    if log.is_none() && authority.pointer("/keyless/trustRootRef").is_some() {
        differs(format!(
            "{path}: a log entry is asked for, as always with certificates; policy-controller asks for none where trustRootRef \
             is without ctlog"
        ));
    }
    if log.is_some_and(is_empty) {
        differs(format!(
            "{path}.ctlog: a log entry is asked for; policy-controller asks for none without a url"
        ));
    }
    let url = log.and_then(|log| log.get("url")).and_then(Value::as_str);
    if let Some(url) = url.filter(|url| url.trim_end_matches('/') != PUBLIC_LOG) {
        differs(format!(
            "{path}.ctlog.url: {url} is never asked; the log entry has to be with the signature"
        ));
    }
    if let Some(timestamp) = timestamp {
        differs(if is_empty(timestamp) {
            format!("{path}.rfc3161timestamp: a timestamp is asked for; policy-controller ignores this")
        } else {
            format!("{path}.rfc3161timestamp: a timestamp must be there; for policy-controller it may be")
        });
        if key.is_some() && log.is_some() {
            differs(format!(
                "{path}: a log entry and a timestamp are asked for; policy-controller takes the timestamp instead"
            ));
        }
    }
    let keys = key.and_then(|key| key.get("data")).and_then(Value::as_str).unwrap_or_default();
    let keys = keys.matches("-----BEGIN ").count();
    if keys > 1 {
        differs(format!(
            "{path}.key.data: any of {keys} keys may have signed; policy-controller takes the first alone"
        ));
    }
}

fn program(path: &str, policy: &Value, notes: &mut Vec<Note>) {
    if is_cue(policy) {
        notes.push(Note::Look(format!(
            "{path}.policy: CUE needs the image that has `cue` (its tag ends in -cue), and what it says of a field has to be there: \
             write `name?:` for one that may be absent"
        )));
    }
}

fn is_cue(policy: &Value) -> bool {
    policy.get("type").and_then(Value::as_str) == Some("cue")
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty)
}

fn list<'a>(value: Option<&'a Value>, field: &str) -> impl Iterator<Item = &'a Value> {
    value.and_then(|value| value.get(field)).and_then(Value::as_array).into_iter().flatten()
}
