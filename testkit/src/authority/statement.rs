//! In-toto statements: what somebody says of images.

use std::collections::BTreeMap;

use bytes::Bytes;
use oci::Digest;
use serde::Serialize;
use serde_json::Value;

/// The predicate type under which cosign 3 signs an image: a statement that says nothing more.
pub const IMAGE_SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

/// A [statement](https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md) about images.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// In which version it is written down.
    pub version: StatementVersion,
    /// The images that it is about.
    pub subjects: Vec<Digest>,
    /// What kind of statement it is: a URI.
    pub predicate_type: String,
    /// What it says; nothing at all, where there is none.
    pub predicate: Option<Value>,
}

/// The versions of statements.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum StatementVersion {
    /// `https://in-toto.io/Statement/v0.1`, in which cosign attests, up to 3.1 at least.
    V01,
    /// `https://in-toto.io/Statement/v1`, in which cosign 3 signs images.
    V1,
}

/// The fields in the order in which cosign writes those of its signatures.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    predicate: Option<&'a Value>,
}

#[derive(Serialize)]
struct Subject {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    digest: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<BTreeMap<String, String>>,
}

impl Statement {
    /// A statement of version 1 about one image.
    pub fn new(subject: &Digest, predicate_type: &str, predicate: Value) -> Self {
        Self {
            version: StatementVersion::V1,
            subjects: vec![*subject],
            predicate_type: predicate_type.to_owned(),
            predicate: Some(predicate),
        }
    }

    /// The statement by which cosign 3.0 signs an image, and which has no predicate. In 3.1 it is empty.
    pub fn image_signature(subject: &Digest) -> Self {
        Self { predicate: None, ..Self::new(subject, IMAGE_SIGNATURE, Value::Null) }
    }

    /// The same in another version.
    #[must_use]
    pub fn in_version(self, version: StatementVersion) -> Self {
        Self { version, ..self }
    }

    /// The same about one more image.
    #[must_use]
    pub fn and(mut self, subject: &Digest) -> Self {
        self.subjects.push(*subject);
        self
    }

    /// The statement as JSON: the payload of an envelope.
    #[expect(clippy::expect_used, reason = "text and JSON values always serialize")]
    pub fn payload(&self) -> Bytes {
        let document = Document {
            kind: self.version.kind(),
            subject: self.subjects.iter().map(|subject| self.written(subject)).collect(),
            predicate_type: &self.predicate_type,
            predicate: self.predicate.as_ref(),
        };
        serde_json::to_vec(&document).expect("the document serializes").into()
    }

    /// The same statement about images that nobody has.
    pub(super) fn of_another(&self) -> Self {
        let subjects = self.subjects.iter().map(|subject| Digest::of(subject.hash())).collect();
        Self { subjects, ..self.clone() }
    }

    /// Version 0.1 demands a name, cosign's signatures have none but annotations.
    fn written(&self, subject: &Digest) -> Subject {
        let (name, annotations) = match self.version {
            StatementVersion::V01 => (Some("registry.example/acme/app"), None),
            StatementVersion::V1 => (None, Some(BTreeMap::new())),
        };
        Subject { name, digest: BTreeMap::from([(subject.algorithm().as_str(), subject.hex())]), annotations }
    }
}

impl StatementVersion {
    fn kind(self) -> &'static str {
        match self {
            Self::V01 => "https://in-toto.io/Statement/v0.1",
            Self::V1 => "https://in-toto.io/Statement/v1",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_image_signature_is_byte_for_byte_what_cosign_writes() {
        let hash = "c811d58de79c92f03214e63aa339484e488d694ae8a6283b5f3f17a9faf50172";
        let subject = format!("sha256:{hash}").parse().unwrap();
        // The hash that the log has of the payload of a published signature of this image.
        assert_eq!(
            Digest::of(&Statement::image_signature(&subject).payload()).hex(),
            "736c85e434454351bb48cde164f34376cb4a992dd2dfbe1e20326986b1a688c4"
        );
    }

    #[test]
    fn a_statement_names_all_its_images_and_another_none_of_them() {
        let (first, second) = (Digest::of(b"one"), Digest::of(b"two"));
        let statement = Statement::new(&first, "https://example.com/p", json!({"a": 1})).and(&second);
        let text = |statement: &Statement| String::from_utf8(statement.payload().to_vec()).unwrap();
        for version in [StatementVersion::V01, StatementVersion::V1] {
            let written = text(&statement.clone().in_version(version));
            assert!(written.contains(&first.hex()[..]) && written.contains(&second.hex()[..]), "{written}");
            let other = text(&statement.of_another());
            assert!(!other.contains(&first.hex()[..]) && !other.contains(&second.hex()[..]), "{other}");
        }
    }
}
