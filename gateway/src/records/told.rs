//! Records as others read them: JSON, and CloudEvents that carry it.

use std::time::{Duration, SystemTime};

use policies::{
    AuthorityFailure, Cause, Finding, NoMatch, PolicyFailure, Reason, Shortfall, Signer, Verdict,
};
use serde_json::{Value, json};

use super::{Asked, Came, Image, Record};
use crate::verdicts::{Hearing, Ruling};

/// What CloudEvents are of, and whence.
const EVENT_TYPE: &str = "dev.countersign.policy.decision";
const EVENT_SOURCE: &str = "/countersign";

/// How many signers or identities are told of an authority.
const LISTED: usize = 16;

/// A record, for machines.
pub(crate) fn told(record: &Record) -> Value {
    let mut told = json!({
        "decision": record.id.to_string(),
        "time": time(record.at),
        "outcome": record.outcome.as_str(),
        "reason": record.reason(),
        "microseconds": microseconds(record.took),
        "images": record.images.iter().map(image).collect::<Vec<_>>(),
    });
    if let Some(tenant) = record.tenant {
        told["tenant"] = tenant.into();
    }
    if record.observed {
        told["observed"] = true.into();
    }
    if let Some(message) = &record.message {
        told["message"] = json!(message);
    }
    match &record.asked {
        Asked::Review(review) => {
            told["door"] = "admission".into();
            told["review"] = json!({
                "act": review.act, "uid": review.uid, "operation": review.operation,
                "group": review.group, "version": review.version, "kind": review.kind,
                "namespace": review.namespace,
            });
            let optional = [
                ("name", &review.name),
                ("generateName", &review.generate_name),
                ("subResource", &review.part),
            ];
            for (key, text) in optional.into_iter().filter(|(_, text)| !text.is_empty()) {
                told["review"][key] = json!(text);
            }
        }
        Asked::Pull(pull) => {
            told["door"] = "pull".into();
            told["pull"] = json!({"method": pull.method.as_str(), "path": pull.path, "status": pull.status});
            if !pull.query.is_empty() {
                told["pull"]["query"] = json!(pull.query);
            }
        }
    }
    told
}

/// A record as a CloudEvent (1.0, in JSON).
pub(crate) fn cloud_event(record: &Record) -> Value {
    let subject = match &record.asked {
        Asked::Review(review) => format!("{}/{}/{}", review.namespace, review.kind, review.name),
        Asked::Pull(pull) => pull.path.to_string(),
    };
    json!({
        "specversion": "1.0", "id": record.id.to_string(), "source": EVENT_SOURCE,
        "type": format!("{EVENT_TYPE}.{}", record.outcome.as_str()), "time": time(record.at),
        "subject": subject, "datacontenttype": "application/json", "data": told(record),
    })
}

/// A moment, as RFC 3339 has it.
pub(super) fn time(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at).unwrap_or_default().to_string()
}

