//! What the evidence holds that an authority could be content with, and what comes close.

use std::collections::{BTreeSet, HashSet};

use oci::Digest;

use super::{Case, Signers};
use crate::authority::{Wanted, WantedAttestation};
use crate::facts::{Attestation, Claim, Facts, Finding, Flaw, Signature, Signer};
use crate::revocation::Revoked;
use crate::verdict::Reason;

/// The evidence that an authority looks at, sorted.
#[derive(Default)]
pub(super) struct Findings<'a> {
    /// Of this image and by those who are accepted.
    good: Vec<&'a Signature>,
    /// By what those are revoked that would be good.
    revoked: Vec<Revoked>,
    /// Who else signed this image.
    strangers: Signers<'a>,
    flaws: Vec<&'a Flaw>,
    /// Which piece of material has which flaw: with several keys, each is looked at with each.
    flawed: HashSet<(Digest, &'a str)>,
    /// How many are of other images.
    others: usize,
}

/// What one piece of evidence is to an authority.
pub(super) enum Weight<'a> {
    /// Nothing: it fails verification.
    Flawed(&'a Flaw),
    /// Nothing: it is an attestation and a signature of the image is wanted, or the other way around.
    OtherClaim(&'a Signature),
    /// Of other images.
    OtherSubject(&'a Signature),
    /// By somebody who is not accepted.
    Stranger(&'a Signature),
    /// By somebody who is accepted, and revoked.
    Revoked(&'a Signature, Revoked),
    /// Of this image and by somebody who is accepted.
    Good(&'a Signature),
}

/// Weighs one piece of evidence.
pub(super) fn weigh<'a>(facts: &'a Facts, wanted: &Wanted, case: &Case<'_>) -> Weight<'a> {
    let signature = match &facts.finding {
        Finding::Signed(signature) => signature,
        Finding::Flawed(flaw) => return Weight::Flawed(flaw),
    };
    // A statement about an image is no signature of it (CVE-2022-35929), nor the other way around.
    if attestation(signature).is_some() == wanted.attestations.is_empty() {
        Weight::OtherClaim(signature)
    } else if !signature.subjects.contains(&case.subject.digest) {
        Weight::OtherSubject(signature)
    } else if !wanted.signers.accepts(&signature.signer) {
        Weight::Stranger(signature)
    } else {
        match case.matching.revocations().of_signature(signature) {
            None => Weight::Good(signature),
            Some(revoked) => Weight::Revoked(signature, revoked),
        }
    }
}

/// By what an authority is satisfied.
pub(super) enum Vouched<'a> {
    /// By anything.
    Static,
    /// By signatures of the image.
    Signatures(Vec<&'a Signature>),
    /// By attestations, in the authority's order.
    Attestations(Vec<(&'a WantedAttestation, Vec<&'a Signature>)>),
}

impl<'a> Vouched<'a> {
    /// Who signed.
    pub(super) fn into_signers(self) -> Vec<&'a Signer> {
        match self {
            Self::Static => Vec::new(),
            Self::Signatures(signatures) => signatures.into_iter().map(|it| &it.signer).collect(),
            Self::Attestations(attestations) => {
                attestations.into_iter().flat_map(|(_, signatures)| signatures).map(|it| &it.signer).collect()
            }
        }
    }
}

impl<'a> Findings<'a> {
    /// Sorts the evidence on any basis that the authority rests on.
    pub(super) fn of(wanted: &Wanted, case: &'a Case<'a>) -> Self {
        let mut findings = Self::default();
        for facts in wanted.bases.iter().flat_map(|basis| case.evidence.of(&wanted.source, basis)) {
            findings.add(facts, wanted, case);
        }
        findings
    }

    fn add(&mut self, facts: &'a Facts, wanted: &Wanted, case: &Case<'_>) {
        match weigh(facts, wanted, case) {
            Weight::Flawed(flaw) => {
                if self.flawed.insert((facts.material, &flaw.detail)) {
                    self.flaws.push(flaw);
                }
            }
            Weight::OtherClaim(_) => {}
            Weight::OtherSubject(_) => self.others += 1,
            Weight::Stranger(signature) => self.strangers.add(&signature.signer),
            Weight::Revoked(_, revoked) if self.revoked.contains(&revoked) => {}
            Weight::Revoked(_, revoked) => self.revoked.push(revoked),
            Weight::Good(signature) => self.good.push(signature),
        }
    }

    /// The signatures that satisfy the authority, or what came closest to satisfying it. `complies` says of a statement, by
    /// its digest, what the program of an attestation that is wanted objects to in it.
    pub(super) fn vouch(
        self,
        wanted: &'a Wanted,
        complies: impl FnMut(&'a WantedAttestation, &Digest) -> Result<(), String>,
    ) -> Result<Vouched<'a>, Reason> {
        if !self.good.is_empty() {
            return self.all_of(&wanted.attestations, complies);
        }
        Err(if !self.revoked.is_empty() {
            Reason::Revoked { by: self.revoked }
        } else if !self.strangers.is_empty() {
            Reason::WrongIdentity { signers: self.strangers.into_vec() }
        } else if !self.flaws.is_empty() {
            Reason::Flawed { flaws: self.flaws.into_iter().cloned().collect() }
        } else if self.others > 0 {
            Reason::OtherSubject
        } else {
            Reason::Unsigned
        })
    }

    /// All that is good; of attestations there must be one of every type that is wanted, which its program is content with.
    fn all_of(
        self,
        attestations: &'a [WantedAttestation],
        mut complies: impl FnMut(&'a WantedAttestation, &Digest) -> Result<(), String>,
    ) -> Result<Vouched<'a>, Reason> {
        if attestations.is_empty() {
            return Ok(Vouched::Signatures(self.good));
        }
        let mut vouched = Vec::new();
        for wanted in attestations {
            let (mut compliant, mut objection) = (Vec::new(), None);
            for signature in &self.good {
                let Some(attestation) = attestation(signature) else { continue };
                if attestation.predicate_type != *wanted.predicate_type {
                    continue;
                }
                match complies(wanted, &attestation.statement) {
                    Ok(()) => compliant.push(*signature),
                    Err(message) => objection = objection.or(Some(message)),
                }
            }
            if compliant.is_empty() {
                return Err(self.lacks(wanted, objection));
            }
            vouched.push((wanted, compliant));
        }
        Ok(Vouched::Attestations(vouched))
    }

    fn lacks(&self, wanted: &WantedAttestation, objection: Option<String>) -> Reason {
        if let (Some(message), Some(program)) = (objection, &wanted.program) {
            let (attestation, language) = (wanted.name.clone(), program.language().as_str());
            return Reason::NotCompliant { attestation, language, message };
        }
        let found: BTreeSet<_> =
            self.good.iter().filter_map(|it| attestation(it)).map(|it| &*it.predicate_type).collect();
        Reason::WrongPredicate {
            wanted: wanted.named.clone(),
            found: found.into_iter().map(str::to_owned).collect(),
        }
    }
}

pub(super) fn attestation(signature: &Signature) -> Option<&Attestation> {
    match &signature.claim {
        Claim::Image => None,
        Claim::Attestation(attestation) => Some(attestation),
    }
}
