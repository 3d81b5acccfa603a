//! What the evidence holds that an authority could be content with, and what comes close.

use std::collections::{BTreeSet, HashSet};

use oci::Digest;

use super::Signers;
use crate::authority::{Wanted, WantedAttestation};
use crate::facts::{Claim, Evidence, Facts, Finding, Flaw, Signature, Signer};
use crate::verdict::{Reason, Subject};

/// The evidence that an authority looks at, sorted.
#[derive(Default)]
pub(super) struct Findings<'a> {
    /// Of this image and by those who are accepted.
    good: Vec<&'a Signature>,
    /// Who else signed this image.
    strangers: Signers<'a>,
    flaws: Vec<&'a Flaw>,
    /// Which piece of material has which flaw: with several keys, each is looked at with each.
    flawed: HashSet<(Digest, &'a str)>,
    /// How many are of other images.
    others: usize,
}

impl<'a> Findings<'a> {
    /// Sorts the evidence on any basis that the authority rests on.
    pub(super) fn of(wanted: &Wanted, subject: &Subject, evidence: &'a Evidence) -> Self {
        let mut findings = Self::default();
        for facts in wanted.bases.iter().flat_map(|basis| evidence.resting_on(basis)) {
            findings.add(facts, wanted, subject);
        }
        findings
    }

    fn add(&mut self, facts: &'a Facts, wanted: &Wanted, subject: &Subject) {
        let signature = match &facts.finding {
            Finding::Signed(signature) => signature,
            Finding::Flawed(flaw) => {
                if self.flawed.insert((facts.material, &flaw.detail)) {
                    self.flaws.push(flaw);
                }
                return;
            }
        };
        // A statement about an image is no signature of it (CVE-2022-35929), nor the other way around.
        if is_statement(signature) == wanted.attestations.is_empty() {
        } else if !signature.subjects.contains(&subject.digest) {
            self.others += 1;
        } else if wanted.signers.accepts(&signature.signer) {
            self.good.push(signature);
        } else {
            self.strangers.add(&signature.signer);
        }
    }

    /// The signers that satisfy the authority, or what came closest to satisfying it.
    pub(super) fn vouch(self, wanted: &Wanted) -> Result<Vec<&'a Signer>, Reason> {
        if !self.good.is_empty() {
            return self.all_of(&wanted.attestations);
        }
        Err(if !self.strangers.is_empty() {
            Reason::WrongIdentity { signers: self.strangers.into_vec() }
        } else if !self.flaws.is_empty() {
            Reason::Flawed { flaws: self.flaws.into_iter().cloned().collect() }
        } else if self.others > 0 {
            Reason::OtherSubject
        } else {
            Reason::Unsigned
        })
    }

    /// The signers of what is good; of attestations there must be one of every type that is wanted.
    fn all_of(self, attestations: &[WantedAttestation]) -> Result<Vec<&'a Signer>, Reason> {
        if attestations.is_empty() {
            return Ok(self.good.into_iter().map(|signature| &signature.signer).collect());
        }
        let mut signers = Vec::new();
        for wanted in attestations {
            let before = signers.len();
            let fits = |signature: &&&Signature| predicate_type(signature) == Some(&*wanted.predicate_type);
            signers.extend(self.good.iter().filter(fits).map(|signature| &signature.signer));
            if signers.len() == before {
                let found: BTreeSet<_> =
                    self.good.iter().filter_map(|signature| predicate_type(signature)).collect();
                return Err(Reason::WrongPredicate {
                    wanted: wanted.named.clone(),
                    found: found.into_iter().map(str::to_owned).collect(),
                });
            }
        }
        Ok(signers)
    }
}

fn is_statement(signature: &Signature) -> bool {
    predicate_type(signature).is_some()
}

fn predicate_type(signature: &Signature) -> Option<&str> {
    match &signature.claim {
        Claim::Image => None,
        Claim::Attestation(attestation) => Some(&attestation.predicate_type),
    }
}