fn microseconds(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

fn image(image: &Image) -> Value {
    let mut told = json!({
        "asked": image.asked,
        "reason": image.came.reason(),
        "microseconds": microseconds(image.took),
    });
    if !image.path.is_empty() {
        told["path"] = json!(image.path);
    }
    match &image.came {
        Came::Refused => told["verdict"] = "deny".into(),
        Came::Undecided { subject, why } => {
            told["verdict"] = "undecided".into();
            told["error"] = why.to_string().into();
            if let Some(subject) = subject {
                told["image"] = json!(subject.name.to_string());
                told["digest"] = json!(subject.digest);
            }
        }
        Came::Ruled(ruling) => of_ruling(ruling, &mut told),
    }
    told
}

fn of_ruling(ruling: &Ruling, told: &mut Value) {
    let (subject, hearing) = (ruling.subject(), &ruling.hearing);
    told["image"] = json!(subject.name.to_string());
    told["digest"] = json!(subject.digest);
    told["cache"] = json!(ruling.source.as_str());
    told["judged"] = json!(of_seconds(hearing.judged_at));
    if let Some(found_at) = hearing.found_at {
        told["signaturesFound"] = json!(of_seconds(found_at));
    }
    told["timings"] = json!({
        "gathering": microseconds(hearing.took.gathering), "judging": microseconds(hearing.took.judging),
    });
    told["signatures"] = signatures(hearing);
    if hearing.more_signatures > 0 {
        told["moreSignatures"] = hearing.more_signatures.into();
    }
    if hearing.more_policies > 0 {
        told["morePolicies"] = hearing.more_policies.into();
    }
    let (failures, warnings): (&[PolicyFailure], &[PolicyFailure]) = match &*ruling.verdict {
        Verdict::Allow(allowed) => {
            told["verdict"] = "allow".into();
            told["signers"] = allowed.signers().iter().take(LISTED).map(signer).collect();
            let exempted = allowed.exempted().iter().map(|exempted| Value::from(exempted.message()));
            told["exempted"] = exempted.collect();
            (&[], allowed.warnings())
        }
        Verdict::Deny(denial) => {
            told["verdict"] = "deny".into();
            let failures: &[PolicyFailure] = match denial.cause() {
                Cause::Failed(failures) => failures,
                Cause::Revoked(revoked) => {
                    told["revoked"] = json!(revoked.message());
                    &[]
                }
                Cause::NoMatchingPolicy => &[],
            };
            (failures, denial.warnings())
        }
    };
    told["policies"] = policies(hearing, &[failures, warnings].concat());
    if hearing.policies.is_empty() {
        told["noMatch"] = match hearing.no_match {
            NoMatch::Deny => "deny",
            NoMatch::Warn => "warn",
            NoMatch::Allow => "allow",
        }
        .into();
    }
}

fn of_seconds(seconds: u64) -> String {
    time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Each policy that spoke of the image, why it did, and what it came to.
fn policies(hearing: &Hearing, failures: &[PolicyFailure]) -> Value {
    let policy = |spoken: &policies::Spoken| {
        let mut told = json!({"name": spoken.policy, "pattern": spoken.pattern, "mode": if spoken.only_warns { "warn" } else { "enforce" }});
        let failure = failures.iter().find(|failure| failure.policy == spoken.policy);
        told["outcome"] = match failure {
            Some(_) => "failed",
            None if spoken.left_to_admission => "left-to-admission",
            None => "satisfied",
        }
        .into();
        if let Some(failure) = failure {
            told["reason"] = failure.as_str().into();
            match &failure.shortfall {
                Shortfall::Authorities(authorities) => {
                    told["authorities"] = authorities.iter().map(authority).collect();
                }
                Shortfall::Program { message, .. } | Shortfall::Unusable(message) => {
                    told["says"] = json!(message);
                }
            }
        }
        told
    };
    hearing.policies.iter().map(policy).collect()
}

/// Who was asked for, and who signed instead.
fn authority(failure: &AuthorityFailure) -> Value {
    let mut told = json!({
        "name": failure.authority, "reason": failure.reason.as_str(),
        "expected": failure.expected.iter().take(LISTED).collect::<Vec<_>>(),
    });
    match &failure.reason {
        Reason::WrongIdentity { signers } => {
            told["found"] = signers.iter().take(LISTED).map(signer).collect();
        }
        Reason::Flawed { flaws } => {
            told["flaws"] = flaws.iter().take(LISTED).map(|flaw| Value::from(flaw.detail.as_str())).collect();
        }
        Reason::Revoked { by } => {
            told["revoked"] = by.iter().take(LISTED).map(|by| Value::from(by.message())).collect();
        }
        Reason::NotCompliant { message, .. } | Reason::StaticFail { message } => {
            told["says"] = json!(message);
        }
        Reason::WrongPredicate { wanted, found } => {
            told["wanted"] = json!(wanted);
            told["found"] = json!(found.iter().take(LISTED).collect::<Vec<_>>());
        }
        Reason::Unsigned | Reason::OtherSubject => {}
    }
    told
}

fn signatures(hearing: &Hearing) -> Value {
    let signature = |facts: &std::sync::Arc<policies::Facts>| {
        let mut told = json!({"material": facts.material});
        match &facts.finding {
            Finding::Signed(signature) => told["signer"] = signer(&signature.signer),
            Finding::Flawed(flaw) => {
                told["flaw"] = flaw.kind.as_str().into();
                told["says"] = json!(flaw.detail);
            }
        }
        told
    };
    hearing.signatures.iter().map(signature).collect()
}

fn signer(signer: &Signer) -> Value {
    match signer {
        Signer::Certificate(identity) => {
            let subjects: Vec<_> = identity.subjects.iter().take(LISTED).collect();
            json!({"issuer": identity.issuer, "subjects": subjects})
        }
        Signer::Key(key) => json!({"key": key}),
    }
}
