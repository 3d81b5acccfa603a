//! Many who ask at once: ten thousand reviews of images that nobody knows yet, to three processes that share a Redis.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use oci::Digest;
use serde_json::Value;
use testkit::registry::Fault;

use super::parts::Served;
use super::replicas::{Fleet, image};
use crate::stage::{HOST, release};

const REPLICAS: [&str; 3] = ["one", "two", "three"];
const IMAGES: u64 = 10;
const REVIEWS: usize = 10_000;

/// How many reviews each replica has before it at once: an API server waits no longer than it said that it would, and
/// what cannot be answered by then should not be asked.
const AT_ONCE: usize = 100;

/// The fleet, and images with five signatures each.
async fn stage() -> (Fleet, Vec<Digest>) {
    let fleet = Fleet::new().await;
    let push = |seed: u64| {
        let digest = fleet.stage.unsigned(seed, "acme/app", &format!("v{seed}")).digest();
        let reference = format!("{HOST}/acme/app");
        let sign = |_| fleet.stage.authority.sign(&digest, &reference, &release());
        fleet.stage.attach("acme/app", &digest, &(0..5).map(sign).collect::<Vec<_>>());
        digest
    };
    let digests = (0..IMAGES).map(push).collect();
    (fleet, digests)
}

/// What is answered to every review that was sent to this replica.
async fn herd(replica: &Served, digests: &[Digest], reviews: usize) -> Vec<Value> {
    let images: Vec<String> = digests.iter().map(image).collect();
    let reviews = (0..reviews).map(|number| {
        let image = images[number % images.len()].clone();
        async move { replica.doors.validate(&[&image]).await }
    });
    futures_util::stream::iter(reviews).buffer_unordered(AT_ONCE).collect().await
}

/// Sends all reviews to all replicas, and says how long that took.
async fn send(replicas: &[Served], digests: &[Digest]) -> Duration {
    let begun = Instant::now();
    let herds = replicas.iter().map(|replica| herd(replica, digests, REVIEWS.div_ceil(REPLICAS.len())));
    let answers = futures_util::future::join_all(herds).await.concat();
    let took = begun.elapsed();
    assert!(answers.len() >= REVIEWS);
    for answer in answers {
        assert_eq!(answer["allowed"], true, "{answer}");
    }
    took
}

/// Says how long it took, and what the replicas made of Redis.
#[expect(clippy::print_stderr, reason = "figures that are reported and not asserted")]
async fn report(what: &str, took: Duration, fleet: &Fleet, replicas: &[Served]) {
    let requests = fleet.stage.origin.requests().len();
    eprintln!("herd: {what}: {REVIEWS} reviews in {took:.1?}, {requests} requests to the registry");
    for replica in replicas {
        let reply = replica.doors.admin("/metrics").await;
        let text = String::from_utf8(reply.bytes().to_vec()).unwrap();
        let told = |line: &&str| FIGURES.iter().any(|figure| line.starts_with(figure));
        eprintln!("  {}", text.lines().filter(told).collect::<Vec<_>>().join(", "));
    }
}

/// What replicas say of Redis.
const FIGURES: [&str; 3] =
    ["countersign_leases_total", "countersign_redis_questions_total", "countersign_redis_breaker_openings"];

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_reviews_of_ten_new_images_are_one_discovery_an_image_in_the_fleet() {
    let (fleet, digests) = stage().await;
    let mut replicas = Vec::new();
    for name in REPLICAS {
        replicas.push(fleet.process(name).await);
    }
    let took = send(&replicas, &digests).await;
    report("with Redis", took, &fleet, &replicas).await;
    for digest in &digests {
        assert_eq!(fleet.discoveries(digest), 1, "{digest}");
    }
    let requests = fleet.stage.origin.requests().len();
    assert!(requests <= 150, "{requests} requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_herd_whose_redis_is_killed_in_the_middle_is_one_discovery_an_image_and_replica_and_no_error() {
    let (mut fleet, digests) = stage().await;
    let mut replicas = Vec::new();
    for name in REPLICAS {
        replicas.push(fleet.process(name).await);
    }
    // Slow enough that Redis goes while some are asked for and others are not yet.
    fleet.stage.origin.fault(|seen| seen.path.ends_with(".sig"), Fault::Delay(Duration::from_millis(200)));
    let origin = fleet.stage.origin.clone();
    let killing = async {
        origin.reached(".sig").await;
        fleet.redis.kill();
    };
    let (took, ()) = tokio::join!(send(&replicas, &digests), killing);
    report("with Redis killed", took, &fleet, &replicas).await;
    for digest in &digests {
        let discoveries = fleet.discoveries(digest);
        assert!((1..=REPLICAS.len()).contains(&discoveries), "{discoveries} of {digest}");
    }
}
