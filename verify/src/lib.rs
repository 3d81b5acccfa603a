//! Facts: who signed this, as checked by us.
//!
//! Bytes come in and facts go out. The crate does no I/O and asks no service: whoever holds some [`Material`]
//! and a [`TrustRoot`] can [`check()`] it. It is the one place that knows the Sigstore library.

mod by_certificate;
mod by_key;
mod candidate;
mod certificate;
mod check;
mod claimed;
mod demand;
pub mod discovery;
mod envelope;
mod flaw;
mod grounds;
mod key_signature;
mod legacy_bundle;
mod log;
mod log_entry;
mod material;
mod notary;
mod old_attestation;
mod private_authority;
mod recorded;
mod signature_id;
mod signer;
mod sigstore_bundle;
mod simple_signing;
mod statement;
mod timestamps;
mod trust_root;
pub mod tuf;
mod unique_json;
mod verify_bundle;

pub use candidate::{Candidate, CandidateKind, Candidates};
pub use check::{BUILD, check};
pub use grounds::Grounds;
pub use material::{InvalidMaterial, Material};
pub use trust_root::{InvalidTrustRoot, TrustRoot};
pub use verify_bundle::{Artifact, Expected, verify_bundle};
