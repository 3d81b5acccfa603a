//! Judgement itself: policies and evidence in, a verdict out.

mod account;
mod court;
mod findings;
mod input;

use std::collections::HashSet;

pub use self::account::explain;
use self::court::{Court, Met};
use crate::exemption::Exemption;
use crate::facts::{Evidence, Signer};
use crate::lookups::{Lookups, Need};
use crate::matching::Matching;
use crate::moment::Seconds;
use crate::policy::Mode;
use crate::verdict::{Allowed, Cause, Denial, Exempted, Ground, Permit, Subject, Verdict};

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

/// All that a verdict is made of.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The image.
    pub subject: &'a Subject,
    /// The policies that speak of the subject when it is asked for by the request.
    pub matching: &'a Matching<'a>,
    /// What was found, on every basis of [`Matching::sources`]: where one is absent, nothing was found that rests on it.
    pub evidence: &'a Evidence,
    /// What else was looked up.
    pub lookups: &'a Lookups,
    /// What becomes of an image that no policy speaks of.
    pub no_match: NoMatch,
}

/// A verdict, and how long it holds.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Until when it holds, in seconds since 1970, if time alone can change it.
    pub valid_until: Option<Seconds>,
}

/// Why there is no verdict.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unjudged {
    /// These have to be looked up first, each once. There is at least one.
    Needs(Vec<Need>),
    /// A program of this policy did not come to an end within its limits.
    Exceeded {
        /// The policy.
        policy: String,
        /// What it exceeded.
        limit: String,
    },
}

/// Judges one image.
///
/// Every policy that matches must be satisfied, by any of its authorities, any of whose identities may have signed, and by its
/// program over what they found. A signature counts only for the digests that it names, and not if it is revoked.
///
/// A policy that only warns changes what is said, and never hides that another denies.
///
/// # Errors
/// [`Unjudged`] where something is not known yet, or a program exceeds its limits. That is no verdict.
pub fn judge(case: &Case<'_>, now: Seconds) -> Result<Judgement, Unjudged> {
    let (subject, matching) = (case.subject, case.matching);
    if let Some(revoked) = matching.revocations().of_image(&subject.digest) {
        let denial = Denial::new(subject.clone(), Cause::Revoked(revoked.clone()), Vec::new());
        return Ok(Judgement { verdict: Verdict::Deny(denial), valid_until: None });
    }
    let mut court = Court::new(case, now);
    let (mut failures, mut warnings, mut exempted) = (Vec::new(), Vec::new(), Vec::new());
    let mut signers = Signers::default();
    for bound in matching.bound() {
        match court.policy(bound) {
            Ok(Met::By(vouching)) => vouching.into_iter().for_each(|signer| signers.add(signer)),
            Ok(Met::Exempted(exemption)) => exempted.push(exempt(bound.policy.name.clone(), exemption)),
            Err(failure) => match bound.policy.mode {
                Mode::Enforce => failures.push(failure),
                Mode::Warn => warnings.push(failure),
            },
        }
    }
    let valid_until = court.close()?;
    let uncovered = matching.is_uncovered();
    let verdict = if !failures.is_empty() {
        Verdict::Deny(Denial::new(subject.clone(), Cause::Failed(failures), warnings))
    } else if uncovered && case.no_match == NoMatch::Deny {
        Verdict::Deny(Denial::new(subject.clone(), Cause::NoMatchingPolicy, warnings))
    } else {
        let ground = if uncovered {
            Ground::NoMatch
        } else if !warnings.is_empty() {
            Ground::Warned
        } else if !exempted.is_empty() {
            Ground::Exempted
        } else if matching.bound().next().is_none() {
            Ground::Deferred
        } else {
            Ground::Satisfied
        };
        let subject = subject.clone();
        Verdict::Allow(Allowed::new(Permit {
            subject,
            ground,
            warnings,
            exempted,
            signers: signers.into_vec(),
        }))
    };
    Ok(Judgement { verdict, valid_until })
}

fn exempt(policy: std::sync::Arc<str>, exemption: &Exemption) -> Exempted {
    Exempted { policy, exemption: exemption.clone() }
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
