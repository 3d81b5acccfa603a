//! Judgement: which images may run, given what was verified. No I/O.

mod facts;

pub use facts::{Basis, Evidence, Facts, Finding, Flaw, FlawKind, Profile, Signature, Signer, TrustRootRef};
