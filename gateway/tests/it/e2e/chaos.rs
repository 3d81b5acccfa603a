//! Attack 12: a Redis that is killed, paused, slow, read-only, emptied or failed over, and gateways that stay ready and
//! right, and share again when it is back.

use std::time::{Duration, Instant};

use oci::Digest;
use testkit::relay::Relay;

use super::parts::until;
use super::redis::{Cluster, Watched};
use super::replicas::{Fleet, Keys, image, manifest, reaches};
use crate::stage::{Gateway, Stage};

/// How many decisions are timed.
const DECISIONS: usize = 400;

/// Two replicas, an image that both remember, and numbers for new ones.
struct World {
    replicas: [Gateway; 2],
    known: Digest,
    seeds: std::ops::RangeFrom<u64>,
}

impl World {
    async fn new(fleet: &Fleet, keys: &Keys) -> Self {
        let replicas = [fleet.replica_with("one", keys).await, fleet.replica_with("two", keys).await];
        let known = fleet.stage.signed(0, "acme/app", "known").digest();
        for replica in &replicas {
            assert_eq!(replica.denial(&image(&known)).await, "");
        }
        Self { replicas, known, seeds: 1.. }
    }

    /// Every replica is ready and right, of what is known, what is new, and tags that move.
    async fn is_right(&mut self, stage: &Stage, when: &str) {
        let mut seed = || self.seeds.next().unwrap();
        let signed = stage.signed(seed(), "acme/app", "moving").digest();
        let unsigned = stage.unsigned(seed(), "acme/app", "unsigned").digest();
        for replica in &self.replicas {
            assert_eq!(replica.admin("/readyz").await.status, 200, "{when}");
            assert_eq!(replica.denial(&image(&self.known)).await, "", "{when}");
            assert_eq!(replica.denial(&image(&signed)).await, "", "{when}");
            assert!(replica.denial(&image(&unsigned)).await.contains("no signatures found"), "{when}");
            let moved = replica.get(&manifest("moving")).await;
            assert_eq!((moved.status.as_u16(), Digest::of(moved.bytes())), (200, signed), "{when}");
            assert_eq!(replica.get(&manifest("unsigned")).await.status, 403, "{when}");
        }
    }

    /// They share again: what one finds, the other does not ask for.
    async fn shares(&mut self, fleet: &Fleet, when: &str) {
        for replica in &self.replicas {
            reaches(replica).await;
        }
        until(when, async || {
            let digest = fleet.stage.signed(self.seeds.next().unwrap(), "acme/app", "shared").digest();
            for replica in &self.replicas {
                assert_eq!(replica.denial(&image(&digest)).await, "", "{when}");
            }
            fleet.discoveries(&digest) == 1
        })
        .await;
    }

    /// The middle and the slowest hundredth of decisions that are in memory.
    async fn decides(&self) -> [Duration; 2] {
        let mut took = Vec::with_capacity(DECISIONS);
        for _ in 0..DECISIONS {
            let begun = Instant::now();
            assert_eq!(self.replicas[0].denial(&image(&self.known)).await, "");
            took.push(begun.elapsed());
        }
        took.sort_unstable();
        [took[DECISIONS / 2], took[DECISIONS * 99 / 100]]
    }
}

#[expect(clippy::print_stderr, reason = "figures that are reported and not asserted")]
fn report(what: &str, before: [Duration; 2], during: [Duration; 2]) {
    let ratio = |at: usize| during[at].as_secs_f64() / before[at].as_secs_f64();
    eprintln!(
        "chaos: {what}: a decision in memory took {:.2?} and p99 {:.2?}, before {:.2?} and {:.2?}: {:.2} and {:.2} times",
        during[0],
        during[1],
        before[0],
        before[1],
        ratio(0),
        ratio(1)
    );
}

/// What is done to Redis.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Killed,
    Paused,
    Slow,
    ReadOnly,
    Emptied,
}

