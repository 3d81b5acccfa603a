//! A thread of its own for what the shared tier does by itself.

use std::io;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Where the connections to the server are read.
///
/// Whoever asks runs where requests are answered, and a burst of those makes everything there late. Were answers read
/// there too, the server would be blamed for it, and left alone just when a herd is to be held together. Here they are
/// read at once, and whoever asked finds them when its turn comes.
///
/// Dropped, it ends what runs there, and waits until nothing of it is left.
#[derive(Debug)]
pub(super) struct Thread {
    handle: Handle,
    lives: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Thread {
    /// # Errors
    /// Where the system has no thread left to give.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (lives, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("shared-cache".into()).spawn(move || {
            // Nothing is ever sent: it ends when the other end is gone.
            drop(runtime.block_on(ended));
            // Work that has to be finished elsewhere is not waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, lives: Some(lives), thread: Some(thread) })
    }

    /// Runs something there until the thread ends.
    pub(super) fn run(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(work);
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.lives.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the shared cache panicked");
        }
    }
}
