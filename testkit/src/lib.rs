//! Outside: a registry and a signing authority of our own, for tests, demo and load.
