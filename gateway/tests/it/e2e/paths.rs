//! The ways between replicas that are seldom walked: links, children of an index, large attestations, tags, and a Redis
//! that asks who one is.

use std::path::Path;
use std::time::Duration;

use cache::{Links, Scope, Seals, Settings, Shared, Trust};
use oci::Digest;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::json;
use testkit::authority::{Recipe, SignatureManifest, Statement, attestation_manifest};
use testkit::image::{Image, index_of};

use super::redis::Redis;
use super::replicas::{Fleet, Keys, blob, image, manifest};
use crate::stage::{HOST, Stage, release};

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_lies_opens_nothing() {
    let fleet = Fleet::new().await;
    // Without seals, whoever can write can say whatever they like of what belongs to what.
    let keys = Keys { redis: format!("url: '{}', trust: material", fleet.redis.url()), ..fleet.keys() };
    let (one, two) = (fleet.replica_with("one", &keys).await, fleet.replica_with("two", &keys).await);
    let good = fleet.stage.signed(1, "acme/app", "v1");
    let index = index_of(&[Image::random(3)]);
    index.push_to(&fleet.stage.origin, "acme/app", Some("index"));
    fleet.stage.sign("acme/app", &index.digest(), &release());
    let evil = fleet.stage.unsigned(2, "acme/app", "evil");
    for replica in [&one, &two] {
        assert_eq!(replica.get(&manifest(good.digest())).await.status, 200);
        assert_eq!(replica.get(&manifest(index.digest())).await.status, 200);
    }

    let unsealed = Settings {
        seals: None,
        trust: Trust::Material,
        ..Settings::new(fleet.redis.url(), Seals::new(&[std::array::from_fn(|at| at as u8)]).unwrap())
    };
    let shared = Shared::connect(unsealed, None).unwrap();
    shared.answers().await;
    let links = Links::shared(None, shared.clone(), Duration::from_secs(3600));
    let scope = Scope::new(&[b"default", HOST.as_bytes(), b"acme/app"]);
    let layer = &evil.layers[0];
    let lies = [(Digest::of(layer), layer.len() as u64), (evil.digest(), evil.manifest.len() as u64)];
    for parent in [good.digest(), index.digest()] {
        links.add(&scope, parent, &lies).await;
    }
    assert_eq!(shared.stats().stored, 4, "the lies are told");
    for replica in [&one, &two] {
        let hits = || replica.shared().stats().hits;
        let before = hits();
        assert_eq!(replica.get(&blob(&Digest::of(layer))).await.status, 404);
        assert!(hits() > before, "and heard");
        assert_eq!(replica.get(&manifest(evil.digest())).await.status, 403);
        assert_ne!(replica.denial(&image(&evil.digest())).await, "");
        // What the manifests themselves say is served.
        assert_eq!(replica.get(&blob(&Digest::of(&good.layers[0]))).await.bytes(), &good.layers[0]);
        assert_eq!(replica.get(&manifest(index.images[0].digest())).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_is_served_by_a_replica_that_never_saw_its_index() {
    let fleet = Fleet::new().await;
    let index = index_of(&[Image::random(1), Image::random(2)]);
    index.push_to(&fleet.stage.origin, "acme/app", Some("v1"));
    fleet.stage.sign("acme/app", &index.digest(), &release());
    let (one, two) = (fleet.replica("one").await, fleet.replica("two").await);
    let [child, other] = [&index.images[0], &index.images[1]];
    assert_eq!(two.get(&manifest(other.digest())).await.status, 403, "nobody knows yet that it has an index");
    assert_eq!(one.get(&manifest("v1")).await.status, 200);
    assert_eq!(two.get(&manifest(child.digest())).await.bytes(), &child.manifest);
    for bytes in child.blobs() {
        assert_eq!(two.get(&blob(&Digest::of(bytes))).await.bytes(), bytes);
    }
    assert_eq!(two.get(&manifest(other.digest())).await.status, 200, "and is told of what it denied");
    assert_ne!(two.denial(&image(&child.digest())).await, "", "a Pod inherits nothing");
}

/// A policy that reads an attestation.
const ATTESTED: &str = r#"apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: acme-is-attested}
spec:
  images: [{glob: registry.example/acme/**}]
  authorities:
    - keyless:
        identities:
          - issuer: https://token.actions.githubusercontent.com
            subject: https://github.com/acme/app/.github/workflows/release.yaml@refs/heads/main
      attestations:
        - name: tested
          predicateType: https://example.com/tests/v1
          policy:
            type: rego
            data: |
              package sigstore
              default isCompliant = false
              isCompliant { input.predicate.passed == true }
"#;

/// Attests that an image passed its tests, at some length.
fn attest(stage: &Stage, digest: &Digest, length: usize) {
    let predicate = json!({"passed": true, "log": "x".repeat(length)});
    let statement = Statement::new(digest, "https://example.com/tests/v1", predicate);
    let layer = stage.authority.mint(&Recipe::statement(statement).by(&release())).layer();
    let attestations = attestation_manifest(&[layer]);
    stage.origin.put_blob("acme/app", attestations.config);
    for payload in attestations.payloads {
        stage.origin.put_blob("acme/app", payload);
    }
    let tag = SignatureManifest::attestation_tag_for(digest);
    stage.origin.put_manifest(
        "acme/app",
        Some(&tag),
        attestations.media_type.as_str(),
        attestations.manifest,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attestation_that_is_too_large_to_share_is_found_by_each_replica() {
    let fleet = Fleet::new().await;
    fleet.stage.policy("acme.yaml", ATTESTED);
    let (one, two) = (fleet.replica("one").await, fleet.replica("two").await);
    for (seed, length, discoveries) in [(1, 100, 1), (2, 100_000, 2)] {
        let digest = fleet.stage.unsigned(seed, "acme/app", "v1").digest();
        attest(&fleet.stage, &digest, length);
        for replica in [&one, &two] {
            assert_eq!(replica.denial(&image(&digest)).await, "", "{length}");
        }
        assert_eq!(fleet.discoveries(&digest), discoveries, "{length}");
        // What was found is kept: no policy that changes has it looked for again.
        fleet.stage.policy(
            "acme.yaml",
            &ATTESTED.replace("tested\n          pre", &format!("t{seed}\n          pre")),
        );
        one.reload().await;
        two.reload().await;
        for replica in [&one, &two] {
            assert_eq!(replica.denial(&image(&digest)).await, "", "{length}");
        }
        assert_eq!(fleet.discoveries(&digest), discoveries, "{length}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tag_means_is_asked_once_in_the_fleet_and_is_no_material() {
    let fleet = Fleet::new().await;
    let digest = fleet.stage.signed(1, "acme/app", "v1").digest();
    let sealed = Keys { registry: "tagFreshness: 1h".into(), ..fleet.keys() };
    let material = Keys { redis: format!("url: '{}', trust: material", fleet.redis.url()), ..sealed.clone() };
    for (names, keys, asked) in [(["one", "two"], sealed, 1), (["three", "four"], material, 2)] {
        fleet.stage.origin.clear_requests();
        for name in names {
            let replica = fleet.replica_with(name, &keys).await;
            for _ in 0..2 {
                let reply = replica.get(&manifest("v1")).await;
                assert_eq!((reply.status.as_u16(), Digest::of(reply.bytes())), (200, digest));
            }
        }
        assert_eq!(fleet.stage.origin.count(|seen| seen.path.ends_with("/manifests/v1")), asked, "{names:?}");
    }
}

/// Writes an authority, a certificate of a server and one of a client, by these names.
fn certify(directory: &Path, ca: &str, names: [(&str, &str); 2]) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(directory.join(format!("{ca}.pem")), authority.pem()).unwrap();
    for (file, name) in names {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        // Another name than the authority's, or a certificate of its own is what it seems to be.
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &authority).unwrap();
        std::fs::write(directory.join(format!("{file}.pem")), certificate.pem()).unwrap();
        std::fs::write(directory.join(format!("{file}.key")), key.serialize_pem()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_a_certificate_and_a_user_of_the_rights_that_are_documented_replicas_share() {
    let fleet = Fleet::new().await;
    let directory = fleet.stage.directory.path();
    certify(directory, "ca", [("server", "localhost"), ("client", "countersign")]);
    certify(directory, "foreign-ca", [("foreign-server", "localhost"), ("foreign", "countersign")]);
    let file = |name: &str| directory.join(name).display().to_string();
    let port = super::redis::free_port();
    let redis = Redis::start_with(
        directory,
        &[
            ["--tls-port", &port.to_string()],
            ["--tls-ca-cert-file", &file("ca.pem")],
            ["--tls-cert-file", &file("server.pem")],
            ["--tls-key-file", &file("server.key")],
            ["--tls-auth-clients", "yes"],
        ]
        .concat(),
    )
    .await;
    let documented =
        include_str!("../../../../docs/cache.md").lines().find(|line| line.starts_with("user ")).unwrap();
    let user = documented.replacen("user ", "ACL SETUSER ", 1).replace("PASSWORD", "right");
    assert!(redis.ask(&user).await.starts_with("+OK"), "{user}");
    std::fs::write(directory.join("password"), "right\n").unwrap();

    let with = |client: &str, password: &str| Keys {
        redis: format!(
            "url: 'rediss://localhost:{port}', sealKeys: [{}], username: countersign, passwordFile: {}, ca: {}, \
             certificate: {}, key: {}",
            file("seal.key"),
            file(password),
            file("ca.pem"),
            file(&format!("{client}.pem")),
            file(&format!("{client}.key")),
        ),
        ..fleet.keys()
    };
    let digest = fleet.stage.signed(1, "acme/app", "v1").digest();
    for name in ["one", "two"] {
        let replica = fleet.replica_with(name, &with("client", "password")).await;
        assert_eq!(replica.denial(&image(&digest)).await, "");
        assert_eq!(replica.get(&manifest(digest)).await.status, 200);
    }
    assert_eq!(fleet.discoveries(&digest), 1);
    assert!(redis.ask("ACL LOG").await.starts_with("*0"), "nothing was refused");

    // Who is not let in is on its own, and no worse.
    std::fs::write(directory.join("wrong-password"), "wrong\n").unwrap();
    for (name, keys) in [("three", with("foreign", "password")), ("four", with("client", "wrong-password"))] {
        let replica = fleet.unready(name, &keys).await;
        assert_eq!(replica.denial(&image(&digest)).await, "");
        assert_eq!(replica.shared().stats().hits, 0, "{name}");
    }
    assert_eq!(fleet.discoveries(&digest), 3);
}
