//! The binary `countersign`: arguments in, an exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    gateway::cli::run()
}
