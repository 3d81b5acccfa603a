//! The shared tier on real Redis servers: what others write there, and what happens when it fails.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod attacks;
mod fleet;
mod outages;
mod property;
mod replica;
mod server;
mod topologies;
