//! Work that waits for the disk.

/// Runs work on a thread that may wait. Once begun it is finished, also when this future is dropped; `None` says that
/// it panicked, or that the runtime is shutting down.
///
/// A read of the index takes microseconds when the page is in memory and milliseconds when it is not. What is looked
/// up there is what memory did not have, so that the thread's 20 µs cost nothing that is warm.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => Some(outcome),
        Err(error) => {
            tracing::error!(%error, "work on the disk ended early");
            None
        }
    }
}
