//! A fleet's memory is operated from any replica: what one forgets all forget, and the keys of its seals change while it
//! runs.

use std::path::PathBuf;
use std::time::Duration;

use oci::Digest;
use serde_json::{Value, json};
use testkit::authority::SignatureManifest;
use testkit::registry::{Fault, Seen};

use super::fleet::{Fleet, image};
use crate::cache::{cache as operate, document};
use crate::cli::exits;

/// How long anything here may take on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

fn configuration(fleet: &Fleet, name: &str) -> PathBuf {
    fleet.stage.directory.path().join(format!("{name}.yaml"))
}

/// What a replica remembers of an image.
async fn told(fleet: &Fleet, name: &str, digest: &Digest) -> Value {
    let arguments = ["inspect", &image(digest), "--output", "json"];
    document(&operate(&configuration(fleet, name), &arguments).await)["images"][0].clone()
}

/// Asks until it is so.
async fn until<F: Future<Output = bool>>(what: &str, mut so: impl FnMut() -> F) {
    let waiting = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "waited in vain until {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_is_told_to_forget_every_replica_forgets() {
    let fleet = Fleet::new().await;
    let digest = fleet.stage.signed(1, "acme/app", "v1").digest();
    let (first, second) = (fleet.replica("one").await, fleet.replica("two").await);
    for replica in [&first, &second] {
        assert_eq!(replica.denial(&image(&digest)).await, "");
    }
    let before = told(&fleet, "two", &digest).await;
    assert_eq!(before["lists"][0]["tiers"], json!(["memory", "disk", "redis"]), "{before}");
    assert_eq!(before["verdicts"][0]["verdict"], "allow");
    assert_eq!(fleet.discoveries(&digest), 1);

    let purge = ["purge", "--image", &image(&digest)];
    exits(&operate(&configuration(&fleet, "one"), &purge).await, 0, &["forgotten"]);
    until("the other has forgotten", async || {
        let told = told(&fleet, "two", &digest).await;
        told["lists"] == json!([]) && told["verdicts"] == json!([])
    })
    .await;
    // Nor does any find it in Redis.
    assert_eq!(second.denial(&image(&digest)).await, "");
    assert_eq!(fleet.discoveries(&digest), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_away_forgets_when_it_is_back() {
    let mut fleet = Fleet::new().await;
    let digest = fleet.stage.signed(1, "acme/app", "v1").digest();
    let (first, second) = (fleet.replica("one").await, fleet.replica("two").await);
    for replica in [&first, &second] {
        assert_eq!(replica.denial(&image(&digest)).await, "");
    }
    fleet.redis.kill();
    let purge = ["purge", "--image", &image(&digest)];
    let purged = operate(&configuration(&fleet, "one"), &purge).await;
    exits(&purged, 0, &["forgotten", "Redis could not be told"]);
    assert_ne!(told(&fleet, "two", &digest).await["lists"], json!([]), "it cannot know");
    // The one that owes the message may be started anew meanwhile.
    first.stop().await;
    // In one process with it, something of it may be about to end.
    let storage = fleet.stage.directory.path().join("one");
    until("its index is closed", async || ::cache::Index::open(&storage).is_ok()).await;
    let _first = fleet.unready("one", "sealKeys: [SEALS/seal.key]").await;
    let directory = fleet.stage.directory.path().to_owned();
    fleet.redis.start_again(&directory).await;
    until("the other has forgotten", async || {
        let told = told(&fleet, "two", &digest).await;
        told["lists"] == json!([]) && told["verdicts"] == json!([])
    })
    .await;
    assert_eq!(second.denial(&image(&digest)).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_the_seals_is_replaced_while_replicas_run() {
    let fleet = Fleet::new().await;
    let directory = fleet.stage.directory.path().to_owned();
    let write = |name: &str, from: u8| {
        std::fs::write(directory.join(name), (from..from + 32).collect::<Vec<u8>>()).unwrap();
    };
    write("first.key", 1);
    write("second.key", 2);
    let keys = "sealKeys: [SEALS/first.key, SEALS/second.key]";
    let first = fleet.replica_with("one", keys).await;
    let mut digests = vec![fleet.stage.signed(1, "acme/app", "v1").digest()];
    assert_eq!(first.denial(&image(&digests[0])).await, "");
    assert_eq!(fleet.sealers().await.len(), 1);

    // A new one in front, and the old one behind it; first by half, which changes nothing.
    std::fs::write(directory.join("first.key"), [7; 5]).unwrap();
    write("second.key", 1);
    write("first.key", 100);
    while fleet.sealers().await.len() < 2 {
        let seed = digests.len() as u64 + 1;
        assert!(seed < 200, "the new key does not seal");
        let digest = fleet.stage.signed(seed, "acme/app", &format!("v{seed}")).digest();
        assert_eq!(first.denial(&image(&digest)).await, "");
        digests.push(digest);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Whoever comes later opens what either sealed.
    let second = fleet.replica_with("two", keys).await;
    for digest in [&digests[0], digests.last().unwrap()] {
        assert_eq!(second.denial(&image(digest)).await, "");
        assert_eq!(fleet.discoveries(digest), 1, "{digest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_in_use_is_renewed_before_it_ends() {
    let fleet = Fleet::new().await;
    let digest = fleet.stage.unsigned(1, "acme/app", "v1").digest();
    let replica = fleet.replica("one").await;
    assert_ne!(replica.denial(&image(&digest)).await, "");
    assert_eq!(fleet.discoveries(&digest), 1);
    // From now on the registry holds back what it says of signatures. Whoever asks goes on being denied at once, and the
    // registry is asked all the same, while the denial still holds.
    let tag = SignatureManifest::tag_for(&digest);
    fleet.stage.origin.fault(move |seen: &Seen| seen.path.ends_with(&tag), Fault::Hang);
    until("the registry is asked", async || {
        let denied = tokio::time::timeout(PATIENCE, replica.denial(&image(&digest))).await;
        assert_ne!(denied.expect("nobody waits for a renewal"), "");
        fleet.discoveries(&digest) == 2
    })
    .await;
    assert!(told(&fleet, "one", &digest).await["verdicts"][0]["endsInSeconds"].as_u64().is_some());
    fleet.stage.origin.clear_faults();
    fleet.stage.origin.release();
}
