//! Inbound: the two doors (pull, admission), configuration and wiring.

mod admin;
pub mod admission;
pub mod app;
pub mod cli;
mod clock;
pub mod config;
mod content;
pub mod cue;
mod decision;
mod figures;
mod fleet;
mod image_configs;
mod listen;
mod material;
mod metrics;
mod place;
mod pull;
mod reload;
mod remote;
mod reply;
pub mod rules;
mod search;
mod telemetry;
mod tls;
pub mod trust;
mod undecided;
mod verdicts;