impl Fault {
    async fn begin(self, fleet: &mut Fleet, relay: &Relay) {
        match self {
            Self::Killed => fleet.redis.kill(),
            Self::Paused => fleet.redis.pause(),
            Self::Slow => relay.delay(Duration::from_millis(50)),
            // It follows somebody who is not there.
            Self::ReadOnly => drop(fleet.redis.ask("REPLICAOF 127.0.0.1 1").await),
            Self::Emptied => drop(fleet.redis.ask("FLUSHALL").await),
        }
    }

    async fn end(self, fleet: &mut Fleet, relay: &Relay) {
        match self {
            Self::Killed => fleet.redis.restart().await,
            Self::Paused => fleet.redis.resume(),
            Self::Slow => relay.delay(Duration::ZERO),
            Self::ReadOnly => drop(fleet.redis.ask("REPLICAOF NO ONE").await),
            Self::Emptied => {}
        }
    }
}

async fn survives(fault: Fault) {
    let mut fleet = Fleet::new().await;
    let relay = Relay::to(fleet.redis.port).await;
    let url = format!("redis://127.0.0.1:{}", relay.port());
    let keys = Keys { redis: fleet.sealed(&url, "seal.key"), ..fleet.keys() };
    let mut world = World::new(&fleet, &keys).await;
    let before = world.decides().await;
    fault.begin(&mut fleet, &relay).await;
    world.is_right(&fleet.stage, &format!("{fault:?}")).await;
    let during = world.decides().await;
    world.is_right(&fleet.stage, &format!("still {fault:?}")).await;
    let third = fleet.unready("three", &keys).await;
    assert_eq!(third.admin("/readyz").await.status, 200);
    assert_eq!(third.denial(&image(&world.known)).await, "", "{fault:?}, to one that starts");
    fault.end(&mut fleet, &relay).await;
    world.shares(&fleet, &format!("after {fault:?}")).await;
    world.is_right(&fleet.stage, &format!("after {fault:?}")).await;
    report(&format!("{fault:?}"), before, during);
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_12_a_redis_that_is_killed_changes_no_answer() {
    survives(Fault::Killed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_12_a_redis_that_is_paused_changes_no_answer() {
    survives(Fault::Paused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_12_a_redis_that_is_slow_changes_no_answer() {
    survives(Fault::Slow).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_12_a_redis_that_takes_no_writes_changes_no_answer() {
    survives(Fault::ReadOnly).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_12_a_redis_that_is_emptied_changes_no_answer() {
    survives(Fault::Emptied).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_12_behind_a_sentinel_the_next_master_is_found_unaided() {
    let fleet = Fleet::new().await;
    let mut watched = Watched::start(fleet.stage.directory.path()).await;
    let keys = Keys { redis: fleet.sealed(&watched.url(), "seal.key"), ..fleet.keys() };
    let mut world = World::new(&fleet, &keys).await;
    world.shares(&fleet, "before").await;
    let before = world.decides().await;
    watched.master.kill();
    world.is_right(&fleet.stage, "with the master gone").await;
    let during = world.decides().await;
    watched.failed_over().await;
    world.is_right(&fleet.stage, "failed over").await;
    world.shares(&fleet, "failed over").await;
    for replica in &world.replicas {
        assert!(replica.shared().stats().openings > 0);
    }
    report("failed over by a sentinel", before, during);
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_12_in_a_cluster_whose_master_dies_answers_stay_right_and_are_shared_again() {
    let fleet = Fleet::new().await;
    let mut cluster = Cluster::start(fleet.stage.directory.path()).await;
    let keys = Keys { redis: fleet.sealed(&cluster.url(), "seal.key"), ..fleet.keys() };
    let mut world = World::new(&fleet, &keys).await;
    world.shares(&fleet, "before").await;
    let before = world.decides().await;
    cluster.nodes[0].kill();
    world.is_right(&fleet.stage, "with a master gone").await;
    let during = world.decides().await;
    cluster.failed_over().await;
    world.is_right(&fleet.stage, "failed over").await;
    // In every slot there is.
    for _ in 0..8 {
        world.shares(&fleet, "failed over").await;
    }
    report("failed over in a cluster", before, during);
}
