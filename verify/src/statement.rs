//! What a statement says: of which images, and what kind of thing
//! ([in-toto](https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md)).

use oci::Digest;
use policies::{Attestation, Claim, Flaw, FlawKind};
use serde_json::Value;

use crate::envelope::Envelope;
use crate::flaw::flaw;
use crate::unique_json;

/// The type of a payload that is a statement.
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The versions of statements. What is read here of one is the same in both.
const TYPES: [&str; 2] = ["https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1"];

/// What cosign writes as the type of a predicate to say that it signed the image, and nothing more.
const SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

/// The most subjects that a statement may have.
const SUBJECTS_LIMIT: usize = 1000;

/// What a statement says, and of what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Statement {
    /// The `sha256` digests of its subjects, each once: at least one.
    pub(crate) subjects: Vec<Digest>,
    /// What it says of them.
    pub(crate) claim: Claim,
}

/// The statement in an envelope. Nothing of it is verified yet.
///
/// Subjects by other algorithms than `sha256` are passed over: images are known by that one here.
///
/// # Errors
/// [`FlawKind::Malformed`] where the payload is no statement or could be read in two ways, and
/// [`FlawKind::Unsupported`] where it speaks of nothing that has a `sha256`, or of too much.
pub(crate) fn read(envelope: &Envelope) -> Result<Statement, Flaw> {
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(flaw(
            FlawKind::Unsupported,
            format_args!("payload is of type {:?}", envelope.payload_type),
        ));
    }
    let document = unique_json::parse(&envelope.payload)
        .map_err(|error| malformed(format!("statement is malformed: {error}")))?;
    let text = |name: &str| {
        let text = document.get(name).and_then(Value::as_str);
        text.ok_or_else(|| malformed(format!("statement has no {name}")))
    };
    let version = text("_type")?;
    if !TYPES.contains(&version) {
        return Err(flaw(FlawKind::Unsupported, format_args!("statement is of type {version:?}")));
    }
    let predicate_type = text("predicateType")?;
    let claim = match predicate_type {
        "" => return Err(malformed("statement has no predicateType".into())),
        SIGNATURE => Claim::Image,
        other => Claim::Attestation(Attestation {
            predicate_type: other.to_owned(),
            statement: Digest::of(&envelope.payload),
        }),
    };
    Ok(Statement { subjects: subjects(&document)?, claim })
}

fn subjects(document: &Value) -> Result<Vec<Digest>, Flaw> {
    let subjects = document.get("subject").and_then(Value::as_array);
    let subjects = subjects.ok_or_else(|| malformed("statement has no subject".into()))?;
    if subjects.len() > SUBJECTS_LIMIT {
        let detail = format_args!("statement has more than {SUBJECTS_LIMIT} subjects");
        return Err(flaw(FlawKind::Unsupported, detail));
    }
    let mut digests = Vec::with_capacity(subjects.len());
    for subject in subjects {
        let Some(hash) = subject.pointer("/digest/sha256") else {
            continue;
        };
        let digest: Digest = hash
            .as_str()
            .and_then(|hash| format!("sha256:{hash}").parse().ok())
            .ok_or_else(|| malformed("a subject of the statement has a malformed sha256".into()))?;
        digests.push(digest);
    }
    digests.sort_unstable();
    digests.dedup();
    if digests.is_empty() {
        return Err(flaw(FlawKind::Unsupported, "statement has no subject with a sha256"));
    }
    Ok(digests)
}

fn malformed(detail: String) -> Flaw {
    flaw(FlawKind::Malformed, detail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn envelope(payload: &str) -> Envelope {
        Envelope {
            payload_type: PAYLOAD_TYPE.into(),
            payload: payload.to_owned().into(),
            signature: b"signature".to_vec(),
        }
    }

    fn subject(bytes: &[u8]) -> Value {
        json!({"name": "image", "digest": {"sha256": Digest::of(bytes).hex()}})
    }

    fn statement(subjects: &[Value]) -> Value {
        json!({
            "_type": TYPES[0],
            "predicateType": "https://slsa.dev/provenance/v1",
            "subject": subjects,
            "predicate": {},
        })
    }

    #[track_caller]
    fn refuses(statement: &Value, kind: FlawKind) {
        let refused = read(&envelope(&statement.to_string())).map_err(|flaw| flaw.kind);
        assert_eq!(refused, Err(kind), "{statement}");
    }

    #[test]
    fn a_statement_speaks_of_every_subject_with_a_sha256() {
        let other = json!({"digest": {"sha512": "00", "gitCommit": "11"}});
        let payload = statement(&[subject(b"a"), other, subject(b"b"), subject(b"a")]).to_string();
        let read = read(&envelope(&payload)).unwrap();
        let mut expected = [Digest::of(b"a"), Digest::of(b"b")];
        expected.sort_unstable();
        assert_eq!(read.subjects, expected);
        let attestation = Attestation {
            predicate_type: "https://slsa.dev/provenance/v1".into(),
            statement: Digest::of(payload.as_bytes()),
        };
        assert_eq!(read.claim, Claim::Attestation(attestation));
    }

    #[test]
    fn cosigns_statement_of_a_signature_is_a_signature_and_no_other_is() {
        let claim = |predicate_type: &str| {
            let mut statement = statement(&[subject(b"a")]);
            statement["_type"] = TYPES[1].into();
            statement["predicateType"] = predicate_type.into();
            read(&envelope(&statement.to_string())).unwrap().claim
        };
        assert_eq!(claim(SIGNATURE), Claim::Image);
        for other in ["https://sigstore.dev/cosign/sign/v1/", "https://sigstore.dev/cosign/sign/v2", "sign"] {
            assert!(matches!(claim(other), Claim::Attestation(_)), "{other}");
        }
    }

    #[test]
    fn what_is_no_statement_is_refused() {
        let mut other = envelope(&statement(&[subject(b"a")]).to_string());
        other.payload_type = "application/json".into();
        assert_eq!(read(&other).unwrap_err().kind, FlawKind::Unsupported);
        let edited = |name: &str, value: Value| {
            let mut statement = statement(&[subject(b"a")]);
            statement[name] = value;
            statement
        };
        refuses(&edited("_type", "https://in-toto.io/Statement/v2".into()), FlawKind::Unsupported);
        refuses(&edited("_type", Value::Null), FlawKind::Malformed);
        refuses(&edited("predicateType", "".into()), FlawKind::Malformed);
        refuses(&edited("predicateType", Value::Null), FlawKind::Malformed);
        refuses(&edited("subject", json!({})), FlawKind::Malformed);
        let twice = statement(&[subject(b"a")]).to_string().replacen("{", r#"{"subject":[],"#, 1);
        assert_eq!(read(&envelope(&twice)).unwrap_err().kind, FlawKind::Malformed);
    }

    #[test]
    fn a_statement_of_nothing_or_of_too_much_is_refused() {
        refuses(&statement(&[]), FlawKind::Unsupported);
        refuses(&statement(&[json!({"digest": {"sha512": "00"}})]), FlawKind::Unsupported);
        let upper = json!({"digest": {"sha256": Digest::of(b"").hex().to_uppercase()}});
        refuses(&statement(&[upper]), FlawKind::Malformed);
        refuses(&statement(&[json!({"digest": {"sha256": 1}})]), FlawKind::Malformed);
        let many = vec![subject(b"a"); SUBJECTS_LIMIT];
        assert!(read(&envelope(&statement(&many).to_string())).is_ok());
        refuses(&statement(&[many, vec![subject(b"a")]].concat()), FlawKind::Unsupported);
    }
}
