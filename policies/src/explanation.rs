//! How a verdict comes about, as data: what `verify --explain` shows.

use std::sync::Arc;

use oci::Digest;
use serde::Serialize;

use crate::facts::{LogIndex, Signer};
use crate::judge::NoMatch;
use crate::revocation::Revoked;
use crate::verdict::{Ground, Subject};

/// Everything that judging one image looks at, and what comes of it. [`explain`](crate::explain()) makes it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The image.
    #[serde(serialize_with = "as_text")]
    pub subject: Subject,
    /// By what the image is revoked: then nothing else counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revoked>,
    /// The policies that bind, in order of name.
    pub policies: Vec<PolicyAccount>,
    /// The policies that speak of the image and that only admission can judge by, in order of name.
    pub left_to_admission: Vec<Arc<str>>,
    /// Whether a policy of the whole cluster speaks of the image.
    pub covered: bool,
    /// What becomes of an image of which none does.
    #[serde(serialize_with = "as_word")]
    pub no_match: NoMatch,
}

/// What one policy comes to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyAccount {
    /// Its name.
    pub policy: Arc<str>,
    /// Whether it only warns.
    pub only_warns: bool,
    /// What it comes to.
    #[serde(flatten)]
    pub outcome: Fulfilment,
    /// What each of its authorities says, in the policy's order. None where the policy cannot be judged by.
    pub authorities: Vec<AuthorityAccount>,
    /// The language of its program, where that has a say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<&'static str>,
    /// That it has a program which has no say, because only admission knows what it looks at.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub program_is_left_to_admission: bool,
}

/// What a policy or an authority comes to.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Fulfilment {
    /// It is satisfied.
    Satisfied,
    /// It lets the image pass for a while.
    Exempted {
        /// That it does, why, and until when.
        message: String,
    },
    /// It is not satisfied.
    Failed {
        /// A stable name of why not.
        reason: &'static str,
        /// Why not, for a person.
        message: String,
    },
    /// It is not known: something could not be looked up, or a program exceeds its limits.
    Unknown,
}

/// What one authority says.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorityAccount {
    /// Its name.
    pub authority: Arc<str>,
    /// What it comes to.
    #[serde(flatten)]
    pub outcome: Fulfilment,
    /// The identities or keys that it accepts, for a person.
    pub accepts: Vec<String>,
    /// Each piece of evidence that it looks at; once for each of several keys.
    pub evidence: Vec<EvidenceAccount>,
}

/// What an authority makes of one piece of evidence.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceAccount {
    /// The material that was checked.
    pub material: Digest,
    /// What it counts for.
    #[serde(flatten)]
    pub weighed: Weighed,
    /// Who signed, if verification passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<Signer>,
    /// The type of the statement, where it is an attestation that passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicate_type: Option<String>,
    /// What the programs of attestations that are wanted object to in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objections: Vec<String>,
    /// When the log recorded it, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integrated_time: Option<i64>,
    /// When timestamp authorities saw it, in seconds since 1970.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timestamps: Vec<i64>,
    /// Where in which logs it is recorded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<LogIndex>,
    /// The checks of cryptography, each with its outcome.
    pub checks: Vec<Check>,
}

/// What a piece of evidence counts for.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "counts")]
pub enum Weighed {
    /// It is of this image and by somebody who is accepted.
    Yes,
    /// It fails verification.
    Flawed {
        /// What the check said.
        detail: String,
    },
    /// It is an attestation where a signature of the image is wanted, or the other way around.
    OtherKind,
    /// It is of other images.
    OtherSubject,
    /// It is by somebody who is not accepted.
    WrongIdentity,
    /// It is by somebody who is accepted, and revoked.
    Revoked(Revoked),
}

/// One check of cryptography.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Check {
    /// A stable name.
    pub check: &'static str,
    /// `passed`, `failed` or `not-demanded`.
    pub outcome: &'static str,
}

/// What an explanation comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Conclusion {
    /// The image may run.
    Allow(Ground),
    /// It may not.
    Deny,
    /// It is not known.
    Undecided,
}

impl Explanation {
    /// What it comes to, by the rule that every policy that binds must be satisfied. It is what
    /// [`judge`](crate::judge()) says of the same case.
    pub fn conclusion(&self) -> Conclusion {
        let came_to = |wanted: fn(&PolicyAccount) -> bool| self.policies.iter().any(wanted);
        let fails = |account: &PolicyAccount| matches!(account.outcome, Fulfilment::Failed { .. });
        if self.revoked.is_some() {
            Conclusion::Deny
        } else if came_to(|account| account.outcome == Fulfilment::Unknown) {
            Conclusion::Undecided
        } else if self.policies.iter().any(|account| fails(account) && !account.only_warns)
            || (!self.covered && self.no_match == NoMatch::Deny)
        {
            Conclusion::Deny
        } else {
            Conclusion::Allow(if !self.covered {
                Ground::NoMatch
            } else if self.policies.iter().any(fails) {
                Ground::Warned
            } else if came_to(|account| matches!(account.outcome, Fulfilment::Exempted { .. })) {
                Ground::Exempted
            } else if self.policies.is_empty() {
                Ground::Deferred
            } else {
                Ground::Satisfied
            })
        }
    }
}

fn as_text<S: serde::Serializer>(subject: &Subject, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(subject)
}

// Serde hands a reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn as_word<S: serde::Serializer>(no_match: &NoMatch, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match no_match {
        NoMatch::Deny => "deny",
        NoMatch::Warn => "warn",
        NoMatch::Allow => "allow",
    })
}
