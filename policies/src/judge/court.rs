//! One sitting of judgement: what policies and authorities come to, and what has to be known first.

use oci::Digest;

use super::findings::{Findings, Vouched};
use super::{Case, Unjudged, input};
use crate::authority::{Authority, AuthorityKind, WantedAttestation};
use crate::exemption::Exemption;
use crate::facts::Signer;
use crate::language::{Outcome, Program};
use crate::lookups::Need;
use crate::matching::Bound;
use crate::moment::Seconds;
use crate::policy::{Mode, Policy};
use crate::program::PolicyProgram;
use crate::verdict::{AuthorityFailure, PolicyFailure, Reason, Shortfall};

/// How long a verdict holds that a program came to which knows what time it is, in seconds.
const TIMELY: Seconds = 30;

/// Why a policy is satisfied.
pub(super) enum Met<'a> {
    /// These signed, or nobody had to.
    By(Vec<&'a Signer>),
    /// The policy exempts the image.
    Exempted(&'a Exemption),
}

/// What keeps the sitting from ending with a verdict.
enum Open {
    Need(Need),
    Exceeded(String),
}

/// One sitting.
pub(super) struct Court<'a> {
    case: &'a Case<'a>,
    now: Seconds,
    /// What is open, with the policy that it is of.
    open: Vec<(&'a Policy, Open)>,
    valid_until: Option<Seconds>,
}

impl<'a> Court<'a> {
    pub(super) fn new(case: &'a Case<'a>, now: Seconds) -> Self {
        Self { case, now, open: Vec::new(), valid_until: None }
    }

    /// Until when what was found holds.
    ///
    /// # Errors
    /// What is still open.
    pub(super) fn close(self) -> Result<Option<Seconds>, Unjudged> {
        let mut needs = Vec::new();
        let mut exceeded = None;
        for (policy, open) in self.open {
            match open {
                Open::Need(need) if needs.contains(&need) => {}
                Open::Need(need) => needs.push(need),
                Open::Exceeded(limit) => {
                    exceeded = exceeded
                        .or_else(|| Some(Unjudged::Exceeded { policy: policy.name.to_string(), limit }));
                }
            }
        }
        match (needs.is_empty(), exceeded) {
            (false, _) => Err(Unjudged::Needs(needs)),
            (true, Some(exceeded)) => Err(exceeded),
            (true, None) => Ok(self.valid_until),
        }
    }

    /// What a policy comes to. While anything is open that is not final.
    pub(super) fn policy(&mut self, bound: Bound<'a>) -> Result<Met<'a>, PolicyFailure> {
        let policy = bound.policy;
        let fails = |shortfall| PolicyFailure { policy: policy.name.clone(), shortfall, expired: None };
        if let Some(why) = bound.unusable {
            return Err(fails(Shortfall::Unusable(why.to_owned())));
        }
        let image = &self.case.subject.digest;
        if let Some(exemption) = policy.exemption(image, self.now) {
            self.holds_until(exemption.expires);
            return Ok(Met::Exempted(exemption));
        }
        let mark = self.open.len();
        self.satisfy(bound)
            .map_err(|shortfall| {
                let expired = policy.last_exemption(image).cloned();
                PolicyFailure { expired, ..fails(shortfall) }
            })
            .inspect_err(|_| self.warn_of_what_is_exceeded(policy, mark))
    }

    fn satisfy(&mut self, bound: Bound<'a>) -> Result<Met<'a>, Shortfall> {
        let policy = bound.policy;
        let mark = self.open.len();
        let (mut vouched, mut failures) = (Vec::new(), Vec::new());
        for authority in &policy.authorities {
            match self.authority(policy, authority) {
                Ok(by) => vouched.push((&*authority.name, by)),
                Err(reason) => failures.push(AuthorityFailure {
                    authority: authority.name.clone(),
                    sought: authority.kind.sought(),
                    expected: authority.kind.expected(),
                    reason,
                }),
            }
        }
        if vouched.is_empty() {
            return Err(Shortfall::Authorities(failures));
        }
        if let Some(program) = bound.program {
            self.program(policy, program, &vouched)?;
        } else {
            // One authority is enough, whatever there is still to know of the others.
            self.open.truncate(mark);
        }
        Ok(Met::By(vouched.into_iter().flat_map(|(_, by)| by.into_signers()).collect()))
    }

    /// By what an authority is satisfied, or why it is not.
    pub(super) fn authority(
        &mut self,
        policy: &'a Policy,
        authority: &'a Authority,
    ) -> Result<Vouched<'a>, Reason> {
        match &authority.kind {
            AuthorityKind::Pass => Ok(Vouched::Static),
            AuthorityKind::Fail(message) => Err(Reason::StaticFail { message: message.clone() }),
            AuthorityKind::Wants(wanted) => Findings::of(wanted, self.case)
                .vouch(wanted, |attestation, statement| self.statement(policy, attestation, statement)),
        }
    }

    /// Whether the program of an attestation that is wanted is content with a statement.
    pub(super) fn statement(
        &mut self,
        policy: &'a Policy,
        attestation: &WantedAttestation,
        statement: &Digest,
    ) -> Result<(), String> {
        let Some(program) = &attestation.program else { return Ok(()) };
        match self.case.lookups.find_statement(statement) {
            Some(statement) => self.run(policy, program, statement),
            None => Err(self.open(policy, Open::Need(Need::Statement(*statement)))),
        }
    }

    /// Whether the program of a policy is content with what its authorities found.
    fn program(
        &mut self,
        policy: &'a Policy,
        program: &PolicyProgram,
        vouched: &[(&str, Vouched<'_>)],
    ) -> Result<(), Shortfall> {
        let configs = self.case.lookups.found_configs().filter(|_| program.config);
        let outcome = if program.config && configs.is_none() {
            Err(self.open(policy, Open::Need(Need::Configs)))
        } else {
            let input = input::of_policy(vouched, configs, self.case.matching.object_input(program));
            self.run(policy, &program.program, &input)
        };
        outcome
            .map_err(|message| Shortfall::Program { language: program.program.language().as_str(), message })
    }

    /// Runs a program; the error is what it objects to.
    fn run(
        &mut self,
        policy: &'a Policy,
        program: &Program,
        input: &serde_json::Value,
    ) -> Result<(), String> {
        if program.reads_the_time() {
            self.holds_until(self.now.saturating_add(TIMELY));
        }
        match program.run(input, self.now, self.case.lookups.answers()) {
            Outcome::Compliant => Ok(()),
            Outcome::Not(message) => Err(message),
            Outcome::Ask(question) => Err(self.open(policy, Open::Need(Need::Answer(question)))),
            Outcome::Exceeded(limit) => Err(self.open(policy, Open::Exceeded(limit))),
        }
    }

    /// Notes what is open, and gives what is to be said if it were never answered.
    fn open(&mut self, policy: &'a Policy, open: Open) -> String {
        let message = match &open {
            Open::Need(_) => "it is not known yet".to_owned(),
            Open::Exceeded(limit) => limit.clone(),
        };
        self.open.push((policy, open));
        message
    }

    /// A policy that only warns keeps nothing from being decided by exceeding its limits.
    fn warn_of_what_is_exceeded(&mut self, policy: &Policy, mark: usize) {
        if policy.mode == Mode::Warn {
            let mut place = 0;
            self.open.retain(|(_, open)| {
                place += 1;
                place <= mark || matches!(open, Open::Need(_))
            });
        }
    }

    fn holds_until(&mut self, end: Seconds) {
        self.valid_until = Some(self.valid_until.map_or(end, |before| before.min(end)));
    }
}
