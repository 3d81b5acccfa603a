//! Judgement: which images may run, given what was verified. No I/O.
//!
//! A [`PolicySet`] is made of `ClusterImagePolicy` documents, whole or not at all. What of it speaks of an
//! image is [`Matching`]; that names the evidence that is needed, and [`judge()`] turns evidence into a
//! [`Verdict`].

mod authority;
mod document;
mod explain;
mod facts;
mod field_errors;
mod glob;
mod go_regex;
mod identity;
mod index;
mod judge;
mod key;
mod language;
mod match_resource;
mod matching;
mod node;
mod object;
mod policy;
#[cfg(test)]
mod policy_controller;
mod predicate;
mod problem;
mod program;
mod public_keys;
mod set;
#[cfg(test)]
mod test_support;
mod trust_root_object;
mod verdict;

pub use document::Document;
pub use facts::{
    Attestation, Basis, CertificateIdentity, Claim, Demand, Evidence, Facts, Finding, Flaw, FlawKind,
    LogDemand, LogIndex, Profile, Signature, Signer, TrustRootRef,
};
pub use glob::{ImagePattern, InvalidGlob};
pub use judge::{NoMatch, judge};
pub use key::{HashAlgorithm, PublicKey};
pub use language::{Answers, Language, Outcome, Program, Question};
pub use matching::Matching;
pub use problem::{LoadError, Problem, Warning};
pub use public_keys::InvalidKeys;
pub use set::PolicySet;
pub use trust_root_object::{
    AuthorityKeys, LogKey, SigstoreKeys, TrustRootObject, TrustRootSource, TrustedRepository,
};
pub use verdict::{
    Allowed, AuthorityFailure, Cause, Denial, Ground, PolicyFailure, Reason, Sought, Subject, Verdict,
};
