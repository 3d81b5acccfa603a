//! Questions and answers: one connection, a budget, and a breaker.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, ServerErrorKind};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use super::breaker::{Breaker, BreakerState, Failure};
use super::seldom::Seldom;
use super::server::{Connection, Server};
use crate::lock::lock;
use crate::random::fraction;
use crate::stats::{Clocked, Count};

/// How long it may take to find a server and greet it. Several sentinels may have to be asked.
const CONNECT: Duration = Duration::from_secs(4);

/// For how long after answers began to be late it may be that they are so for a moment only, as when a herd arrives.
const DOUBT: Duration = Duration::from_secs(1);

/// How many turns an answer gets that is late: to be read, and to be passed on.
const TURNS: u32 = 3;

/// The way to the server. It connects in the background, and while there is no connection every question is a miss at
/// once.
pub(super) struct Link {
    server: Server,
    /// A key that nobody writes: what a probe asks for.
    probe: String,
    budget: Duration,
    slot: Mutex<Slot>,
    wake: Notify,
    closed: watch::Sender<bool>,
    pub(super) meters: Meters,
    complaints: Seldom,
    recoveries: Seldom,
}

struct Slot {
    connection: Option<Connection>,
    breaker: Breaker,
    /// Until when a server that is left alone may be one that was late for a moment.
    doubted: Option<Instant>,
}

/// What became of questions.
#[derive(Debug, Default)]
pub(super) struct Meters {
    pub(super) late: Count,
    pub(super) failed: Count,
    pub(super) spared: Count,
    pub(super) openings: Count,
    pub(super) answers: Clocked,
}

/// What an error says of the connection that it came over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Meaning {
    /// There is none any more.
    Lost,
    /// It is fine, and the server cannot answer for now.
    Unfit,
    /// The server takes no writes.
    ReadOnly,
    /// This question was refused, and another may not be.
    Refused,
}

impl Link {
    pub(super) fn new(server: Server, prefix: &str, budget: Duration) -> Arc<Self> {
        Arc::new(Self {
            server,
            probe: format!("{prefix}:probe"),
            budget,
            slot: Mutex::new(Slot { connection: None, breaker: Breaker::new(Instant::now()), doubted: None }),
            wake: Notify::new(),
            closed: watch::Sender::new(false),
            meters: Meters::default(),
            complaints: Seldom::default(),
            recoveries: Seldom::default(),
        })
    }

