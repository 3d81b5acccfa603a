//! A real API server before the admission door: objects are policies, and `kubectl` tells what becomes of them.

mod certificate;
mod control_plane;
mod definitions;
mod failures;
mod load;
mod namespaces;
mod outage;
mod pull_secrets;
mod scenarios;
mod status;
mod tenants;
mod tokens;
mod world;

use serde_json::Value;

use self::world::World;
use crate::stage::shared;

/// The guide, from first to last, with the images and the policy that it is about.
#[tokio::test(flavor = "multi_thread")]
async fn the_guide_works_from_first_to_last() {
    let Some(images) = shared("real-images/chainguard-images") else { return };
    let world = World::new().await;
    let plane = &world.plane;
    let signed = world.load(&images.join("exact-identity"));
    let others = world.load(&images.join("per-image-workflow"));
    world.unsigned(1, "library/nginx", "latest");
    world.unsigned(2, "chainguard/unsigned", "latest");

    // Nobody asked for anything in this namespace yet, so its webhook is not asked.
    plane.does(&["run", "before", "--image=nginx", "--dry-run=server"]);
    plane.does(&["label", "namespace", "default", "policy.sigstore.dev/include=true"]);

    // No policy speaks of it.
    let refusal = plane.refuses(&["run", "unmatched", "--image=nginx"]);
    assert!(
        refusal.contains(
            "admission webhook \"policy.sigstore.dev\" denied the request: validation failed: no matching policies: \
             spec.containers[0].image\nindex.docker.io/library/nginx@sha256:"
        ),
        "{refusal}"
    );
    let refusal = plane.refuses(&["run", "early", &format!("--image={}", signed[0])]);
    assert!(refusal.contains("no matching policies"), "{refusal}");

    // The guide's policy, word for word.
    plane.apply(include_str!("../../../../policies/examples/chainguard-images-are-signed.yaml"));
    world.until_admitted(&signed[0]).await;
    plane.does(&["run", "signed", &format!("--image={}", signed[0])]);
    for image in &signed {
        plane.does(&["run", "again", &format!("--image={image}"), "--dry-run=server"]);
    }

    // Nobody signed it, or somebody else did.
    let refusal = plane.refuses(&["run", "unsigned", "--image=cgr.dev/chainguard/unsigned"]);
    assert!(
        refusal.contains(
            "validation failed: failed policy: chainguard-images-are-signed: spec.containers[0].image"
        ),
        "{refusal}"
    );
    let refusal = plane.refuses(&["run", "another", &format!("--image={}", others[0])]);
    assert!(refusal.contains("failed policy: chainguard-images-are-signed"), "{refusal}");

    // What is asked for by a tag is pinned to what was judged. Of the saved images only the signatures are there, so this one is
    // of an authority of the test's own.
    let (ours, _) = world.by_authority();
    plane.apply(&world.policy("v1beta1", "acme", "registry.example/acme/**"));
    world.until_admitted(&ours).await;
    let name = ours.split_once('@').unwrap().0;
    let digest = ours.split_once('@').unwrap().1;
    plane.does(&["run", "pinned", &format!("--image={name}:v1")]);
    let runs = plane.does(&["get", "pod", "pinned", "-o", "jsonpath={.spec.containers[0].image}"]);
    assert_eq!(runs, format!("{name}:v1@{digest}"));

    // What became of a Deployment is told by what it makes; the template itself stays as it was written.
    plane.does(&["create", "deployment", "web", &format!("--image={name}:v1")]);
    let written =
        plane.does(&["get", "deployment", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}"]);
    assert_eq!(written, format!("{name}:v1"));
    plane.refuses(&["create", "deployment", "bad", "--image=cgr.dev/chainguard/unsigned"]);
    plane.refuses(&["debug", "signed", "--image=cgr.dev/chainguard/unsigned", "--target=signed"]);

    // It is told of, and without it nothing is let in any more.
    world.until_told("chainguard-images-are-signed", "True").await;
    let listed = plane.does(&["get", "cip"]);
    for word in ["chainguard-images-are-signed", "True", "enforce", "InForce"] {
        assert!(listed.contains(word), "{listed}");
    }
    plane.does(&["delete", "cip", "chainguard-images-are-signed"]);
    let refusal = world.until_refused(&signed[0]).await;
    assert!(refusal.contains("no matching policies"), "{refusal}");
    world.stop().await;
}

/// Both versions are one policy, and what it names is read from the namespace of the installation.
#[tokio::test(flavor = "multi_thread")]
async fn objects_of_every_kind_are_in_force_with_what_they_name() {
    let world = World::new().await;
    let plane = &world.plane;
    plane.does(&["label", "namespace", "default", "policy.sigstore.dev/include=true"]);
    let (signed, unsigned) = world.by_authority();

    // In one version as in the other.
    for version in ["v1alpha1", "v1beta1"] {
        plane.apply(&world.policy(version, "acme", "registry.example/acme/**"));
        world.until_admitted(&signed).await;
        plane.refuses(&["run", "no", &format!("--image={unsigned}"), "--dry-run=server"]);
        for other in ["v1alpha1", "v1beta1"] {
            let read = plane.does(&[
                "get",
                &format!("clusterimagepolicies.{other}.policy.sigstore.dev"),
                "acme",
                "-o",
                "json",
            ]);
            let read: Value = serde_json::from_str(&read).unwrap();
            assert_eq!(read["apiVersion"], format!("policy.sigstore.dev/{other}"));
            assert_eq!(read["spec"]["mode"], "enforce");
        }
        plane.does(&["delete", "cip", "acme"]);
        world.until_refused(&signed).await;
    }

    // A trust root of its own, as an object; without it nothing can be told.
    plane.apply(&world.policy_on_root("acme", "registry.example/acme/**", "ours"));
    let refusal = world.until_refused_with(&signed, "trust root \"ours\"").await;
    assert!(refusal.contains("ServiceUnavailable") || refusal.contains("could not be verified"), "{refusal}");
    plane.apply(&world.trust_root("ours"));
    world.until_admitted(&signed).await;

    // A key in a Secret; before it is there, the policy denies what it speaks of.
    let (key, by_key) = world.by_key();
    plane.apply(&world.policy_on_secret("keyed", "registry.example/keyed/**", "release-key"));
    world.until_refused_with(&by_key, "failed policy: keyed").await;
    world.until_told("keyed", "False").await;
    plane.apply(&world.secret("release-key", &key));
    world.until_admitted(&by_key).await;
    world.until_told("keyed", "True").await;

    // A policy of the namespace binds besides.
    plane.apply(&world.image_policy(
        "default",
        "registry.example/acme/**",
        "https://github.com/acme/other/.github/workflows/x.yaml@refs/heads/main",
    ));
    world.until_refused_with(&signed, "failed policy: default/own").await;
    plane.does(&["delete", "imagepolicies.policy.countersign.dev", "own"]);
    world.until_admitted(&signed).await;

    // A revocation is in force whatever policies say.
    let digest = signed.split_once('@').unwrap().1;
    plane.apply(&format!(
        "apiVersion: policy.countersign.dev/v1alpha1\nkind: Revocation\nmetadata: {{name: bad}}\n\
         spec: {{reason: SEC-1, digests: [{{digest: '{digest}'}}]}}\n"
    ));
    world.until_refused_with(&signed, "SEC-1").await;
    world.stop().await;
}
