//! Attack 12: a server that is down, slow, read-only, emptied or set back. What is known stays known, nobody waits
//! for long, and all is well again when the server is.

use std::time::Duration;

use cache::{BreakerState, Index, Settings};
use testkit::relay::Relay;
use tokio::time::Instant;

use crate::replica::{Replica, acme, settings};
use crate::server::{Server, free_port};

/// What a look may cost beside its budget, on a busy machine.
const SLACK: Duration = Duration::from_millis(250);

fn impatient(url: &str) -> Settings {
    Settings { budget: Duration::from_millis(40), ..settings(url) }
}

#[tokio::test]
async fn a_replica_starts_without_a_server_and_finds_it_when_it_is_there() {
    let port = free_port();
    let begun = Instant::now();
    let replica = Replica::unconnected(settings(&format!("redis://127.0.0.1:{port}")), &Index::in_memory());
    replica.keep(&acme("a"), "value").await;
    assert_eq!(replica.find(&acme("a")).await.as_deref(), Some("value"));
    assert_eq!(replica.find(&acme("b")).await, None);
    assert!(begun.elapsed() < SLACK, "{:?}", begun.elapsed());
    assert!(replica.shared.stats().spared >= 2);

    let server = Server::unready(port, &[]);
    replica.answers().await;
    replica.keep(&acme("b"), "value").await;
    assert!(Replica::of(&server).await.find(&acme("b")).await.is_some());
}