    /// The answer within the budget. `None` when there is none, for whatever reason: the caller does without.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Option<T> {
        self.ask_within(self.budget, command).await
    }

    /// The answer within this time.
    pub(super) async fn ask_within<T: FromRedisValue>(&self, budget: Duration, command: &Cmd) -> Option<T> {
        let Some(mut connection) = self.connection() else {
            self.meters.spared.add();
            return None;
        };
        let begun = Instant::now();
        match answer_within(budget, connection.ask(command)).await {
            Some(Ok(answer)) => {
                self.meters.answers.add(begun.elapsed());
                lock(&self.slot).breaker.succeed();
                Some(answer)
            }
            Some(Err(error)) => {
                self.meters.failed.add();
                self.failed(&error);
                None
            }
            None => {
                self.meters.late.add();
                self.fail(Failure::Late, false);
                None
            }
        }
    }

    /// The answer within this time, for whoever had better wait than do without: a server that was left alone just now
    /// because it was late is waited for, as long again.
    pub(super) async fn ask_in_doubt<T: FromRedisValue>(&self, budget: Duration, command: &Cmd) -> Option<T> {
        if self.is_in_doubt() {
            drop(timeout(budget, self.answers()).await);
        }
        self.ask_within(budget, command).await
    }

    /// Asks something of no interest: finds out whether the server is still there.
    pub(super) async fn check(&self) {
        let _: Option<Vec<u8>> = self.ask(&self.question()).await;
    }

    pub(super) fn state(&self) -> BreakerState {
        lock(&self.slot).breaker.state()
    }

    /// Waits until the server answers.
    pub(super) async fn answers(&self) {
        // It cannot be closed: the sender is ours.
        drop(self.closed.subscribe().wait_for(|closed| *closed).await);
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// Connects, and looks after a server that failed. Never ends; may be dropped at any time.
    pub(super) async fn tend(&self) {
        loop {
            let due = lock(&self.slot).breaker.probe_at();
            match due {
                Some(due) => {
                    tokio::time::sleep_until(due).await;
                    self.probe().await;
                }
                None => self.wake.notified().await,
            }
        }
    }

    fn connection(&self) -> Option<Connection> {
        let slot = lock(&self.slot);
        match slot.breaker.state() {
            BreakerState::Closed => slot.connection.clone(),
            BreakerState::Open | BreakerState::HalfOpen => None,
        }
    }

    fn is_in_doubt(&self) -> bool {
        let slot = lock(&self.slot);
        match slot.breaker.state() {
            BreakerState::Closed => false,
            BreakerState::Open | BreakerState::HalfOpen => {
                slot.doubted.is_some_and(|until| Instant::now() < until)
            }
        }
    }

    async fn probe(&self) {
        let connection = {
            let mut slot = lock(&self.slot);
            slot.breaker.begin_probe();
            slot.connection.take()
        };
        let outcome = timeout(CONNECT, self.reach(connection)).await;
        let reached = outcome.map_err(|_| None).and_then(|outcome| outcome.map_err(Some));
        if let Err(error) = &reached
            && self.complaints.allows(Instant::now())
        {
            let error = error.as_ref().map(tracing::field::display);
            tracing::warn!(error, "the shared cache does not answer; every replica is on its own");
        }
        let mut slot = lock(&self.slot);
        slot.breaker.end_probe(reached.is_ok(), Instant::now(), fraction());
        slot.connection = reached.ok();
        let closed = slot.connection.is_some();
        drop(slot);
        if closed && self.recoveries.allows(Instant::now()) {
            tracing::info!("the shared cache answers");
        }
        self.closed.send_replace(closed);
    }

    /// A connection over which the server answered within the budget. One that fails is not tried again: it may lead
    /// to a machine that is no more.
    async fn reach(&self, connection: Option<Connection>) -> Result<Connection, RedisError> {
        let mut connection = match connection {
            Some(connection) => connection,
            None => self.server.connect().await?,
        };
        match timeout(self.budget, connection.ask::<Vec<u8>>(&self.question())).await {
            Ok(Ok(_)) => Ok(connection),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(RedisError::from((ErrorKind::Io, "no answer within the budget"))),
        }
    }

    fn question(&self) -> Cmd {
        redis::cmd("GETRANGE").arg(&self.probe).arg(0).arg(0).to_owned()
    }

    fn failed(&self, error: &RedisError) {
        match meaning(error) {
            Meaning::Lost => self.fail(Failure::Gone, true),
            Meaning::Unfit => self.fail(Failure::Gone, false),
            Meaning::ReadOnly if self.server.may_move() => self.fail(Failure::Gone, true),
            Meaning::ReadOnly | Meaning::Refused => {
                if self.complaints.allows(Instant::now()) {
                    tracing::warn!(%error, "the shared cache refused a question");
                }
            }
        }
    }

    fn fail(&self, failure: Failure, connection_too: bool) {
        let mut slot = lock(&self.slot);
        let opened = slot.breaker.fail(failure, Instant::now(), fraction());
        if opened {
            slot.doubted = match failure {
                Failure::Late => Some(Instant::now() + DOUBT),
                Failure::Gone => None,
            };
            if connection_too {
                slot.connection = None;
            }
            drop(slot);
            self.meters.openings.add();
            self.closed.send_replace(false);
            self.wake.notify_one();
        }
    }
}

/// The answer, if it is there in time. A process that is short of processors is late itself: the answer may have
/// come, and those who would pass it on wait for their turn. They get one before the server is blamed.
async fn answer_within<T>(budget: Duration, asking: impl Future<Output = T>) -> Option<T> {
    let mut asking = pin!(asking);
    if let Ok(answer) = timeout(budget, &mut asking).await {
        return Some(answer);
    }
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
        if let Some(answer) = (&mut asking).now_or_never() {
            return Some(answer);
        }
    }
    None
}

fn meaning(error: &RedisError) -> Meaning {
    let kind = error.kind();
    if kind == ErrorKind::Server(ServerErrorKind::ReadOnly) {
        return Meaning::ReadOnly;
    }
    let unfit = [ServerErrorKind::BusyLoading, ServerErrorKind::ClusterDown, ServerErrorKind::MasterDown];
    if unfit.iter().any(|unfit| kind == ErrorKind::Server(*unfit)) {
        return Meaning::Unfit;
    }
    let refused = matches!(
        kind,
        ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::UnexpectedReturnType | ErrorKind::Client
    );
    if refused { Meaning::Refused } else { Meaning::Lost }
}
