//! How much a run has used. Everything that repeats or makes a value passes here.

use std::cell::Cell;
use std::time::Duration;

use kube_cel::cel::{ExecutionError, Value};

use super::super::clock::spent;
use super::value;

/// How much a run may make: values, and texts by eight bytes.
const BUDGET: usize = 4_000_000;

/// How large one value may be.
pub(super) const VALUE: usize = 500_000;

/// How long a run may take, however little it makes.
const TIME: Duration = Duration::from_millis(500);

thread_local! {
    /// The run on this thread; functions of the library are not told which run they belong to.
    static RUN: Cell<Run> = const { Cell::new(Run { left: 0, until: Duration::ZERO, exceeded: None }) };
}

#[derive(Clone, Copy)]
struct Run {
    left: usize,
    until: Duration,
    exceeded: Option<&'static str>,
}

/// Begins a run on this thread.
pub(super) fn start() {
    RUN.set(Run { left: BUDGET, until: spent() + TIME, exceeded: None });
}

/// Why the run has no result that counts. An error alone would not do: `||` takes no notice of it.
pub(super) fn exceeded() -> Option<&'static str> {
    RUN.get().exceeded
}

/// Charges one step.
pub(super) fn step() -> Result<(), ExecutionError> {
    charge(1)
}

/// Charges what was made.
pub(super) fn made(value: Value) -> Result<Value, ExecutionError> {
    let weight = value::weight(&value, VALUE);
    if weight >= VALUE {
        return Err(exceed("makes a value that is too large"));
    }
    charge(weight)?;
    Ok(value)
}

/// Ends the run.
pub(super) fn exceed(why: &'static str) -> ExecutionError {
    RUN.set(Run { exceeded: Some(why), ..RUN.get() });
    ExecutionError::function_error("limit", why)
}

fn charge(amount: usize) -> Result<(), ExecutionError> {
    let run = RUN.get();
    if let Some(why) = run.exceeded {
        return Err(exceed(why));
    }
    let Some(left) = run.left.checked_sub(amount) else {
        return Err(exceed("takes too many steps"));
    };
    if spent() > run.until {
        return Err(exceed("takes too long"));
    }
    RUN.set(Run { left, ..run });
    Ok(())
}
