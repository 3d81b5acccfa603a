//! An account of judgement, given by the very functions that judge.

use super::Case;
use super::court::{Court, Met};
use super::findings::{Weight, attestation, weigh};
use crate::authority::{Authority, Wanted};
use crate::explanation::{
    AuthorityAccount, Check, EvidenceAccount, Explanation, Fulfilment, PolicyAccount, Weighed,
};
use crate::facts::{Basis, Demand, Facts, LogDemand, Signature};
use crate::matching::Bound;
use crate::moment::Seconds;
use crate::policy::{Mode, Policy};
use crate::verdict::{AuthorityFailure, Exempted};

/// How [`judge`](super::judge()) comes to what it says of this case: each policy, authority and piece of evidence. Programs
/// run again for it, so it takes longer.
pub fn explain(case: &Case<'_>, now: Seconds) -> Explanation {
    Explanation {
        subject: case.subject.clone(),
        revoked: case.matching.revocations().of_image(&case.subject.digest).cloned(),
        policies: case.matching.bound().map(|bound| of_policy(case, bound, now)).collect(),
        left_to_admission: case.matching.deferred().map(|policy| policy.name.clone()).collect(),
        covered: !case.matching.is_uncovered(),
        no_match: case.no_match,
    }
}

fn of_policy(case: &Case<'_>, bound: Bound<'_>, now: Seconds) -> PolicyAccount {
    let policy = bound.policy;
    let mut court = Court::new(case, now);
    let outcome = match court.policy(bound) {
        Ok(Met::By(_)) => Fulfilment::Satisfied,
        Ok(Met::Exempted(exemption)) => {
            let exempted = Exempted { policy: policy.name.clone(), exemption: exemption.clone() };
            Fulfilment::Exempted { message: exempted.message() }
        }
        Err(failure) => {
            Fulfilment::Failed { reason: failure.as_str(), message: failure.message(case.subject) }
        }
    };
    let outcome = if court.close().is_ok() { outcome } else { Fulfilment::Unknown };
    let authorities = policy.authorities.iter().filter(|_| bound.unusable.is_none());
    PolicyAccount {
        policy: policy.name.clone(),
        only_warns: policy.mode == Mode::Warn,
        outcome,
        authorities: authorities.map(|authority| of_authority(case, policy, authority, now)).collect(),
        program: bound.program.map(|program| program.program.language().as_str()),
        program_is_left_to_admission: policy.program.is_some() && bound.program.is_none(),
    }
}

fn of_authority(case: &Case<'_>, policy: &Policy, authority: &Authority, now: Seconds) -> AuthorityAccount {
    let mut court = Court::new(case, now);
    let outcome = match court.authority(policy, authority) {
        Ok(_) => Fulfilment::Satisfied,
        Err(reason) => {
            let named = reason.as_str();
            let failure = AuthorityFailure {
                authority: authority.name.clone(),
                sought: authority.kind.sought(),
                expected: Vec::new(),
                reason,
            };
            Fulfilment::Failed { reason: named, message: failure.message(case.subject) }
        }
    };
    let evidence = authority.kind.wanted().map_or_else(Vec::new, |wanted| {
        let on = |basis| case.evidence.of(&wanted.source, basis).iter().map(move |facts| (basis, facts));
        let pieces = wanted.bases.iter().flat_map(on);
        pieces.map(|(basis, facts)| of_evidence(case, policy, wanted, basis, facts, now)).collect()
    });
    AuthorityAccount {
        authority: authority.name.clone(),
        outcome: if court.close().is_ok() { outcome } else { Fulfilment::Unknown },
        accepts: authority.kind.expected(),
        evidence,
    }
}

fn of_evidence(
    case: &Case<'_>,
    policy: &Policy,
    wanted: &Wanted,
    basis: &Basis,
    facts: &Facts,
    now: Seconds,
) -> EvidenceAccount {
    let (weighed, signature) = match weigh(facts, wanted, case) {
        Weight::Flawed(flaw) => {
            let failed = Check { check: flaw.kind.as_str(), outcome: "failed" };
            let weighed = Weighed::Flawed { detail: flaw.detail.clone() };
            return EvidenceAccount { checks: vec![failed], ..piece(facts, weighed) };
        }
        Weight::OtherClaim(signature) => (Weighed::OtherKind, signature),
        Weight::OtherSubject(signature) => (Weighed::OtherSubject, signature),
        Weight::Stranger(signature) => (Weighed::WrongIdentity, signature),
        Weight::Revoked(signature, revoked) => (Weighed::Revoked(revoked), signature),
        Weight::Good(signature) => (Weighed::Yes, signature),
    };
    let objections =
        if weighed == Weighed::Yes { objections(case, policy, wanted, signature, now) } else { Vec::new() };
    EvidenceAccount {
        signer: Some(signature.signer.clone()),
        predicate_type: attestation(signature).map(|attestation| attestation.predicate_type.clone()),
        objections,
        integrated_time: signature.integrated_time,
        timestamps: signature.timestamps.clone(),
        entries: signature.entries.clone(),
        checks: passed(basis),
        ..piece(facts, weighed)
    }
}

/// What is said of any piece.
fn piece(facts: &Facts, weighed: Weighed) -> EvidenceAccount {
    EvidenceAccount {
        material: facts.material,
        weighed,
        signer: None,
        predicate_type: None,
        objections: Vec::new(),
        integrated_time: None,
        timestamps: Vec::new(),
        entries: Vec::new(),
        checks: Vec::new(),
    }
}

/// What the programs of the attestations that it could be object to.
fn objections(
    case: &Case<'_>,
    policy: &Policy,
    wanted: &Wanted,
    signature: &Signature,
    now: Seconds,
) -> Vec<String> {
    let Some(stated) = attestation(signature) else { return Vec::new() };
    let of_its_type =
        wanted.attestations.iter().filter(|attestation| *attestation.predicate_type == stated.predicate_type);
    of_its_type
        .filter_map(|attestation| {
            let said = Court::new(case, now).statement(policy, attestation, &stated.statement);
            Some(format!("{}: {}", attestation.name, said.err()?))
        })
        .collect()
}

/// What passed of a signature that rests on this.
fn passed(basis: &Basis) -> Vec<Check> {
    let when = |demanded: bool| if demanded { "passed" } else { "not-demanded" };
    let (profile, keyless) = (basis.profile, basis.key.is_none());
    let mut checks = vec![Check { check: "signature", outcome: "passed" }];
    if keyless {
        checks.push(Check { check: "certificate", outcome: "passed" });
        let outcome = when(profile.certificate_timestamp == Demand::Required);
        checks.push(Check { check: "certificate-timestamp", outcome });
    }
    checks.push(Check { check: "log-entry", outcome: when(profile.log != LogDemand::Nothing) });
    checks.push(Check { check: "timestamp", outcome: when(profile.timestamp == Demand::Required) });
    checks
}
