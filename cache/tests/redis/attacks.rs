//! The catalogue of attacks on the cache, as far as they concern what is shared. Whoever attacks can read and write
//! all of Redis.

use std::time::Duration;

use cache::{Lease, LeaseTimes, Limits, Memo, Sharing, What};
use redis::Connection;
use tokio::time::{Instant, sleep};

use crate::replica::{Replica, TenantKey, acme, key, memo, secret, settings};
use crate::server::Server;

/// The places of what is stored, in no order.
fn places(connection: &mut Connection) -> Vec<Vec<u8>> {
    redis::cmd("KEYS").arg("countersign:things:*").query(connection).unwrap()
}

fn read(connection: &mut Connection, place: &[u8]) -> Vec<u8> {
    redis::cmd("GET").arg(place).query(connection).unwrap()
}

fn write(connection: &mut Connection, place: &[u8], value: &[u8]) {
    redis::cmd("SET").arg(place).arg(value).exec(connection).unwrap();
}

/// Where a replica puts a value, and what it puts there.
async fn sealed(
    replica: &Replica,
    server: &Server,
    tenant: &str,
    name: &str,
    value: &str,
) -> (Vec<u8>, Vec<u8>) {
    let mut intruder = server.intruder();
    let before = places(&mut intruder);
    replica.keep(&key(tenant, name), value).await;
    let place = places(&mut intruder).into_iter().find(|place| !before.contains(place)).unwrap();
    let sealed = read(&mut intruder, &place);
    (place, sealed)
}

#[tokio::test]
async fn attack_1_a_tag_that_moved_is_believed_no_longer_than_it_was_to_be_anywhere() {
    let server = Server::start();
    let (one, other) = (Replica::of(&server).await, Replica::of(&server).await);
    let (tag, fresh) = (acme("app:1"), Duration::from_millis(600));
    let begun = Instant::now();
    one.memo.keep_for(tag.clone(), "D1".into(), fresh).await;
    sleep(Duration::from_millis(200)).await;
    assert_eq!(other.find(&tag).await.as_deref(), Some("D1"));
    // Whoever hears of it late believes it no longer than whoever heard first.
    tokio::time::sleep_until(begun + fresh + Duration::from_millis(50)).await;
    assert_eq!((one.find(&tag).await, other.find(&tag).await), (None, None));
    one.memo.keep_for(tag.clone(), "D2".into(), fresh).await;
    assert_eq!(other.find(&tag).await.as_deref(), Some("D2"));
}

#[tokio::test]
async fn attack_2_what_is_forged_flipped_cut_or_swapped_is_a_miss_and_is_counted() {
    let server = Server::start();
    let (writer, reader) = (Replica::of(&server).await, Replica::of(&server).await);
    let (place, good) = sealed(&writer, &server, "acme", "evil", "deny").await;
    let (other_place, other) = sealed(&writer, &server, "acme", "good", "allow").await;
    let mut intruder = server.intruder();
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let forgeries: Vec<Vec<u8>> = vec![
        b"allow".to_vec(),
        br#"{"lasts":true,"value":"allow"}"#.to_vec(),
        good[..good.len() - 1].to_vec(),
        flipped,
        other.clone(),
        vec![1; 65],
    ];
    let count = forgeries.len() as u64;
    for forged in forgeries {
        write(&mut intruder, &place, &forged);
        assert_eq!(reader.find(&acme("evil")).await, None, "{forged:?}");
    }
    let stats = reader.shared.stats();
    assert_eq!(stats.seals_broken + stats.seals_unknown, count, "{stats:?}");
    write(&mut intruder, &place, &good);
    assert_eq!(reader.find(&acme("evil")).await.as_deref(), Some("deny"));
    write(&mut intruder, &other_place, &other);
    assert_eq!(reader.find(&acme("good")).await.as_deref(), Some("allow"));
}

