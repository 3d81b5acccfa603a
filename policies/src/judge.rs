//! Judgement itself: policies and evidence in, a verdict out.

mod findings;

use std::collections::HashSet;

use crate::authority::{Authority, AuthorityKind};
use crate::facts::{Evidence, Signer};
use crate::matching::Matching;
use crate::policy::{Mode, Policy};
use crate::verdict::{
    Allowed, AuthorityFailure, Cause, Denial, Ground, PolicyFailure, Reason, Subject, Verdict,
};

/// What becomes of an image that no policy speaks of.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum NoMatch {
    /// It is denied.
    Deny,
    /// It is allowed, and whoever asked is to be told.
    Warn,
    /// It is allowed.
    Allow,
}

/// Judges one image.
///
/// Every policy that matches must be satisfied, by any of its authorities, any of whose identities may have
/// signed. `matching` must be of the subject, and `evidence` must rest on all of its bases: where a basis is
/// absent, nothing was found that rests on it. A signature counts only for the digests that it names.
///
/// A policy that only warns changes what is said, and never hides that another denies.
pub fn judge(subject: &Subject, matching: &Matching<'_>, evidence: &Evidence, no_match: NoMatch) -> Verdict {
    if matching.is_empty() {
        return unmatched(subject, no_match);
    }
    let (mut failures, mut warnings) = (Vec::new(), Vec::new());
    let mut signers = Signers::default();
    for policy in matching.policies() {
        match satisfy(policy, subject, evidence) {
            Ok(vouching) => vouching.into_iter().for_each(|signer| signers.add(signer)),
            Err(failure) => match policy.mode {
                Mode::Enforce => failures.push(failure),
                Mode::Warn => warnings.push(failure),
            },
        }
    }
    if !failures.is_empty() {
        return Verdict::Deny(Denial::new(subject.clone(), Cause::Failed(failures), warnings));
    }
    let ground = if warnings.is_empty() { Ground::Satisfied } else { Ground::Warned };
    Verdict::Allow(Allowed::new(subject.clone(), ground, warnings, signers.into_vec()))
}

fn unmatched(subject: &Subject, no_match: NoMatch) -> Verdict {
    match no_match {
        NoMatch::Deny => Verdict::Deny(Denial::new(subject.clone(), Cause::NoMatchingPolicy, Vec::new())),
        NoMatch::Warn | NoMatch::Allow => {
            Verdict::Allow(Allowed::new(subject.clone(), Ground::NoMatch, Vec::new(), Vec::new()))
        }
    }
}

/// The signers that satisfy a policy (none where a static authority does), or what all its authorities say.
fn satisfy<'a>(
    policy: &Policy,
    subject: &Subject,
    evidence: &'a Evidence,
) -> Result<Vec<&'a Signer>, PolicyFailure> {
    let mut signers = None::<Vec<&Signer>>;
    let mut authorities = Vec::new();
    for authority in &policy.authorities {
        match vouch(authority, subject, evidence) {
            Ok(vouching) => signers.get_or_insert_default().extend(vouching),
            Err(reason) => authorities.push(AuthorityFailure {
                authority: authority.name.clone(),
                sought: authority.kind.sought(),
                expected: authority.kind.expected(),
                reason,
            }),
        }
    }
    signers.ok_or_else(|| PolicyFailure { policy: policy.name.clone(), authorities })
}

/// The signers that satisfy an authority, or why it is not satisfied.
fn vouch<'a>(
    authority: &Authority,
    subject: &Subject,
    evidence: &'a Evidence,
) -> Result<Vec<&'a Signer>, Reason> {
    match &authority.kind {
        AuthorityKind::Pass => Ok(Vec::new()),
        AuthorityKind::Fail(message) => Err(Reason::StaticFail { message: message.clone() }),
        AuthorityKind::Wants(wanted) => findings::Findings::of(wanted, subject, evidence).vouch(wanted),
    }
}

/// Signers, each once, in the order in which they were found.
#[derive(Default)]
struct Signers<'a> {
    seen: HashSet<&'a Signer>,
    list: Vec<&'a Signer>,
}

impl<'a> Signers<'a> {
    fn add(&mut self, signer: &'a Signer) {
        if self.seen.insert(signer) {
            self.list.push(signer);
        }
    }

    fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn into_vec(self) -> Vec<Signer> {
        self.list.into_iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests;
