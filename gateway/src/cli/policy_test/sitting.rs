//! Judges the cases of a table, by the judgement that pulls and admissions are judged by.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use oci::{Digest, TagOrDigest};
use policies::{
    Case as Judged, Evidence, Judgement, Lookups, Matching, Need, NoMatch, PolicySet, Question, Request,
    Subject, Unjudged, judge,
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::expect::Said;
use super::report::Outcome;
use super::sample::Piece;
use super::table::{self, Case, Table};
use crate::cli::{input, object};
use crate::clock::seconds_since_1970;
use crate::cue::{Cue, CueError};
use crate::undecided::with_causes;

/// How often judgement may ask for more.
const ROUNDS: usize = 6;

/// Policies, and what the cases of a table have in common.
pub(super) struct Bench<'a> {
    pub(super) policies: &'a PolicySet,
    pub(super) table: &'a Table,
    /// What paths in the table are relative to.
    pub(super) folder: &'a Path,
    pub(super) cue: Option<&'a Answering>,
}

/// The cue program, and what it is waited for on.
pub(super) struct Answering {
    cue: Cue,
    runtime: Runtime,
}

impl Answering {
    /// The program at this path.
    pub(super) fn new(program: &Path) -> anyhow::Result<Self> {
        let program = std::fs::canonicalize(program).with_context(|| program.display().to_string())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { cue: Cue::new(program, std::env::current_exe()?), runtime })
    }

    fn answer(&self, question: &Question) -> Result<Result<(), String>, CueError> {
        self.runtime.block_on(self.cue.answer(question))
    }
}

impl Bench<'_> {
    /// Judges one case and compares.
    pub(super) fn hear(&self, case: &Case) -> anyhow::Result<Outcome> {
        let name = case.image.name().clone();
        let digest = case.image.digest().unwrap_or_else(|| Digest::of(case.image.to_string().as_bytes()));
        let subject = Subject { name, digest };
        let request = self.request(case)?;
        let matching = self.policies.matching(&subject.name, &TagOrDigest::Digest(subject.digest), &request);
        let pieces = case.evidence.iter().enumerate();
        let pieces = pieces.map(|(index, sample)| {
            Piece::new(sample, index, &subject, self.folder).with_context(|| format!("evidence[{index}]"))
        });
        let pieces = pieces.collect::<anyhow::Result<Vec<_>>>()?;
        let said = self.judged(case, &subject, &matching, &pieces)?;
        Ok(case.expect.compare(&said))
    }

    fn request(&self, case: &Case) -> anyhow::Result<Request> {
        let object = match (&case.object, &case.object_file) {
            (Some(object), _) => Value::Object(object.clone()),
            (None, Some(file)) => input::document(&self.folder.join(file))?,
            (None, None) => return Ok(Request::Pull),
        };
        object::admission_of(&object, case.namespace.as_deref()).context("object")
    }

    fn judged(
        &self,
        case: &Case,
        subject: &Subject,
        matching: &Matching<'_>,
        pieces: &[Piece],
    ) -> anyhow::Result<Said> {
        let evidence = evidence(matching, pieces);
        let mut lookups = Lookups::default();
        let no_match = no_match(case.no_match.or(self.table.no_match));
        let now = case.now.or(self.table.now);
        let now = now.unwrap_or_else(|| i64::try_from(seconds_since_1970()).unwrap_or(i64::MAX));
        for _ in 0..ROUNDS {
            let judged = Judged { subject, matching, evidence: &evidence, lookups: &lookups, no_match };
            let needs = match judge(&judged, now) {
                Ok(Judgement { verdict, .. }) => return Ok(Said::Verdict(Box::new(verdict))),
                Err(Unjudged::Exceeded { policy, limit }) => {
                    return Ok(Said::Undecided(format!(
                        "a program of policy {policy} could not be run to its end: {limit}"
                    )));
                }
                Err(Unjudged::Needs(needs)) => needs,
            };
            for need in needs {
                if let Some(missing) = self.look_up(case, pieces, need, &mut lookups)? {
                    return Ok(Said::Missing(missing));
                }
            }
        }
        anyhow::bail!("judgement went on asking")
    }

    /// Looks up one thing; what is missing if it cannot.
    fn look_up(
        &self,
        case: &Case,
        pieces: &[Piece],
        need: Need,
        lookups: &mut Lookups,
    ) -> anyhow::Result<Option<String>> {
        match need {
            Need::Statement(digest) => {
                let statements = pieces.iter().filter_map(|piece| piece.statement.as_ref());
                let text = statements.into_iter().find(|(stated, _)| *stated == digest);
                let (_, text) = text.context("nobody made that statement")?;
                lookups.statement(digest, text)?;
            }
            Need::Configs => match &case.config {
                Some(configs) => lookups.configs(json!(configs)),
                None => {
                    return Ok(Some("a policy asks for the image's configuration: give config".to_owned()));
                }
            },
            Need::Answer(question) => match self.cue {
                Some(cue) => match cue.answer(&question) {
                    Ok(answer) => lookups.answer(question, answer),
                    Err(error) => return Ok(Some(with_causes(&error))),
                },
                None => return Ok(Some("a policy is in CUE: name a cue program by --cue".to_owned())),
            },
        }
        Ok(None)
    }
}

/// The pieces as they are reported on every basis that the policies rest on.
fn evidence(matching: &Matching<'_>, pieces: &[Piece]) -> Evidence {
    let mut evidence = Evidence::default();
    for (source, bases) in matching.sources() {
        for basis in bases {
            let facts = pieces.iter().filter_map(|piece| piece.facts(source, basis)).map(Arc::new);
            evidence.insert(source.clone(), basis.clone(), facts.collect());
        }
    }
    evidence
}

fn no_match(written: Option<table::NoMatch>) -> NoMatch {
    match written {
        None | Some(table::NoMatch::Deny) => NoMatch::Deny,
        Some(table::NoMatch::Warn) => NoMatch::Warn,
        Some(table::NoMatch::Allow) => NoMatch::Allow,
    }
}
