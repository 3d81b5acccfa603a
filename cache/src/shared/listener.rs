//! Listening for purges, and reading the log of those that were missed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use redis::{Msg, RedisError};
use thiserror::Error;
use tokio::time::{Instant, timeout};

use super::purges::{Purge, RECORD, RECORDS};
use super::{Core, append};
use crate::blocking::blocking;
use crate::random::fraction;

/// How long a question about purges may take. Nobody waits for the answer.
const BUDGET: Duration = Duration::from_secs(1);

/// How long it may take to begin listening.
const CONNECT: Duration = Duration::from_secs(4);

/// How often the connection is tried out: one that leads nowhere says nothing by itself.
const PING: Duration = Duration::from_millis(500);

/// How long is waited before the next try, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// For how long the log lasts: longer than anything that a purge in it may cover.
const LASTS: u64 = 31 * 24 * 3600 * 1000;

#[derive(Debug, Error)]
enum Ended {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("no answer in time")]
    Late,
    #[error("the log cannot be read")]
    Log,
    #[error("the connection was closed")]
    Closed,
}

/// Listens for ever. May be dropped at any time.
pub(super) async fn run(core: Arc<Core>) {
    let mut pause = FIRST_PAUSE;
    loop {
        // There is nothing to hear where nothing answers.
        core.link.answers().await;
        let begun = Instant::now();
        let ended = listen(&core).await;
        core.meters.listening.store(false, Ordering::Relaxed);
        if let Err(ended) = ended {
            tracing::debug!(%ended, "listening for purges ended");
        }
        // Most often the server is gone, and nobody who asks should be the one to find out.
        core.link.check().await;
        pause = if begun.elapsed() > LAST_PAUSE { FIRST_PAUSE } else { (pause * 2).min(LAST_PAUSE) };
        tokio::time::sleep(pause.mul_f64(0.5 + fraction() / 2.0)).await;
    }
}

async fn listen(core: &Arc<Core>) -> Result<(), Ended> {
    let connection = timeout(CONNECT, core.link.server().listen()).await.map_err(|_| Ended::Late)??;
    let (mut questions, mut messages) = connection.split();
    timeout(BUDGET, questions.subscribe(core.channel())).await.map_err(|_| Ended::Late)??;
    // After the subscription, so that what is told in between is heard twice rather than not at all.
    core.catch_up().await.ok_or(Ended::Log)?;
    core.meters.listening.store(true, Ordering::Relaxed);
    let mut ping = tokio::time::interval(PING);
    loop {
        tokio::select! {
            message = messages.next() => hear(core, &message.ok_or(Ended::Closed)?).await,
            _ = ping.tick() => {
                let answer = timeout(BUDGET, questions.ping::<redis::Value>());
                answer.await.map_err(|_| Ended::Late)??;
            }
        }
    }
}

async fn hear(core: &Arc<Core>, message: &Msg) {
    match Purge::read(&core.seals(), message.get_payload_bytes()) {
        Some(purge) => core.carry_out(purge).await,
        None => core.meters.seals_broken.add(),
    }
}

impl Core {
    /// Tells all replicas of a purge: the log first, so that whoever misses the message finds it there.
    pub(super) async fn tell(&self, purge: &Purge) -> bool {
        let Some(record) = purge.record(&self.seals()) else {
            return false;
        };
        let append = append(&self.log(), &record, RECORD * RECORDS, LASTS);
        if self.link.ask_within::<u64>(BUDGET, &append).await.is_none() {
            return false;
        }
        let publish = redis::cmd("PUBLISH").arg(self.channel()).arg(record).to_owned();
        self.link.ask_within::<u64>(BUDGET, &publish).await.is_some()
    }

    /// Sends what is owed, and carries out what was missed.
    async fn catch_up(self: &Arc<Self>) -> Option<()> {
        while let Some(purge) = self.purges.owed().first() {
            if !self.tell(&purge).await {
                return None;
            }
            let core = self.clone();
            blocking(move || core.purges.owed().paid(&purge)).await;
        }
        let question = redis::cmd("GETRANGE").arg(self.log()).arg(0).arg(RECORD * RECORDS - 1).to_owned();
        let log: Vec<u8> = self.link.ask_within(BUDGET, &question).await?;
        let seals = self.seals();
        let purges: Vec<Purge> =
            log.chunks(RECORD).filter_map(|record| Purge::read(&seals, record)).collect();
        let (core, log) = (self.clone(), purges.clone());
        blocking(move || core.purges.note_missed(&log)).await;
        for purge in purges {
            self.carry_out(purge).await;
        }
        Some(())
    }

    fn channel(&self) -> String {
        format!("{}:purges", self.prefix)
    }

    fn log(&self) -> String {
        format!("{}:purges:log", self.prefix)
    }
}
