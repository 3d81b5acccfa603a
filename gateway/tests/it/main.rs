//! The gateway from outside: real listeners, a real registry on loopback, real signatures.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests too")]

mod admission;
mod admission_records;
mod admission_rewrite;

mod admission_updates;
mod architecture;
mod attacks;
mod blobs;
mod cache;
mod cli;
mod documents;
#[cfg(feature = "e2e")]
mod e2e;
mod faults;
mod formats;
mod hostile;
mod lists;
mod migrate;
mod nodes;
mod outage;
mod pass_through;
mod policies;
mod policy_objects;
mod policy_test;
mod pull;
mod real_images;
mod remote;
mod revoked;
mod scenarios;
mod stage;
mod tags;
mod tenants;
mod traces;
mod trust;