#[tokio::test]
async fn attack_2_a_value_of_any_size_costs_no_more_than_ours_and_another_type_is_a_miss() {
    let server = Server::start();
    let (writer, reader) = (Replica::of(&server).await, Replica::of(&server).await);
    let (place, _) = sealed(&writer, &server, "acme", "a", "small").await;
    let mut intruder = server.intruder();
    redis::cmd("SETRANGE").arg(&place).arg(200_000_000).arg("x").exec(&mut intruder).unwrap();
    assert_eq!(reader.find(&acme("a")).await, None);
    assert_eq!(reader.shared.stats().oversized, 1);
    redis::cmd("DEL").arg(&place).exec(&mut intruder).unwrap();
    redis::cmd("LPUSH").arg(&place).arg("x").exec(&mut intruder).unwrap();
    assert_eq!(reader.find(&acme("a")).await, None);
    writer.keep(&acme("a"), &"x".repeat(70_000)).await;
    assert_eq!(writer.shared.stats().oversized, 1, "what is large is not shared");
    assert_eq!(writer.find(&acme("a")).await.map(|value| value.len()), Some(70_000));
}

#[tokio::test]
async fn attack_3_what_one_tenant_has_is_nothing_to_another() {
    let server = Server::start();
    let (writer, reader) = (Replica::of(&server).await, Replica::of(&server).await);
    let (_, lax) = sealed(&writer, &server, "lax", "image", "allow").await;
    assert_eq!(reader.find(&key("strict", "image")).await, None);
    // Copied to where the other tenant's would be.
    let (place, _) = sealed(&writer, &server, "strict", "image", "deny").await;
    write(&mut server.intruder(), &place, &lax);
    assert_eq!(reader.find(&key("strict", "image")).await, None);
    assert_eq!(reader.shared.stats().seals_broken, 1);
    // Names that would be the same if they were put together otherwise.
    writer.keep(&key("a;b", "c"), "one").await;
    for (tenant, name) in [("a", "b;c"), ("a;b;c", ""), ("a;", "bc"), ("a;b", "c\0"), ("a;b", "С")] {
        assert_eq!(reader.find(&key(tenant, name)).await, None, "{tenant} {name}");
    }
    assert_eq!(reader.find(&key("a;b", "c")).await.as_deref(), Some("one"));
}

#[tokio::test]
async fn attack_4_a_new_build_does_not_believe_the_old_and_a_rollback_finds_its_own() {
    let server = Server::start();
    let old = Replica::of(&server).await;
    old.keep(&acme("image"), "by 1").await;
    let new = Replica::of(&server).await;
    let of_new = memo(&new.shared, &new.index, "2");
    assert_eq!(of_new.find(&acme("image")).await, None);
    of_new.keep(acme("image"), "by 2".into()).await;
    let rolled_back = Replica::of(&server).await;
    assert_eq!(rolled_back.find(&acme("image")).await.as_deref(), Some("by 1"));
    assert_eq!(new.shared.stats().seals_broken, 0, "a roll-out is no alarm");
}

#[tokio::test]
async fn attack_6_what_was_purged_is_not_warmed_again_by_a_copy() {
    let server = Server::start();
    let (one, other) = (Replica::of(&server).await, Replica::of(&server).await);
    let (place, old) = sealed(&one, &server, "acme", "image", "allow").await;
    one.keep(&key("globex", "image"), "allow").await;
    assert!(
        other.find(&acme("image")).await.is_some() && other.find(&key("globex", "image")).await.is_some()
    );
    one.listens().await;
    other.listens().await;
    let begun = Instant::now();
    one.purge_tenant("acme").await;
    other.until(|stats| stats.purges == 1).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    // The store still has it, and an old copy is put back too.
    write(&mut server.intruder(), &place, &old);
    for replica in [&one, &other, &Replica::of(&server).await] {
        replica.listens().await;
        assert_eq!(replica.find(&acme("image")).await, None);
        assert!(replica.find(&key("globex", "image")).await.is_some(), "others are not purged");
        assert_eq!(replica.shared.stats().purged, 1);
    }
    // What is found anew right after it is shared at once.
    one.keep(&acme("image"), "anew").await;
    assert_eq!(other.find(&acme("image")).await.as_deref(), Some("anew"));
}

