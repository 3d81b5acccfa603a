//! The catalogue of attacks on what is remembered, as whole gateways meet them. Whoever attacks can read and write all of
//! Redis. What needs no gateway is among the tests of `cache`, under the same numbers; the twelfth, a Redis that fails,
//! is `chaos`.

use std::path::Path;
use std::time::Duration;

use oci::Digest;
use serde_json::{Value, json};
use testkit::authority::{Authority, Identity};
use testkit::registry::Fault;

use super::parts::until;
use super::replicas::{Fleet, Keys, image, manifest};
use crate::stage::{DoorClient, Gateway, HOST, POLICY, Stage, pod, release, review};

const REVOCATION: &str =
    "apiVersion: policy.countersign.dev/v1alpha1\nkind: Revocation\nmetadata: {name: leak}\n";

fn revocation_of(digest: &Digest) -> String {
    format!("{REVOCATION}spec: {{reason: leaked, digests: [{{digest: '{digest}'}}]}}\n")
}

/// The keys of a replica with rules of its own: these policies, and the trust root of this authority.
fn rules(stage: &Stage, name: &str, policies: &[(&str, &str)], keys: Keys) -> Keys {
    let directory = stage.directory.path().join(format!("rules-{name}"));
    std::fs::create_dir_all(&directory).unwrap();
    for (file, text) in policies {
        std::fs::write(directory.join(file), text).unwrap();
    }
    Keys { policies: directory, ..keys }
}

fn nightly() -> Identity {
    Identity::github_workflow("acme/app", "nightly.yaml@refs/heads/main")
}

