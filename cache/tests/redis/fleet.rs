//! One piece of work for the whole fleet.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cache::{BreakerState, Flights, Lease, LeaseTimes, Links, Presence, Scope, Settings};
use futures_util::future::join_all;
use oci::Digest;
use testkit::relay::Relay;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::replica::{Replica, acme, settings, within};
use crate::server::Server;

struct Worker {
    replica: Replica,
    flights: Flights<String, String>,
    lease: Lease,
}

fn worker(replica: Replica) -> Arc<Worker> {
    let lease = Lease::new(replica.shared.clone(), "discovery", LeaseTimes::default());
    Arc::new(Worker { replica, flights: Flights::new(), lease })
}

/// As a discovery is asked for: remembered, or one flight here, and one lease in the fleet.
async fn discover(worker: Arc<Worker>, name: String, works: Arc<AtomicU32>) -> String {
    let key = acme(&name);
    if let Some(found) = worker.replica.find(&key).await {
        return found;
    }
    let flying = worker.clone();
    let flight = worker.flights.run(name.clone(), move || async move {
        let replica = &flying.replica;
        let work = || async {
            works.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(200)).await;
            replica.keep(&key, "found").await;
            "found".to_owned()
        };
        flying.lease.run(&name, || replica.memo.look_again(&key), work).await
    });
    flight.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_who_ask_three_replicas_for_ten_images_are_one_work_an_image() {
    let server = Server::start();
    let replicas = join_all((0..3).map(|_| Replica::of(&server))).await;
    let workers: Vec<_> = replicas.into_iter().map(worker).collect();
    let works = Arc::new(AtomicU32::new(0));
    let all = join_all((0..10_000).map(|number: usize| {
        let (worker, name) = (workers[number % 3].clone(), (number / 3 % 10).to_string());
        tokio::spawn(discover(worker, name, works.clone()))
    }));
    let outcomes = within(Duration::from_secs(60), all).await;
    assert!(outcomes.into_iter().all(|outcome| outcome.unwrap() == "found"));
    assert_eq!(works.load(Ordering::SeqCst), 10);
    let leases: Vec<_> = workers.iter().map(|worker| worker.replica.shared.stats().leases).collect();
    assert_eq!(leases.iter().map(|leases| leases.held).sum::<u64>(), 10, "{leases:?}");
    assert_eq!(leases.iter().map(|leases| leases.alone).sum::<u64>(), 0, "{leases:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_server_killed_in_the_middle_each_replica_works_once_at_most_for_itself() {
    let mut server = Server::start();
    let replicas = join_all((0..3).map(|_| Replica::of(&server))).await;
    let workers: Vec<_> = replicas.into_iter().map(worker).collect();
    let works = Arc::new(AtomicU32::new(0));
    let asked: Vec<_> = (0..3_000)
        .map(|number: usize| {
            let (worker, name) = (workers[number % 3].clone(), (number / 3 % 10).to_string());
            tokio::spawn(discover(worker, name, works.clone()))
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.kill();
    let begun = Instant::now();
    let outcomes = within(Duration::from_secs(60), join_all(asked)).await;
    assert!(outcomes.into_iter().all(|outcome| outcome.unwrap() == "found"));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let works = works.load(Ordering::SeqCst);
    assert!((10..=30).contains(&works), "{works}");
}

#[tokio::test]
async fn without_a_server_everybody_works_at_once() {
    let replica = Replica::unconnected(settings("redis://127.0.0.1:1"), &cache::Index::in_memory());
    let lease = Lease::new(replica.shared.clone(), "discovery", LeaseTimes::default());
    let begun = Instant::now();
    let outcome = lease.run(&"key", || async { None }, || async { "worked" }).await;
    assert_eq!(outcome, "worked");
    assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
    assert_eq!(replica.shared.stats().leases.alone, 1);
}

#[tokio::test]
async fn a_lease_lasts_as_long_as_its_holder_works() {
    let server = Server::start();
    let (one, other) = (Replica::of(&server).await, Replica::of(&server).await);
    let times = LeaseTimes { hold: Duration::from_millis(150), ..LeaseTimes::default() };
    let lease = |replica: &Replica| Lease::new(replica.shared.clone(), "discovery", times);
    let (slow, waiting) = (lease(&one), lease(&other));
    let key = acme("a");
    let work = || async {
        tokio::time::sleep(Duration::from_millis(800)).await;
        one.keep(&key, "found").await;
        "found".to_owned()
    };
    let (one_got, other_got) = tokio::join!(slow.run(&key, || one.find_shared(&key), work), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        waiting.run(&key, || other.find_shared(&key), || async { "worked twice".to_owned() }).await
    });
    assert_eq!((one_got.as_str(), other_got.as_str()), ("found", "found"));
    assert_eq!(other.shared.stats().leases.awaited, 1);
}

#[tokio::test]
async fn whoever_lost_a_lease_does_not_give_back_another_s() {
    let server = Server::start();
    let (one, other) = (Replica::of(&server).await, Replica::of(&server).await);
    let lease = |replica: &Replica| Lease::new(replica.shared.clone(), "discovery", LeaseTimes::default());
    let (slow, next) = (lease(&one), lease(&other));
    let (begun, go) = (Notify::new(), Notify::new());
    let work = || async {
        begun.notify_one();
        go.notified().await;
    };
    let leases = || server.ask::<Vec<String>>(&["KEYS", "countersign:lease:*"]);
    let mut first = Box::pin(slow.run(&"key", || async { None }, work));
    tokio::select! { () = &mut first => panic!("it waits"), () = begun.notified() => {} }
    server.ask::<u64>(&["DEL", &leases()[0]]);
    let mut second = Box::pin(next.run(&"key", || async { None }, work));
    tokio::select! { () = &mut second => panic!("it waits"), () = begun.notified() => {} }

    go.notify_one();
    tokio::select! { () = &mut first => {}, () = &mut second => panic!("it was not its turn") }
    assert_eq!(leases().len(), 1, "the second still has it");
    go.notify_one();
    second.await;
    assert_eq!(leases().len(), 0);
}

#[tokio::test]
async fn a_child_is_served_by_a_replica_that_never_saw_its_manifest() {
    let server = Server::start();
    let (one, other) = (Replica::of(&server).await, Replica::of(&server).await);
    let day = Duration::from_secs(24 * 3600);
    let links = |replica: &Replica| Links::shared(Some(replica.index.clone()), replica.shared.clone(), day);
    let (of_one, of_other) = (links(&one), links(&other));
    let (here, there) = (Scope::new(&[b"default", b"app"]), Scope::new(&[b"default", b"other"]));
    let digest = |name: &str| Digest::of(name.as_bytes());
    let (base, top) = (digest("base"), digest("top"));

    // Both at once, and nothing is lost.
    let (of_first, of_second) = ([(base, 10), (top, 20)], [(base, 10)]);
    tokio::join!(
        of_one.add(&here, digest("first"), &of_first),
        of_other.add(&here, digest("second"), &of_second),
    );
    let parents = |links: Vec<cache::Link>| links.into_iter().map(|link| link.parent).collect::<HashSet<_>>();
    let both = HashSet::from([digest("first"), digest("second")]);
    assert_eq!(parents(of_other.parents(&here, &top).await), HashSet::from([digest("first")]));
    assert_eq!(parents(of_one.parents(&here, &base).await).len(), 1, "what is known here is enough at first");
    assert_eq!(parents(of_one.parents_in_fleet(&here, &base).await), both);
    assert_eq!(parents(of_one.parents(&here, &base).await), both, "and is known here from now on");
    assert!(of_other.parents(&there, &base).await.is_empty(), "a scope is a scope");

    // A link that somebody copies to another child opens nothing.
    let mut intruder = server.intruder();
    let places: Vec<Vec<u8>> = redis::cmd("KEYS").arg("countersign:links:*").query(&mut intruder).unwrap();
    let all: Vec<Vec<u8>> = redis::cmd("MGET").arg(&places).query(&mut intruder).unwrap();
    redis::cmd("SET").arg(&places[0]).arg(&all[1]).exec(&mut intruder).unwrap();
    redis::cmd("SET").arg(&places[1]).arg(&all[0]).exec(&mut intruder).unwrap();
    let fresh = links(&Replica::of(&server).await);
    assert!(fresh.parents(&here, &base).await.is_empty() && fresh.parents(&here, &top).await.is_empty());

    // A purge reaches all, and what is linked again is linked.
    one.listens().await;
    other.listens().await;
    of_one.purge_scope(&here).await;
    other.until(|stats| stats.purges == 1).await;
    assert!(of_other.parents(&here, &base).await.is_empty());
    of_other.add(&here, digest("second"), &[(base, 10)]).await;
    assert_eq!(parents(of_other.parents(&here, &base).await), HashSet::from([digest("second")]));
    assert_eq!(parents(of_one.parents(&here, &base).await), HashSet::from([digest("second")]));
}

#[tokio::test]
async fn a_fleet_that_could_not_be_told_of_a_link_is_told_later() {
    let mut server = Server::start();
    let one = Replica::of(&server).await;
    one.listens().await;
    let day = Duration::from_secs(24 * 3600);
    let links = |replica: &Replica| Links::shared(Some(replica.index.clone()), replica.shared.clone(), day);
    let (of_one, here, base) = (links(&one), Scope::new(&[b"app"]), Digest::of(b"base"));
    server.kill();
    one.until(|stats| stats.openings == 1).await;
    of_one.add(&here, Digest::of(b"first"), &[(base, 10)]).await;
    assert_eq!(of_one.parents(&here, &base).await.len(), 1);
    server.restart();
    one.answers().await;
    of_one.add(&here, Digest::of(b"first"), &[(base, 10)]).await;
    assert_eq!(links(&Replica::of(&server).await).parents(&here, &base).await.len(), 1);
}

#[tokio::test]
async fn it_can_be_said_where_something_is_remembered_and_saying_it_changes_nothing() {
    let server = Server::start();
    let (one, other) = (Replica::of(&server).await, Replica::of(&server).await);
    let (nowhere, shared) = (Presence { memory: false, disk: false, shared: false }, acme("shared"));
    assert_eq!(one.memo.inspect(&shared).await, nowhere);
    one.keep(&shared, "value").await;
    assert_eq!(one.memo.inspect(&shared).await, Presence { memory: true, disk: true, shared: true });
    for _ in 0..2 {
        assert_eq!(other.memo.inspect(&shared).await, Presence { shared: true, ..nowhere });
    }
    other.find(&shared).await;
    server.ask::<String>(&["FLUSHALL"]);
    assert_eq!(other.memo.inspect(&shared).await, Presence { memory: true, disk: true, shared: false });
}

#[tokio::test]
async fn a_server_that_was_late_for_a_moment_is_waited_for_by_whoever_would_work_alone() {
    let server = Server::start();
    let relay = Relay::to(server.port).await;
    let url = format!("redis://127.0.0.1:{}", relay.port());
    let one = Replica::with(Settings { budget: Duration::from_millis(40), ..settings(&url) }).await;
    let times = LeaseTimes { budget: Duration::from_secs(1), ..LeaseTimes::default() };
    let lease = Lease::new(one.shared.clone(), "discovery", times);
    relay.delay(Duration::from_millis(200));
    // Late thrice, and so left alone.
    for number in 0..3 {
        assert_eq!(one.find(&acme(&number.to_string())).await, None);
    }
    assert_ne!(one.shared.stats().breaker, BreakerState::Closed);
    relay.delay(Duration::ZERO);
    assert_eq!(lease.run(&"key", || async { None }, || async { "worked" }).await, "worked");
    let leases = one.shared.stats().leases;
    assert_eq!((leases.held, leases.alone), (1, 0));
}

#[tokio::test]
async fn answers_are_read_in_time_where_requests_keep_every_worker_busy() {
    let server = Server::start();
    let one = Replica::with(Settings { budget: Duration::from_millis(40), ..settings(&server.url()) }).await;
    one.keep(&acme("known"), "value").await;
    let busy = Arc::new(AtomicU32::new(1));
    // The one worker there is has to pass through all of these between two looks at its sockets.
    let crowd: Vec<_> = (0..64)
        .map(|_| {
            let busy = busy.clone();
            tokio::spawn(async move {
                while busy.load(Ordering::Relaxed) == 1 {
                    let begun = std::time::Instant::now();
                    while begun.elapsed() < Duration::from_millis(2) {
                        std::hint::spin_loop();
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for _ in 0..5 {
        assert_eq!(one.find_shared(&acme("known")).await.as_deref(), Some("value"));
    }
    busy.store(0, Ordering::Relaxed);
    join_all(crowd).await;
    assert_eq!(one.shared.stats().openings, 0);
}
