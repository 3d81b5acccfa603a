//! Facts: who signed this, as checked by us.
//!
//! Bytes come in and facts go out. The crate does no I/O and asks no service: whoever holds some [`Material`] and a
//! [`TrustRoot`] can [`check`] it. It is the one place that knows the Sigstore library.

mod candidate;
mod certificate;
mod check;
mod flaw;
mod legacy_bundle;
mod log_entry;
mod material;
mod signer;
mod simple_signing;
mod trust_root;
mod unique_json;

pub use candidate::{Candidate, candidates};
pub use check::{BUILD, Grounds, check};
pub use material::{InvalidMaterial, Material};
pub use trust_root::{InvalidTrustRoot, TrustRoot};