#[tokio::test]
async fn attack_7_that_there_is_nothing_is_believed_for_a_while_only_and_gives_way_at_once() {
    let server = Server::start();
    let (one, other) = (Replica::of(&server).await, Replica::of(&server).await);
    one.memo.keep_for(acme("image"), "unsigned".into(), Duration::from_secs(30)).await;
    assert_eq!(other.find(&acme("image")).await.as_deref(), Some("unsigned"));
    let (mut intruder, longest) = (server.intruder(), Duration::from_secs(30).as_millis() as i64);
    let place = places(&mut intruder).remove(0);
    let left: i64 = redis::cmd("PTTL").arg(&place).query(&mut intruder).unwrap();
    assert!((1..=longest).contains(&left), "{left}");
    // It is signed meanwhile, and one of them looked.
    one.keep(&acme("image"), "signed").await;
    assert_eq!(other.find_shared(&acme("image")).await.as_deref(), Some("signed"));
    assert_eq!(other.find(&acme("image")).await.as_deref(), Some("signed"));
}

#[tokio::test]
async fn attack_8_a_flood_that_evicts_all_of_redis_costs_those_who_are_warm_nothing() {
    let server = Server::with(&["--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru"]);
    let (victim, flood) = (Replica::of(&server).await, Replica::of(&server).await);
    for number in 0..100 {
        victim.keep(&acme(&number.to_string()), "value").await;
    }
    let filling = "x".repeat(10_000);
    for number in 0..500 {
        flood.keep(&key("flood", &number.to_string()), &filling).await;
    }
    let evicted: String = server.ask(&["INFO", "stats"]);
    assert!(!evicted.contains("evicted_keys:0\r"), "the flood was too small");
    for number in 0..100 {
        assert!(victim.find(&acme(&number.to_string())).await.is_some());
    }
    assert_eq!(victim.memo.stats().misses, 0);
}

#[tokio::test]
async fn attack_8_a_flood_of_names_leaves_a_victim_that_is_in_use_its_hits() {
    const ENTRIES: u64 = 500;
    const BYTES: u64 = 256 * 1024;
    const HOT: u64 = 50;
    let server = Server::with(&["--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru"]);
    let replica = Replica::of(&server).await;
    // Neither a disk to fall back on nor room for a tenth of the flood.
    let sharing = Sharing::new(replica.shared.clone(), What::Conclusions, Duration::from_secs(3600));
    let memo = Memo::<TenantKey, String>::shared(
        "flooded",
        Limits { bytes: BYTES, entries: ENTRIES },
        None,
        sharing,
    );
    for number in 0..HOT {
        memo.keep(acme(&number.to_string()), "value".into()).await;
    }
    let (mut looks, mut hits) = (0_u32, 0_u32);
    for number in 0..10 * ENTRIES {
        memo.keep(key("flood", &number.to_string()), "filling".repeat(50)).await;
        // The victim goes on with its work: a look for each ten of the flood's.
        if number % 10 == 0 {
            let hot = acme(&(number / 10 % HOT).to_string());
            looks += 1;
            match memo.find_in_memory(&hot) {
                Some(_) => hits += 1,
                None => memo.keep(hot, "value".into()).await,
            }
        }
    }
    assert!(f64::from(hits) >= 0.95 * f64::from(looks), "{hits} of {looks}");
    let held = memo.held().bytes;
    assert!(held <= BYTES * 5 / 4, "{held} bytes");
}

#[tokio::test]
async fn attack_9_a_leader_that_hangs_or_dies_or_fails_holds_up_nobody() {
    let server = Server::start();
    let (one, other) = (Replica::of(&server).await, Replica::of(&server).await);
    let times = LeaseTimes {
        hold: Duration::from_millis(300),
        patience: Duration::from_millis(900),
        budget: Duration::from_millis(500),
    };
    let lease = |replica: &Replica| Lease::new(replica.shared.clone(), "discovery", times);
    let work = |replica: &'static str| async move { Err::<&str, _>(replica) };

    // It dies: nothing prolongs its lease any more.
    let (leader, key) = (lease(&one), "dies");
    let mut dying = Box::pin(leader.run(&key, || async { None::<()> }, std::future::pending));
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut dying).await.is_err());
    drop(dying);
    let begun = Instant::now();
    let outcome = lease(&other).run(&key, || async { None }, || work("other")).await;
    assert_eq!((outcome, begun.elapsed() < times.patience), (Err("other"), true));
    assert_eq!(other.shared.stats().leases.held, 1, "it had the lease");

    // It hangs and says that it is alive.
    let key = "hangs";
    let mut hanging = Box::pin(leader.run(&key, || async { None::<()> }, std::future::pending));
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut hanging).await.is_err());
    let following = lease(&other);
    tokio::select! {
        _ = &mut hanging => panic!("it hangs"),
        outcome = following.run(&key, || async { None }, || work("other")) => assert_eq!(outcome, Err("other")),
    }
    assert_eq!(other.shared.stats().leases.alone, 1, "it lost patience");
    drop(hanging);

    // It fails: the failure is nobody else's.
    let key = "fails";
    assert_eq!(leader.run(&key, || async { None }, || work("one")).await, Err("one"));
    let begun = Instant::now();
    assert_eq!(following.run(&key, || async { None }, || work("other")).await, Err("other"));
    assert!(begun.elapsed() < times.hold, "the lease was given back");
}

