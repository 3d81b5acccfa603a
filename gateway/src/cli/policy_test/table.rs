//! What is written in a table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use oci::{Digest, Name, Reference};
use policies::FlawKind;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

use super::expect::Expect;
use crate::cli::input;

/// How many cases a table may have.
const CASE_LIMIT: usize = 10_000;

/// How many pieces of evidence a case may have.
const EVIDENCE_LIMIT: usize = 256;

/// A table of cases. Paths in it are relative to it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Table {
    /// The files of policies; all that are beside the folder of the table without any.
    #[serde(default)]
    pub(super) policies: Vec<PathBuf>,
    /// When cases are judged that do not say it; now without it.
    #[serde(default, deserialize_with = "moment")]
    pub(super) now: Option<i64>,
    /// What becomes of images that no policy speaks of, in cases that do not say it.
    #[serde(default)]
    pub(super) no_match: Option<NoMatch>,
    /// The cases.
    pub(super) cases: Vec<Case>,
}

/// One image, what there is of it, and what policies are to say.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Case {
    /// What is tested, unique within the table.
    pub(super) name: String,
    /// The image. One without a digest has some digest.
    #[serde(deserialize_with = "parsed")]
    pub(super) image: Reference,
    /// What was found with it.
    #[serde(default)]
    pub(super) evidence: Vec<Sample>,
    /// The object that is to be admitted, or the file that has it. A pull without either.
    #[serde(default)]
    pub(super) object: Option<Map<String, Value>>,
    #[serde(default)]
    pub(super) object_file: Option<PathBuf>,
    /// The namespace of the object, where it names none.
    #[serde(default)]
    pub(super) namespace: Option<String>,
    /// The configuration files of the image, by platform.
    #[serde(default)]
    pub(super) config: Option<BTreeMap<String, Value>>,
    #[serde(default, deserialize_with = "moment")]
    pub(super) now: Option<i64>,
    #[serde(default)]
    pub(super) no_match: Option<NoMatch>,
    /// What policies are to say.
    pub(super) expect: Expect,
}

/// A piece of evidence by example: a signature of the image, an attestation, or something that does not verify.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Sample {
    /// Who signed: a certificate's issuer and subject, or a key.
    #[serde(default)]
    pub(super) issuer: Option<String>,
    #[serde(default)]
    pub(super) subject: Option<String>,
    /// What else the certificate says, by the names of Fulcio's extensions.
    #[serde(default)]
    pub(super) claims: BTreeMap<String, String>,
    /// The key in PEM, or its sha256.
    #[serde(default)]
    pub(super) key: Option<String>,
    #[serde(default)]
    pub(super) key_id: Option<Digest>,
    /// The trust root that vouches for the certificate, as `trustRootRef` names it, or `ca-cert`.
    #[serde(default)]
    pub(super) trust_root: Option<String>,
    /// What it states of the image, if it is an attestation.
    #[serde(default)]
    pub(super) attestation: Option<Statement>,
    /// The images that it is of; the one of the case without it.
    #[serde(default)]
    pub(super) of: Option<Digest>,
    /// Whether a transparency log has it. It does unless this is false.
    #[serde(default)]
    pub(super) logged: Option<bool>,
    /// When the log recorded it.
    #[serde(default, deserialize_with = "moment")]
    pub(super) integrated_time: Option<i64>,
    /// When timestamp authorities saw it.
    #[serde(default, deserialize_with = "moments")]
    pub(super) timestamps: Vec<i64>,
    /// Where in which logs it is.
    #[serde(default)]
    pub(super) log_entries: Vec<policies::LogIndex>,
    /// Where it was found, if not with the image.
    #[serde(default)]
    pub(super) source: Option<Source>,
    /// Why it does not verify. Nothing else is said of it then.
    #[serde(default)]
    pub(super) flawed: Option<Flaw>,
}

