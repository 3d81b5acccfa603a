//! Outbound: the only crate that opens a connection to a registry.
