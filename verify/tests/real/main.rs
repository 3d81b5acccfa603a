//! Checks of signatures that others made, and of what becomes of them when somebody tampers with them.
//!
//! The data is found through `COUNTERSIGN_SHARED`, or else in `shared` beside the repository.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helper functions of tests fail and speak as tests do"
)]

mod attestations;
mod bundles;
mod conformance;
mod discovered;
mod harvested;
mod hostile;
mod layouts;
mod legacy;
mod prototype;
mod shared;