#[tokio::test]
async fn attack_10_what_came_together_does_not_go_together() {
    let server = Server::start();
    let replica = Replica::of(&server).await;
    for number in 0..300 {
        replica.keep(&acme(&number.to_string()), "value").await;
    }
    let mut intruder = server.intruder();
    let mut left: Vec<i64> = places(&mut intruder)
        .iter()
        .map(|place| redis::cmd("PTTL").arg(place).query(&mut intruder).unwrap())
        .collect();
    left.sort_unstable();
    let day = 24 * 3600 * 1000;
    assert!(left[0] > day * 9 / 10 - 60_000 && left[299] <= day);
    assert!(left[299] - left[0] > day / 20, "they are spread: {} to {}", left[0], left[299]);
}

#[tokio::test]
async fn attack_11_what_is_put_back_after_its_expiry_is_not_believed() {
    let server = Server::start();
    let (one, other) = (Replica::of(&server).await, Replica::of(&server).await);
    one.memo.keep_for(acme("image"), "allow".into(), Duration::from_millis(200)).await;
    let mut intruder = server.intruder();
    let place = places(&mut intruder).remove(0);
    let old = read(&mut intruder, &place);
    sleep(Duration::from_millis(250)).await;
    write(&mut intruder, &place, &old);
    assert_eq!((one.find(&acme("image")).await, other.find(&acme("image")).await), (None, None));
    assert_eq!(other.shared.stats().seals_expired, 1);
}

#[tokio::test]
async fn attack_2_a_secret_is_rotated_with_two_that_live() {
    let server = Server::start();
    let with = |secrets: &[[u8; 32]]| {
        let seals = Some(cache::Seals::new(secrets).unwrap());
        Replica::with(cache::Settings { seals, ..settings(&server.url()) })
    };
    let old = with(&[secret(1)]).await;
    old.keep(&acme("a"), "sealed by the old").await;
    let both = with(&[secret(2), secret(1)]).await;
    assert!(both.find(&acme("a")).await.is_some());
    both.keep(&acme("b"), "sealed by the new").await;
    let new = with(&[secret(2)]).await;
    assert_eq!((new.find(&acme("a")).await.is_some(), new.find(&acme("b")).await.is_some()), (false, true));
    let stats = new.shared.stats();
    assert_eq!((stats.seals_unknown, stats.seals_broken), (1, 0), "a rotation is no alarm");
}

#[tokio::test]
async fn where_only_material_is_trusted_conclusions_are_not_shared() {
    use std::sync::Arc;

    use cache::{Index, Settings, Shared, Trust};

    let server = Server::start();
    let untrusting = || Settings { seals: None, trust: Trust::Material, ..settings(&server.url()) };
    let (one, other) =
        (Shared::connect(untrusting(), None).unwrap(), Shared::connect(untrusting(), None).unwrap());
    one.answers().await;
    other.answers().await;
    let memo = |shared: &Arc<Shared>, what| {
        let sharing = Sharing::new(shared.clone(), what, Duration::from_secs(60));
        Memo::<String, u32>::shared(
            "table",
            Limits { bytes: 1024 * 1024, entries: 10 },
            Some(Index::in_memory()),
            sharing,
        )
    };
    for (what, found) in [(What::Conclusions, None), (What::Material, Some(1))] {
        memo(&one, what).keep("key".into(), 1).await;
        assert_eq!(memo(&other, what).find(&"key".to_owned()).await, found, "{what:?}");
    }
}
