//! What a verdict was made of: kept beside it, for whoever asks why.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use oci::{Digest, TagOrDigest};
use policies::{Facts, Finding, NoMatch, Signer, Spoken, Subject, Verdict};

use super::evidence::Gathered;
use super::{Question, Ruling};

/// How a verdict came about. It is made once, when an image is judged, and shared by every answer that rests on it.
#[derive(Debug)]
pub struct Hearing {
    /// The policies that spoke of the image, in order of name.
    pub(crate) policies: Vec<Spoken>,
    /// How many more of them there were.
    pub(crate) more_policies: usize,
    /// What was found of each piece of signature material: on the basis on which it says most.
    pub(crate) signatures: Vec<Arc<Facts>>,
    /// How many more of them there were.
    pub(crate) more_signatures: usize,
    /// What becomes of an image that no policy matches.
    pub(crate) no_match: NoMatch,
    /// When the list of signatures that is oldest was found, in seconds since 1970, if any was looked for.
    pub(crate) found_at: Option<u64>,
    /// When it was judged, in seconds since 1970.
    pub(crate) judged_at: u64,
    pub(crate) took: Took,
    weight: usize,
}

/// How long the parts of judging took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    /// To have the evidence: memory, disk, registries and cryptography.
    pub(crate) gathering: Duration,
    /// To judge by it, and to look up what that needs.
    pub(crate) judging: Duration,
}

/// How many policies and signatures are kept of one image.
const POLICIES: usize = 16;
const SIGNATURES: usize = 16;

impl Hearing {
    pub(super) fn new(question: &Question, gathered: &Gathered, verdict: &Verdict, took: Took) -> Self {
        let matching = question.matching();
        let name = question.subject.name.at(&TagOrDigest::Digest(question.subject.digest));
        let mut spoken = matching.spoken(&name);
        let policies: Vec<_> = spoken.by_ref().take(POLICIES).collect();
        let more_policies = spoken.count();
        let mut found = BTreeMap::<Digest, &Arc<Facts>>::new();
        for facts in gathered.evidence.all() {
            let best = found.entry(facts.material).or_insert(facts);
            if signer(facts).is_some() {
                *best = facts;
            }
        }
        let more_signatures = found.len().saturating_sub(SIGNATURES);
        let signatures: Vec<_> = found.into_values().take(SIGNATURES).cloned().collect();
        let weight = weight(&policies, &signatures) + super::key::weight_of_verdict(verdict);
        Self {
            policies,
            more_policies,
            signatures,
            more_signatures,
            no_match: question.no_match,
            found_at: gathered.found_at(),
            judged_at: crate::clock::seconds_since_1970(),
            took,
            weight,
        }
    }

    /// How many bytes it and its verdict take, more or less.
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }
}

/// Whoever signed, if it withstood verification.
pub(crate) fn signer(facts: &Facts) -> Option<&Signer> {
    match &facts.finding {
        Finding::Signed(signature) => Some(&signature.signer),
        Finding::Flawed(_) => None,
    }
}

fn weight(policies: &[Spoken], signatures: &[Arc<Facts>]) -> usize {
    const EACH: usize = 256;
    let of_facts = |facts: &Arc<Facts>| match &facts.finding {
        Finding::Flawed(flaw) => flaw.detail.len() + EACH,
        Finding::Signed(signature) => super::key::weight_of_signer(&signature.signer) + 2 * EACH,
    };
    let policies = policies.iter().map(|spoken| spoken.policy.len() + spoken.pattern.len() + 64);
    policies.sum::<usize>() + signatures.iter().map(of_facts).sum::<usize>() + EACH
}

impl Ruling {
    /// The image.
    pub(crate) fn subject(&self) -> &Subject {
        match &*self.verdict {
            Verdict::Allow(allowed) => allowed.subject(),
            Verdict::Deny(denial) => denial.subject(),
        }
    }

    /// Whether it may run.
    pub(crate) fn allows(&self) -> bool {
        matches!(&*self.verdict, Verdict::Allow(_))
    }

    /// A stable name of why.
    pub(crate) fn reason(&self) -> &'static str {
        match &*self.verdict {
            Verdict::Allow(allowed) => allowed.ground().as_str(),
            Verdict::Deny(denial) => denial.as_str(),
        }
    }
}