/// What the webhook makes of an image in a Pod: the digest that it pins it to.
async fn pinned(gateway: &DoorClient, image: &str) -> String {
    use base64::Engine as _;
    let reply = gateway.post("/admission/mutate", review(&pod(&[image])).to_string()).await;
    let patch = reply.json()["response"]["patch"].as_str().unwrap_or_default().to_owned();
    let patch = base64::engine::general_purpose::STANDARD.decode(patch).unwrap();
    let patch: Value = serde_json::from_slice(&patch).unwrap();
    let operations = patch.as_array().unwrap();
    let replaced = operations.iter().find(|operation| operation["op"] == "replace");
    replaced.unwrap()["value"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_1_a_tag_that_moves_while_it_is_remembered_means_the_old_image_or_is_denied() {
    let fleet = Fleet::new().await;
    let with = |freshness: &str| Keys { registry: format!("tagFreshness: {freshness}"), ..fleet.keys() };
    let good = fleet.stage.signed(1, "acme/app", "v1").digest();
    let (one, two) =
        (fleet.replica_with("one", &with("1h")).await, fleet.replica_with("two", &with("1h")).await);
    assert_eq!(one.get(&manifest("v1")).await.header("docker-content-digest"), good.to_string());
    let evil = fleet.stage.unsigned(2, "acme/app", "v1").digest();
    assert_eq!(fleet.stage.origin.tagged("acme/app", "v1"), Some(evil));
    let tag = format!("{HOST}/acme/app:v1");
    for replica in [&one, &two] {
        // Whatever it is pinned to is what is judged, and not what the tag means by then.
        let pinned = pinned(replica, &tag).await;
        assert!(pinned.ends_with(&good.to_string()), "{pinned}");
        assert_eq!(replica.denial(&pinned).await, "");
        assert_eq!(Digest::of(replica.get(&manifest("v1")).await.bytes()), good);
    }
    // To whom it means something else by now, it is another image, and that is denied.
    let asking = fleet.replica_with("three", &with("0s")).await;
    let pinned = pinned(&asking, &tag).await;
    assert!(pinned.ends_with(&evil.to_string()), "{pinned}");
    for replica in [&one, &two, &asking] {
        assert!(replica.denial(&pinned).await.contains("no signatures found"));
    }
    assert_eq!(asking.get(&manifest("v1")).await.status, 403);
    // For a moment only, where that is what is configured.
    let soon = fleet
        .replica_with(
            "four",
            &Keys { redis: format!("{}, prefix: soon", fleet.keys().redis), ..with("300ms") },
        )
        .await;
    fleet.stage.origin.tag("acme/app", "v1", good);
    assert_eq!(soon.get(&manifest("v1")).await.status, 200);
    fleet.stage.origin.tag("acme/app", "v1", evil);
    until("it is denied", async || {
        let reply = soon.get(&manifest("v1")).await;
        assert!(reply.status == 403 || Digest::of(reply.bytes()) == good, "{reply:?}");
        reply.status == 403
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_2_what_was_changed_in_redis_or_sealed_by_others_is_a_miss() {
    let fleet = Fleet::new().await;
    let digest = fleet.stage.signed(1, "acme/app", "v1").digest();
    let unsigned = fleet.stage.unsigned(2, "acme/app", "v2").digest();
    let first = fleet.replica("one").await;
    assert_eq!(first.denial(&image(&digest)).await, "");

    let keys = Keys { redis: fleet.sealed(&fleet.redis.url(), "other.key"), ..fleet.keys() };
    let stranger = fleet.replica_with("stranger", &keys).await;
    assert_eq!(stranger.denial(&image(&digest)).await, "");
    assert_eq!(fleet.discoveries(&digest), 2, "it could open nothing");
    assert!(stranger.shared().stats().seals_unknown > 0);

    let tables = ["countersign:material-lists:", "countersign:material:", "countersign:facts:"];
    let keys = fleet.redis.keys(&tables).await;
    assert!(keys.len() >= 3, "{keys:?}");
    let flips: Vec<String> = keys.iter().map(|key| format!("SETRANGE {key} 60 !!!!")).collect();
    fleet.redis.ask(&flips.join("\r\n")).await;
    let second = fleet.replica("two").await;
    assert_eq!(second.denial(&image(&digest)).await, "");
    assert_ne!(second.denial(&image(&unsigned)).await, "");
    assert_eq!(fleet.discoveries(&digest), 3, "a flipped byte is a miss");
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_2_the_signatures_of_one_image_put_in_place_of_another_s_admit_nothing() {
    let fleet = Fleet::new().await;
    let signed = fleet.stage.signed(1, "acme/app", "v1").digest();
    let evil = fleet.stage.unsigned(2, "acme/app", "v2").digest();
    let first = fleet.replica("one").await;
    let tables = ["countersign:material-lists:", "countersign:facts:"];
    assert_eq!(first.denial(&image(&signed)).await, "");
    let of_signed = fleet.redis.keys(&tables).await;
    assert_ne!(first.denial(&image(&evil)).await, "");
    let all = fleet.redis.keys(&tables).await;
    let of_evil: Vec<_> = all.iter().filter(|key| !of_signed.contains(key)).collect();
    assert!(!of_signed.is_empty() && !of_evil.is_empty(), "{all:?}");
    for from in &of_signed {
        for to in &of_evil {
            assert!(fleet.redis.copy(from, to).await);
        }
        let name = format!("after-{}", &from[from.len() - 8..from.len() - 1]);
        let fresh = fleet.replica(&name).await;
        assert_ne!(fresh.denial(&image(&evil)).await, "");
        assert_eq!(fresh.denial(&image(&signed)).await, "");
        fresh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_3_what_a_lax_fleet_left_is_no_ground_for_a_strict_one() {
    let fleet = Fleet::new().await;
    let digest = fleet.stage.unsigned(1, "acme/app", "v1").digest();
    fleet.stage.sign("acme/app", &digest, &nightly());
    let lax = POLICY.replace("release.yaml", "nightly.yaml");
    let with = |name: &str, policy: &str| {
        let keys = fleet.keys();
        let redis = format!("{}, prefix: {name}", keys.redis);
        rules(&fleet.stage, name, &[("policy.yaml", policy)], Keys { redis, ..keys })
    };
    let of_lax = fleet.replica_with("lax", &with("lax", &lax)).await;
    assert_eq!(of_lax.denial(&image(&digest)).await, "");
    // Everything of the one is put where the other looks for it.
    for key in fleet.redis.keys(&["lax:"]).await {
        assert!(fleet.redis.copy(&key, &key.replacen("lax", "strict", 1)).await);
    }
    let strict = fleet.replica_with("strict", &with("strict", POLICY)).await;
    assert!(strict.denial(&image(&digest)).await.contains("none of the expected identities matched"));
    assert_eq!(strict.get(&manifest(digest)).await.status, 403);
    assert_eq!(of_lax.denial(&image(&digest)).await, "");
}

/// Every replica comes to deny an image.
async fn all_deny(replicas: &[&Gateway], digest: &Digest) {
    for replica in replicas {
        until("it is denied", async || !replica.denial(&image(digest)).await.is_empty()).await;
        assert_eq!(replica.get(&manifest(digest)).await.status, 403);
        // And so it stays: nothing that others still have brings it back.
        assert_ne!(replica.denial(&image(digest)).await, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_4_other_rules_are_in_force_on_every_replica_and_so_they_are_without_redis() {
    let mut fleet = Fleet::new().await;
    let digest = fleet.stage.signed(1, "acme/app", "v1").digest();
    let (one, two) = (fleet.replica("one").await, fleet.replica("two").await);
    let root = fleet.stage.directory.path().join("trusted_root.json");
    let admitted = async |replica: &Gateway| {
        until("it is admitted", async || replica.denial(&image(&digest)).await.is_empty()).await;
    };
    for with_redis in [true, false] {
        if !with_redis {
            fleet.redis.kill();
        }
        admitted(&one).await;
        admitted(&two).await;
        let asked = fleet.stage.origin.count(|_| true);
        fleet.stage.policy("acme.yaml", &POLICY.replace("release.yaml", "another.yaml"));
        all_deny(&[&one, &two], &digest).await;
        fleet.stage.policy("acme.yaml", POLICY);
        admitted(&one).await;
        admitted(&two).await;
        std::fs::write(&root, Authority::new("stranger").trusted_root()).unwrap();
        all_deny(&[&one, &two], &digest).await;
        std::fs::write(&root, fleet.stage.authority.trusted_root()).unwrap();
        admitted(&one).await;
        admitted(&two).await;
        let more = fleet.stage.origin.count(|_| true) - asked;
        assert!(more < 60, "rules that change are no herd: {more} requests");
    }
}

fn deployment(image: &str, tier: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "labels": {"tier": tier}},
        "spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_5_what_depends_on_the_request_is_judged_anew_at_every_hit() {
    let fleet = Fleet::new().await;
    let digest = fleet.stage.signed(1, "acme/app", "v1").digest();
    let matching = "match: [{group: apps, version: v1, resource: deployments, \
                    selector: {matchLabels: {tier: web}}}]";
    let of_web = format!(
        "{}  {matching}\n",
        POLICY.replace("acme-is-signed", "web-is-released").replace("release.yaml", "another.yaml")
    );
    // What a program says of the object, beside what labels select.
    let frozen = "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: not-frozen}\n\
                  spec:\n  images: [{glob: registry.example/acme/**}]\n  authorities: [{static: {action: pass}}]\n  \
                  policy:\n    type: rego\n    includeObjectMeta: true\n    data: |\n      package sigstore\n      \
                  default isCompliant = false\n      isCompliant { input.metadata.labels.tier != \"frozen\" }\n";
    fleet.stage.policy("web.yaml", &of_web);
    fleet.stage.policy("frozen.yaml", frozen);
    let (one, two) = (fleet.replica("one").await, fleet.replica("two").await);
    for round in 0..3 {
        for replica in [&one, &two] {
            for (tier, allowed) in [("api", true), ("web", false), ("frozen", false)] {
                let object = deployment(&image(&digest), tier);
                let reply = replica.post("/admission/validate", review(&object).to_string()).await;
                let response = &reply.json()["response"];
                assert_eq!(response["allowed"], allowed, "{round} {tier}: {response}");
            }
        }
    }
    assert_eq!(fleet.discoveries(&digest), 1, "what is remembered is what does not depend on requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_5_an_exemption_that_ends_ends_also_where_its_verdict_is_remembered() {
    let fleet = Fleet::new().await;
    let digest = fleet.stage.unsigned(1, "acme/app", "v1").digest();
    let ends = jiff::Timestamp::now() + Duration::from_secs(4);
    let ends = ends.strftime("%Y-%m-%dT%H:%M:%SZ");
    let exemption = format!("exemptions: [{{digest: '{digest}', reason: it is old, expires: '{ends}'}}]");
    fleet.stage.policy("acme.yaml", &format!("{POLICY}  {exemption}\n"));
    let (one, two) = (fleet.replica("one").await, fleet.replica("two").await);
    for replica in [&one, &two] {
        assert_eq!(replica.denial(&image(&digest)).await, "");
    }
    all_deny(&[&one, &two], &digest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_6_a_replica_that_has_not_heard_of_a_revocation_warms_nothing_for_those_who_have() {
    let fleet = Fleet::new().await;
    let digest = fleet.stage.signed(1, "acme/app", "v1").digest();
    let with = |name: &str| rules(&fleet.stage, name, &[("policy.yaml", POLICY)], fleet.keys());
    let one = fleet.replica_with("one", &with("one")).await;
    let two = fleet.replica_with("two", &with("two")).await;
    assert_eq!(one.denial(&image(&digest)).await, "");
    let of_one = fleet.stage.directory.path().join("rules-one");
    std::fs::write(of_one.join("revocation.yaml"), revocation_of(&digest)).unwrap();
    one.reload().await;
    assert!(one.denial(&image(&digest)).await.contains("revoked by leak"));
    // The other admits it yet, and leaves everywhere what it admits it by.
    fleet.redis.ask("FLUSHALL").await;
    assert_eq!(two.denial(&image(&digest)).await, "");
    assert_eq!(two.get(&manifest(digest)).await.status, 200);
    assert!(one.denial(&image(&digest)).await.contains("revoked by leak"));
    assert_eq!(one.get(&manifest(digest)).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_7_a_registry_that_fails_denies_nobody_once_it_is_well() {
    let fleet = Fleet::new().await;
    let (one, two) = (fleet.replica("one").await, fleet.replica("two").await);
    let faults = [401, 403, 429, 500].map(Fault::Status).into_iter().chain([Fault::Hang]);
    for (seed, fault) in (1..).zip(faults) {
        let digest = fleet.stage.signed(seed, "acme/app", &format!("v{seed}")).digest();
        fleet.stage.origin.fault(|seen| seen.path.ends_with(".sig"), fault.clone());
        let answer = one.post("/admission/validate?timeout=1s", review(&pod(&[&image(&digest)])).to_string());
        let response = answer.await.json()["response"].clone();
        assert_eq!(
            (&response["allowed"], &response["status"]["code"]),
            (&json!(false), &json!(503)),
            "{fault:?}"
        );
        fleet.stage.origin.clear_faults();
        // Neither who asked, nor who hears of it through Redis.
        let named = image(&digest);
        let heard = two.denial(&named);
        // Who hangs holds the lease and is waited for, until the registry answers.
        let (heard, ()) = tokio::join!(heard, async { fleet.stage.origin.release() });
        assert_eq!(heard, "", "{fault:?}");
        assert_eq!(one.denial(&image(&digest)).await, "", "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_7_what_is_signed_after_a_failure_or_a_denial_is_admitted() {
    let fleet = Fleet::new().await;
    let (one, two) = (fleet.replica("one").await, fleet.replica("two").await);
    let digest = fleet.stage.unsigned(1, "acme/app", "v1").digest();
    fleet.stage.origin.fault(|seen| seen.path.ends_with(".sig"), Fault::Status(500));
    assert_ne!(one.denial(&image(&digest)).await, "");
    fleet.stage.origin.clear_faults();
    assert!(two.denial(&image(&digest)).await.contains("no signatures found"));
    fleet.stage.sign("acme/app", &digest, &release());
    for replica in [&one, &two] {
        until("it is admitted", async || replica.denial(&image(&digest)).await.is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_9_a_replica_that_is_killed_while_it_asks_holds_nobody_up() {
    let fleet = Fleet::new().await;
    let digest = fleet.stage.signed(1, "acme/app", "v1").digest();
    let (mut one, two) = (fleet.process("one").await, fleet.replica("two").await);
    fleet.stage.origin.fault_times(1, |seen| seen.path.ends_with(".sig"), Fault::Hang);
    let url = format!("http://{}{}", one.registry, manifest(digest));
    let asking = tokio::spawn(async move { super::parts::try_status(&url).await });
    fleet.stage.origin.reached(".sig").await;
    one.process.kill();
    assert_eq!(asking.await.unwrap(), None, "it was killed before it could answer");
    assert_eq!(two.denial(&image(&digest)).await, "");
    assert_eq!(fleet.discoveries(&digest), 2);
}

/// Dumps what is in Redis, and gives a copy of it.
async fn dump(fleet: &Fleet) -> Vec<u8> {
    let answer = fleet.redis.ask("SAVE").await;
    assert!(answer.starts_with("+OK"), "{answer}");
    std::fs::read(fleet.redis.directory().join("dump.rdb")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_11_after_a_revocation_no_old_dump_and_no_restart_brings_an_image_back() {
    let mut fleet = Fleet::new().await;
    let digest = fleet.stage.signed(1, "acme/app", "v1").digest();
    let (one, two) = (fleet.replica("one").await, fleet.replica("two").await);
    assert_eq!(one.denial(&image(&digest)).await, "");
    let old = dump(&fleet).await;
    fleet.stage.policy("leak.yaml", &revocation_of(&digest));
    all_deny(&[&one, &two], &digest).await;
    fleet.redis.kill();
    let into: &Path = fleet.redis.directory();
    std::fs::write(into.join("dump.rdb"), old).unwrap();
    fleet.redis.restart().await;
    let three = fleet.replica("three").await;
    two.stop().await;
    let two = fleet.replica("two").await;
    all_deny(&[&one, &two, &three], &digest).await;
}
