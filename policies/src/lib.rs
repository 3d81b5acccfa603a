//! Judgement: which images may run, given what was verified. No I/O.
//!
//! A [`PolicySet`] is made of `ClusterImagePolicy` documents, whole or not at all. What of it speaks of an
//! image is [`Matching`]; that names the evidence that is needed, and [`judge()`] turns evidence into a
//! [`Verdict`].

mod authority;
mod claims;
mod conversion;
mod document;
mod exemption;
mod explain;
mod explanation;
mod externals;
mod facts;
mod field_errors;
mod glob;
mod go_regex;
mod identity;
mod index;
mod judge;
mod key;
mod language;
mod lookups;
mod match_resource;
mod matching;
mod moment;
mod node;
mod object;
mod policy;
#[cfg(test)]
mod policy_controller;
mod predicate;
mod problem;
mod program;
mod public_keys;
mod request;
mod revocation;
mod secrets;
mod set;
#[cfg(test)]
mod test_support;
mod trust_root_object;
mod verdict;

pub use claims::Claims;
pub use conversion::{Unconvertible, convert};
pub use document::Document;
pub use exemption::Exemption;
pub use explain::printable;
pub use explanation::{
    AuthorityAccount, Check, Conclusion, EvidenceAccount, Explanation, Fulfilment, PolicyAccount, Weighed,
};
pub use externals::{External, Externals};
pub use facts::{
    Attestation, Basis, CertificateIdentity, Claim, Demand, Evidence, Facts, Finding, Flaw, FlawKind,
    LogDemand, LogIndex, Profile, Signature, Signer, Source, TrustRootRef,
};
pub use glob::{ImagePattern, InvalidGlob};
pub use judge::{Case, Judgement, NoMatch, Unjudged, explain, judge};
pub use key::{HashAlgorithm, PublicKey};
pub use language::{Answers, Language, Outcome, Program, Question};
pub use lookups::{Lookups, Need};
pub use matching::{Matching, Spoken};
pub use problem::{LoadError, Problem, Warning};
pub use public_keys::InvalidKeys;
pub use request::{Admitted, Request};
pub use revocation::Revoked;
pub use set::PolicySet;
pub use trust_root_object::{
    AuthorityKeys, LogKey, SigstoreKeys, TrustRootObject, TrustRootSource, TrustedRepository,
};
pub use verdict::{
    Allowed, AuthorityFailure, Cause, Denial, Exempted, Ground, PolicyFailure, Reason, Shortfall, Sought,
    Subject, Verdict,
};
