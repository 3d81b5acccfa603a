//! What a decision costs that was made before: the path of every pull and every review but the first.

#![expect(clippy::unwrap_used, reason = "the stage is our own, and a bench that fails says so")]

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use gateway::config;
use gateway::core::Core;
use oci::{Digest, Name, Reference};
use policies::{NoMatch, Request, Verdict};
use tempfile::TempDir;
use testkit::authority::{Authority, SignatureManifest, signature_manifest};
use testkit::image::Image;
use testkit::policy::{POLICY, release};
use testkit::registry::Registry;
use tokio::runtime::Runtime;

const HOST: &str = "registry.example";
const REPOSITORY: &str = "acme/app";
const IMAGES: u64 = 200;

struct Stage {
    origin: Registry,
    authority: Authority,
    core: Core,
    name: Name,
    _directory: TempDir,
}

impl Stage {
    async fn new() -> Self {
        let origin = Registry::start().await;
        let authority = Authority::new("bench");
        let directory = TempDir::new().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("trusted_root.json"), authority.trusted_root()).unwrap();
        std::fs::create_dir(path("policies")).unwrap();
        std::fs::write(path("policies/acme.yaml"), POLICY).unwrap();
        let text = format!(
            "storage: {{path: {0}/storage}}\ntrust: {{root: {{file: {0}/trusted_root.json}}}}\n\
             policies: {{directory: {0}/policies}}\nupstreams: [{{host: {HOST}, endpoint: '{1}'}}]\n",
            directory.path().display(),
            origin.url(),
        );
        std::fs::write(path("countersign.yaml"), text).unwrap();
        let config = config::load(Some(&path("countersign.yaml")), std::iter::empty()).unwrap();
        let core = Core::build(&config).unwrap();
        let reference: Reference = format!("{HOST}/{REPOSITORY}").parse().unwrap();
        Self { origin, authority, core, name: reference.name().clone(), _directory: directory }
    }

    /// Pushes an image that is signed as the policy expects.
    fn push(&self, seed: u64) -> Digest {
        let digest = Image::random(seed).push_to(&self.origin, REPOSITORY, None);
        let layer = self.authority.sign(&digest, &format!("{HOST}/{REPOSITORY}"), &release());
        let signatures = signature_manifest(&[layer]);
        self.origin.put_blob(REPOSITORY, signatures.config);
        for payload in signatures.payloads {
            self.origin.put_blob(REPOSITORY, payload);
        }
        let tag = SignatureManifest::tag_for(&digest);
        let media_type = signatures.media_type.as_str();
        self.origin.put_manifest(REPOSITORY, Some(&tag), media_type, signatures.manifest);
        digest
    }

    async fn decide(&self, digest: Digest) {
        let ruling = self
            .core
            .verdicts
            .judge(&self.name, black_box(digest), NoMatch::Deny, &Request::Pull)
            .await
            .unwrap();
        assert!(matches!(*ruling.verdict, Verdict::Allow(_)), "{:?}", ruling.verdict);
    }
}

fn decisions(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let stage = runtime.block_on(Stage::new());
    let mut seeds = 0_u64..;
    let mut pushed = |count: u64| -> Vec<Digest> {
        seeds.by_ref().take(usize::try_from(count).unwrap()).map(|seed| stage.push(seed)).collect()
    };
    let mut group = criterion.benchmark_group("decision");

    let known = pushed(IMAGES);
    group.bench_function("remembered", |bench| {
        bench.iter_custom(|times| {
            runtime.block_on(async {
                for digest in &known {
                    stage.decide(*digest).await;
                }
                let started = Instant::now();
                for digest in known.iter().cycle().take(usize::try_from(times).unwrap()) {
                    stage.decide(*digest).await;
                }
                started.elapsed()
            })
        });
    });

    group.sample_size(20);
    group.bench_function("made, from a registry on this machine", |bench| {
        bench.iter_custom(|times| {
            let fresh = pushed(times);
            runtime.block_on(async {
                let started = Instant::now();
                for digest in fresh {
                    stage.decide(digest).await;
                }
                started.elapsed()
            })
        });
    });
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
