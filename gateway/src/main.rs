//! The binary `countersign`: arguments in, an exit code out.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// What is remembered lives for very different times, between the short lives of what requests need: the C library of glibc
/// held twice as much of it as was in use, and that of musl has one lock for all.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    gateway::cli::run()
}
