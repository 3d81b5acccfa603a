//! Every format by every kind of signer, sound and attacked, as an authority of our own makes it.

#![expect(clippy::unwrap_used, reason = "the functions that tests share fail a test as the tests do")]

mod cases;
mod company;
mod entries;
mod keyless;
mod keys;
mod strangers;
mod table;
