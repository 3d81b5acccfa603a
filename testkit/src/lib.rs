//! Outside: a registry and a signing authority of our own, for tests, demo and load.

pub mod authority;
pub mod image;
pub mod layout;
pub mod mirror;
pub mod policy;
pub mod push;
pub mod registry;
pub mod relay;
mod server;
pub mod sigstore;
pub mod tuf;