#[tokio::test]
async fn attack_12_a_server_that_is_killed_costs_nothing_and_is_found_again() {
    let mut server = Server::start();
    let replica = Replica::of(&server).await;
    replica.listens().await;
    replica.keep(&acme("known"), "value").await;
    server.kill();
    replica.until(|stats| stats.openings == 1).await;
    let begun = Instant::now();
    for number in 0..200 {
        assert_eq!(replica.find(&acme(&number.to_string())).await, None);
        assert!(replica.find(&acme("known")).await.is_some());
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    server.restart();
    replica.answers().await;
    replica.keep(&acme("new"), "value").await;
    assert!(Replica::of(&server).await.find(&acme("new")).await.is_some());
    assert_eq!(replica.shared.stats().breaker, BreakerState::Closed);
}

#[tokio::test]
async fn attack_12_a_server_that_is_paused_costs_a_few_budgets_and_no_more() {
    let server = Server::start();
    let replica = Replica::with(impatient(&server.url())).await;
    replica.keep(&acme("known"), "value").await;
    server.pause();
    let begun = Instant::now();
    for number in 0..100 {
        assert_eq!(replica.find(&acme(&number.to_string())).await, None);
        assert!(replica.find(&acme("known")).await.is_some());
    }
    let took = begun.elapsed();
    assert!(took < 3 * Duration::from_millis(40) + Duration::from_secs(1), "{took:?}");
    let stats = replica.shared.stats();
    assert!(stats.late <= 4 && stats.spared >= 96, "{stats:?}");
    server.resume();
    replica.answers().await;
    replica.until(|stats| stats.listening).await;
}

#[tokio::test]
async fn attack_12_a_server_that_is_slow_is_left_alone_until_it_is_not() {
    let server = Server::start();
    let relay = Relay::to(server.port).await;
    let replica = Replica::with(impatient(&format!("redis://127.0.0.1:{}", relay.port()))).await;
    relay.delay(Duration::from_millis(90));
    let mut slowest = Duration::ZERO;
    for number in 0..100 {
        let begun = Instant::now();
        assert_eq!(replica.find(&acme(&number.to_string())).await, None);
        slowest = slowest.max(begun.elapsed());
    }
    assert!(slowest < Duration::from_millis(40) + SLACK, "{slowest:?}");
    assert_ne!(replica.shared.stats().breaker, BreakerState::Closed);
    relay.delay(Duration::ZERO);
    replica.answers().await;
    replica.keep(&acme("a"), "value").await;
    assert!(replica.find_shared(&acme("a")).await.is_some());
}

#[tokio::test]
async fn attack_12_a_server_that_takes_no_writes_is_still_read() {
    let server = Server::start();
    let (writer, reader) = (Replica::of(&server).await, Replica::of(&server).await);
    writer.keep(&acme("before"), "value").await;
    let nowhere = free_port().to_string();
    server.ask::<String>(&["REPLICAOF", "127.0.0.1", &nowhere]);
    writer.keep(&acme("meanwhile"), "value").await;
    assert!(writer.find(&acme("meanwhile")).await.is_some(), "here it is known");
    assert!(reader.find(&acme("before")).await.is_some());
    assert_eq!(reader.find(&acme("meanwhile")).await, None);
    assert_eq!(writer.shared.stats().breaker, BreakerState::Closed);
    server.ask::<String>(&["REPLICAOF", "NO", "ONE"]);
    writer.keep(&acme("after"), "value").await;
    assert!(reader.find(&acme("after")).await.is_some());
}

#[tokio::test]
async fn attack_12_a_server_that_is_emptied_takes_nothing_from_those_who_know() {
    let server = Server::start();
    let replica = Replica::of(&server).await;
    replica.keep(&acme("known"), "value").await;
    server.ask::<String>(&["FLUSHALL"]);
    assert!(replica.find(&acme("known")).await.is_some());
    let other = Replica::of(&server).await;
    assert_eq!(other.find(&acme("known")).await, None);
    other.keep(&acme("known"), "again").await;
    assert_eq!(replica.find_shared(&acme("known")).await.as_deref(), Some("again"));
}

#[tokio::test]
async fn attack_12_an_old_dump_brings_nothing_back_that_was_purged() {
    let mut server = Server::start();
    let replica = Replica::of(&server).await;
    replica.listens().await;
    replica.keep(&acme("image"), "allow").await;
    server.ask::<String>(&["SAVE"]);
    let dump = server.directory.path().join("dump.rdb");
    let old = std::fs::read(&dump).unwrap();
    replica.purge_tenant("acme").await;
    server.kill();
    replica.until(|stats| stats.openings == 1 && !stats.listening).await;
    std::fs::write(&dump, old).unwrap();
    server.restart();
    replica.answers().await;
    replica.listens().await;
    assert_eq!(server.ask::<Vec<String>>(&["KEYS", "countersign:things:*"]).len(), 1, "the dump is back");
    assert_eq!(replica.find(&acme("image")).await, None);
    assert_eq!(replica.shared.stats().purged, 1);
}

#[tokio::test]
async fn a_purge_that_could_not_be_told_is_told_when_the_server_is_back() {
    let mut server = Server::start();
    let (one, other) = (Replica::of(&server).await, Replica::of(&server).await);
    one.keep(&acme("image"), "allow").await;
    assert!(other.find(&acme("image")).await.is_some());
    other.listens().await;
    server.kill();
    one.purge_tenant("acme").await;
    assert_eq!(one.find(&acme("image")).await, None, "here it is purged at once");
    server.restart();
    other.until(|stats| stats.purges == 1).await;
    assert_eq!(other.find(&acme("image")).await, None);
}

#[tokio::test]
async fn a_replica_that_was_down_hears_of_a_purge_once() {
    let server = Server::start();
    let index = Index::in_memory();
    let before = Replica::unconnected(settings(&server.url()), &index);
    before.answers().await;
    before.keep(&acme("image"), "allow").await;
    drop(before);

    Replica::of(&server).await.purge_tenant("acme").await;
    let after = Replica::unconnected(settings(&server.url()), &index);
    after.listens().await;
    assert_eq!(after.find(&acme("image")).await, None, "its disk had it");
    after.keep(&acme("image"), "allow").await;
    drop(after);
    let shared: Vec<String> = server.ask(&["KEYS", "countersign:things:*"]);
    server.ask::<u64>(&["DEL", &shared[0]]);
    let later = Replica::unconnected(settings(&server.url()), &index);
    later.listens().await;
    assert!(later.find(&acme("image")).await.is_some(), "what came after the purge stays");
}

#[tokio::test]
async fn a_password_that_is_refused_is_as_a_server_that_is_away() {
    let server = Server::start();
    server.ask::<String>(&["ACL", "SETUSER", "default", "on", ">right"]);
    let wrong = Settings { password: Some("wrong".into()), ..settings(&server.url()) };
    let replica = Replica::unconnected(wrong, &Index::in_memory());
    replica.keep(&acme("a"), "value").await;
    assert!(replica.find(&acme("a")).await.is_some());
    let right = Settings { password: Some("right".into()), ..settings(&server.url()) };
    Replica::with(right).await;
    assert_ne!(replica.shared.stats().breaker, BreakerState::Closed);
}
