//! Which threads do what: those of the doors answer what is known, and those behind them find out what is not.
//!
//! Finding out is where the time of the processor goes. On the same threads whoever asks for what is known would wait
//! behind all that is being found out for others; on threads of its own, which those others give way to, what is known is
//! answered in its turn.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use tokio::runtime::{Builder, Handle, Runtime};

/// Where the doors answer, and where everything runs that they have begun.
#[derive(Clone, Debug)]
pub struct Threads {
    /// Connections, and whatever is answered at once.
    pub doors: Handle,
    /// What goes on whoever waits for it: fetching, verifying, writing.
    pub work: Handle,
}

/// By how much the work gives way (see setpriority(2)): of a processor that both want the doors get three turns of four.
const GIVES_WAY: i32 = 5;

impl Threads {
    /// Those of the runtime that this is called in, for both.
    pub fn shared() -> Self {
        Self { doors: Handle::current(), work: Handle::current() }
    }
}

/// The threads of the doors.
pub(crate) fn doors() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().thread_name("doors").enable_all().build()
}

/// The threads behind them, which give way. Those that wait for the disk, or check a signature, do not: the first have
/// little to do, and of the second there are no more than processors.
pub(crate) fn work() -> std::io::Result<Runtime> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (begun, all_begun) = mpsc::channel();
    let count = AtomicUsize::new(0);
    let begin = move || {
        // Those come first that run tasks.
        if count.fetch_add(1, Ordering::Relaxed) < threads {
            give_way();
            if begun.send(()).is_err() {
                tracing::debug!("nobody waits for threads to begin");
            }
        }
    };
    let mut builder = Builder::new_multi_thread();
    let builder = builder.worker_threads(threads).thread_name("work").on_thread_start(begin);
    let runtime = builder.enable_all().build()?;
    for _ in 0..threads {
        all_begun.recv().map_err(std::io::Error::other)?;
    }
    Ok(runtime)
}

/// On a system that refuses it a thread gives way to nobody, which is no fault.
fn give_way() {
    if let Err(error) = rustix::process::setpriority_process(None, GIVES_WAY) {
        tracing::debug!(%error, "work does not give way to the doors");
    }
}

/// Has whatever this future begins run there, wherever the future itself does.
pub(crate) async fn within<F: Future>(runtime: Handle, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        let _there = runtime.enter();
        future.as_mut().poll(context)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_door_begins_runs_behind_it_and_gives_way() {
        let (doors, work) = (doors().unwrap(), work().unwrap());
        let there = work.handle().clone();
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let (at_the_door, behind) = doors.block_on(async {
            let asked = doors.spawn(within(there, async move {
                let behind = tokio::spawn(async move { nice() }).await.unwrap();
                // It is woken from behind the door, and goes on at it.
                (nice(), behind)
            }));
            asked.await.unwrap()
        });
        assert_eq!(at_the_door, nice());
        assert_eq!(behind, (at_the_door + GIVES_WAY).min(19));
        doors.shutdown_background();
        work.shutdown_background();
    }
}
