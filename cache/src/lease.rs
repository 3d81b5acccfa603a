//! Leases: one piece of work, and a whole fleet that waits for it.

mod protocol;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use redis::Cmd;
use tokio::time::{Instant, sleep};

use self::protocol::{Event, Move};
use crate::random::fraction;
use crate::{Key, KeyBytes, Label, Shared};

/// The right to do a piece of work while the other replicas wait for what it leaves in the shared tier.
///
/// It saves work and guards nothing: who cannot tell whether others are at it works for itself, and after a holder
/// dies or stalls somebody else works too. So the work must be such that doing it twice is only dear.
#[derive(Clone, Debug)]
pub struct Lease {
    shared: Arc<Shared>,
    name: &'static str,
    times: LeaseTimes,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct LeaseTimes {
    /// How long a holder is believed to be alive that says nothing. While it works it says so thrice as often.
    pub hold: Duration,
    /// How long the others wait at most, before they do the work themselves. Longer than `hold`, or a holder that
    /// died would be as many extra workers as there are replicas.
    pub patience: Duration,
    /// How long one question may take, and twice that where answers began to be late just now. Longer than what a look
    /// into the cache may: what is saved is a whole discovery.
    pub budget: Duration,
}

impl Default for LeaseTimes {
    fn default() -> Self {
        Self {
            hold: Duration::from_secs(3),
            patience: Duration::from_secs(8),
            budget: Duration::from_millis(250),
        }
    }
}

/// How often those who wait look again, at first and at most.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const LAST_LOOK: Duration = Duration::from_millis(160);

/// Only the holder ends or prolongs its lease: in one step, or it might end another's.
const RELEASE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end";
const PROLONG: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) \
                       else return 0 end";

impl Lease {
    /// Leases on work of this name.
    pub fn new(shared: Arc<Shared>, name: &'static str, times: LeaseTimes) -> Self {
        Self { shared, name, times }
    }

    /// The outcome of the work for this key: of another replica, where `look` finds it, or else of this one.
    ///
    /// The work has to leave its outcome where `look` finds it before it ends, if it is for others at all; a failure
    /// is for nobody else, and the next who waits does the work again. `look` is asked often and has to be cheap:
    /// [`Memo::look_again`](crate::Memo::look_again) is what most want. Within the process,
    /// [`Flights`](crate::Flights) see to it that one asks for all.
    ///
    /// It ends: after `patience` at the latest this replica works itself. When it is dropped, the lease ends after
    /// `hold`.
    pub async fn run<T, Looking, Working>(
        &self,
        key: &impl Key,
        look: impl Fn() -> Looking,
        work: impl FnOnce() -> Working,
    ) -> T
    where
        Looking: Future<Output = Option<T>>,
        Working: Future<Output = T>,
    {
        let turn = self.turn(&KeyBytes::of(key));
        let mut work = Some(work);
        let mut outcome = None;
        let mut next = Move::FIRST;
        let (begun, mut pause) = (Instant::now(), FIRST_LOOK);
        loop {
            let event = match next {
                Move::Claim => turn.claim().await,
                Move::Look { .. } => {
                    outcome = look().await;
                    if outcome.is_some() { Event::Found } else { Event::NotFound }
                }
                Move::Pause if begun.elapsed() >= self.times.patience => Event::OutOfPatience,
                Move::Pause => {
                    sleep(pause.mul_f64(0.5 + fraction() / 2.0)).await;
                    pause = (pause * 2).min(LAST_LOOK);
                    Event::Waited
                }
                Move::Work { .. } => {
                    if let Some(work) = work.take() {
                        outcome = Some(turn.work(work(), next == Move::WORK_HOLDING).await);
                    }
                    Event::Finished
                }
                Move::Release => {
                    turn.release().await;
                    Event::Released
                }
                Move::End => Event::Released,
            };
            self.count(next, event);
            next = next.after(event);
            if next == Move::End
                && let Some(outcome) = outcome.take()
            {
                return outcome;
            }
        }
    }

    fn turn(&self, key: &KeyBytes) -> Turn<'_> {
        let label = Label {
            domain: self.shared.domain().plain(),
            table: "lease",
            build: self.name,
            key: key.as_slice(),
        };
        let mut token = [0; 16];
        if aws_lc_rs::rand::fill(&mut token).is_err() {
            // Of no use to anybody, and then nobody can tell: all work.
            tracing::error!("no randomness for a lease");
        }
        Turn { lease: self, place: self.shared.place(label), token }
    }

    fn count(&self, made: Move, event: Event) {
        let leases = self.shared.leases();
        match (made, event) {
            (Move::Work { held: protocol::Held::Yes }, _) => leases.held.add(),
            (Move::Work { .. }, _) => leases.alone.add(),
            (Move::Look { .. }, Event::Found) => leases.awaited.add(),
            (Move::Claim | Move::Look { .. } | Move::Pause | Move::Release | Move::End, _) => {}
        }
    }
}

/// One replica's part in one piece of work.
struct Turn<'a> {
    lease: &'a Lease,
    place: String,
    token: [u8; 16],
}

impl Turn<'_> {
    async fn claim(&self) -> Event {
        let command = redis::cmd("SET")
            .arg(&self.place)
            .arg(&self.token)
            .arg("NX")
            .arg("PX")
            .arg(millis(self.lease.times.hold))
            .to_owned();
        // The answer is OK, or nil where somebody has it. A herd makes answers late, and is what leases are for.
        let asking = self.lease.shared.ask_in_doubt::<Option<String>>(self.lease.times.budget, &command);
        match asking.await {
            Some(Some(_)) => Event::Granted,
            Some(None) => Event::Taken,
            None => Event::Unanswered,
        }
    }

    /// Works, and says that it is alive meanwhile.
    async fn work<T>(&self, work: impl Future<Output = T>, holding: bool) -> T {
        if !holding {
            return work.await;
        }
        tokio::select! {
            biased;
            outcome = work => outcome,
            never = self.prolong() => match never {},
        }
    }

    async fn prolong(&self) -> Infallible {
        loop {
            sleep(self.lease.times.hold / 3).await;
            // Where it fails, or another has it by now, the work goes on: it is nearer to its end than any other.
            let command = self.script(PROLONG).arg(millis(self.lease.times.hold)).to_owned();
            let _: Option<u64> = self.ask(&command).await;
        }
    }

    async fn release(&self) {
        let command = self.script(RELEASE);
        // Where it fails, it expires.
        let _: Option<u64> = self.ask(&command).await;
    }

    fn script(&self, script: &str) -> Cmd {
        redis::cmd("EVAL").arg(script).arg(1).arg(&self.place).arg(&self.token).to_owned()
    }

    async fn ask<T: redis::FromRedisValue>(&self, command: &Cmd) -> Option<T> {
        self.lease.shared.ask(self.lease.times.budget, command).await
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}