/// A statement of in-toto's.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Statement {
    pub(super) predicate_type: String,
    #[serde(default)]
    pub(super) predicate: Option<Value>,
    #[serde(default)]
    pub(super) predicate_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Source {
    #[serde(default)]
    pub(super) repository: Option<Repository>,
    #[serde(default)]
    pub(super) tag_prefix: Option<String>,
}

/// A repository, as policies name it in `source.oci`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Repository(#[serde(deserialize_with = "name")] pub(super) Name);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Flaw {
    #[serde(default = "malformed")]
    pub(super) check: FlawKind,
    #[serde(default)]
    pub(super) detail: String,
}

fn malformed() -> FlawKind {
    FlawKind::Malformed
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) enum NoMatch {
    Deny,
    Warn,
    Allow,
}

impl Table {
    /// Reads a table.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let table: Self = input::typed(input::document(path)?)?;
        anyhow::ensure!(!table.cases.is_empty(), "cases: there are none");
        anyhow::ensure!(table.cases.len() <= CASE_LIMIT, "cases: more than {CASE_LIMIT}");
        let mut names = BTreeSet::new();
        for (index, case) in table.cases.iter().enumerate() {
            let at = format!("cases[{index}]");
            anyhow::ensure!(names.insert(&case.name), "{at}.name: another case is called {:?}", case.name);
            case.check(&at)?;
        }
        Ok(table)
    }
}

impl Case {
    fn check(&self, at: &str) -> anyhow::Result<()> {
        let digest = self.image.digest();
        anyhow::ensure!(
            digest.is_none_or(|digest| digest.algorithm() == oci::Algorithm::Sha256),
            "{at}.image: wants its sha256"
        );
        anyhow::ensure!(self.evidence.len() <= EVIDENCE_LIMIT, "{at}.evidence: more than {EVIDENCE_LIMIT}");
        anyhow::ensure!(
            self.object.is_none() || self.object_file.is_none(),
            "{at}: object and objectFile, of which one is wanted"
        );
        let asks = self.object.is_some() || self.object_file.is_some();
        anyhow::ensure!(asks || self.namespace.is_none(), "{at}.namespace: there is no object to be in it");
        self.evidence
            .iter()
            .enumerate()
            .try_for_each(|(index, it)| it.check(&format!("{at}.evidence[{index}]")))
    }
}

impl Sample {
    fn check(&self, at: &str) -> anyhow::Result<()> {
        let signers =
            [self.issuer.is_some() || self.subject.is_some(), self.key.is_some(), self.key_id.is_some()];
        let signers = signers.into_iter().filter(|given| *given).count();
        if self.flawed.is_some() {
            anyhow::ensure!(
                signers == 0 && self.attestation.is_none(),
                "{at}: what is flawed says nothing else"
            );
            return Ok(());
        }
        anyhow::ensure!(signers == 1, "{at}: wants issuer and subject, or key, or keyId, or flawed");
        let half = self.issuer.is_some() != self.subject.is_some();
        anyhow::ensure!(!half, "{at}: wants issuer and subject");
        if let Some(statement) = &self.attestation {
            let both = statement.predicate.is_some() && statement.predicate_file.is_some();
            anyhow::ensure!(!both, "{at}.attestation: predicate and predicateFile, of which one is wanted");
        }
        Ok(())
    }
}

fn parsed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Reference, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|error| de::Error::custom(format_args!("{text:?}: {error}")))
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
    parsed(deserializer).map(|reference| reference.name().clone())
}

/// An instant, or the first second of a day, in UTC.
fn instant<E: de::Error>(text: &str) -> Result<i64, E> {
    let day = || Some(text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp());
    let instant = text.parse::<Timestamp>().ok().or_else(day);
    instant.map(Timestamp::as_second).ok_or_else(|| {
        E::custom(format_args!(
            "{text:?}: wants a day such as 2026-01-31, or an instant such as 2026-01-31T12:00:00Z"
        ))
    })
}

fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    String::deserialize(deserializer).and_then(|text| instant(&text)).map(Some)
}

fn moments<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<i64>, D::Error> {
    Vec::<String>::deserialize(deserializer)?.iter().map(|text| instant(text)).collect()
}
