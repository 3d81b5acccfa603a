//! Work on a thread of its own: with a stack that strangers' recursion fits on, and with an end.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread::Builder;
use std::time::Duration;

/// Why there is no result.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stopped {
    /// It did not end in time. Its thread cannot be ended and works on.
    Late,
    /// It panicked, or no thread could be had for it.
    Failed,
}

/// Does the work on a stack of so many bytes, which are only reserved until they are used, and waits for it so
/// long at most. A panic ends there.
pub(super) fn run<T: Send + 'static>(
    stack: usize,
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Stopped> {
    let (answer, answered) = sync_channel(1);
    let thread = Builder::new().name("policy".into()).stack_size(stack).spawn(move || {
        // Nobody listens any more where it is late.
        drop(answer.send(work()));
    });
    // The thread ends by itself: joining it would be waiting without a limit.
    drop(thread.map_err(|_| Stopped::Failed)?);
    answered.recv_timeout(limit).map_err(|error| match error {
        RecvTimeoutError::Timeout => Stopped::Late,
        RecvTimeoutError::Disconnected => Stopped::Failed,
    })
}
