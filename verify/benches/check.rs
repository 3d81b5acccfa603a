//! What a check costs, beside the bare signature checks that no verifier can do without.
//!
//! What is above them is parsing, hashing and comparing.

#![expect(clippy::unwrap_used, reason = "what is minted here is whole, and a bench that fails says so")]

use std::hint::black_box;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, UnparsedPublicKey,
};
use criterion::{Criterion, criterion_group, criterion_main};
use oci::{Digest, Verified};
use policies::{Demand, Finding, HashAlgorithm, LogDemand, Profile, PublicKey};
use testkit::authority::{Authority, BundleVersion, ManagedKey, Minted, Recipe, Record};
use verify::{Candidate, CandidateKind, Grounds, Material, TrustRoot, check};

/// A signature that a check cannot do without: by what, and over about how many bytes.
#[derive(Clone, Copy)]
enum Bare {
    Ecdsa(usize),
    Ed25519(usize),
}

/// The certificate's by its issuer.
const CERTIFICATE: Bare = Bare::Ecdsa(1200);
/// The certificate log's.
const CERTIFICATE_LOG: Bare = Bare::Ecdsa(1000);
/// The promise of a log.
const PROMISE: Bare = Bare::Ecdsa(3000);
/// A log's over its tree, of the first generation and of the second.
const CHECKPOINT: Bare = Bare::Ecdsa(80);
const CHECKPOINT_2: Bare = Bare::Ed25519(80);
/// A timestamp authority's, and its certificate's by its issuer.
const TIMESTAMP: [Bare; 2] = [Bare::Ecdsa(100), Bare::Ecdsa(600)];
/// The signer's own.
const SIGNATURE: Bare = Bare::Ecdsa(250);

/// Passes where it verifies.
type Verification = Box<dyn Fn() -> bool>;

impl Bare {
    fn made(self) -> Verification {
        let random = SystemRandom::new();
        match self {
            Self::Ecdsa(length) => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
                let message = vec![b'm'; length];
                let signature = pair.sign(&random, &message).unwrap().as_ref().to_vec();
                let key =
                    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, pair.public_key().as_ref().to_vec());
                Box::new(move || key.verify(black_box(&message), &signature).is_ok())
            }
            Self::Ed25519(length) => {
                let pair = Ed25519KeyPair::generate().unwrap();
                let message = vec![b'm'; length];
                let signature = pair.sign(&message).as_ref().to_vec();
                let key = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref().to_vec());
                Box::new(move || key.verify(black_box(&message), &signature).is_ok())
            }
        }
    }
}

fn material(
    kind: CandidateKind,
    payload: impl Into<bytes::Bytes>,
    annotations: std::collections::BTreeMap<String, String>,
) -> Material {
    let payload = Verified::of(payload.into());
    let size = payload.bytes().len() as u64;
    Candidate { kind, payload: payload.digest(), size, annotations }.material(payload).unwrap()
}

fn tagged(minted: &Minted<'_>) -> Material {
    let layer = minted.layer();
    material(CandidateKind::SimpleSigning, layer.payload, layer.annotations)
}

fn bundled(minted: &Minted<'_>) -> Material {
    material(CandidateKind::Bundle, minted.bundle(BundleVersion::V03).to_string(), [].into())
}

/// Measures a check, and beside it what it cannot do without.
fn measure(criterion: &mut Criterion, name: &str, material: &Material, grounds: &Grounds<'_>, bare: &[Bare]) {
    let finding = check(material, grounds).finding;
    assert!(matches!(finding, Finding::Signed(_)), "{finding:?}");
    let bare: Vec<_> = bare.iter().map(|one| one.made()).collect();
    assert!(bare.iter().all(|verify| verify()));
    let mut group = criterion.benchmark_group(name);
    group.bench_function("check", |bench| bench.iter(|| check(black_box(material), grounds)));
    group.bench_function("bare signatures", |bench| bench.iter(|| bare.iter().all(|verify| verify())));
    group.finish();
}

fn keyless(criterion: &mut Criterion) {
    let authority = Authority::new("bench");
    let root = TrustRoot::from_json(&authority.trusted_root()).unwrap();
    let strict = Grounds::keyless(&root, Profile::STRICT);
    let image = Recipe::image(&Digest::of(b"image"), "registry.example/acme/app");
    let message = Recipe::message(&b"image"[..]);
    let tag = [CERTIFICATE, CERTIFICATE_LOG, PROMISE, SIGNATURE];
    measure(criterion, "tag scheme, Rekor v1", &tagged(&authority.mint(&image)), &strict, &tag);
    let first = [&tag[..], &[CHECKPOINT]].concat();
    let bundle = bundled(&authority.mint(&message));
    measure(criterion, "bundle 0.3, Rekor v1", &bundle, &strict, &first);
    let second = [&[CERTIFICATE, CERTIFICATE_LOG, SIGNATURE, CHECKPOINT_2], &TIMESTAMP[..]].concat();
    let stamped = message.recorded(Record::HashedRekordV002).stamped();
    let stamped = bundled(&authority.mint(&stamped));
    measure(criterion, "bundle 0.3, Rekor v2 and timestamp", &stamped, &strict, &second);
    let without = Profile { certificate_timestamp: Demand::NotRequired, ..Profile::STRICT };
    let (without, bare) = (Grounds::keyless(&root, without), [CERTIFICATE, PROMISE, SIGNATURE, CHECKPOINT]);
    measure(criterion, "bundle 0.3, Rekor v1, no certificate timestamp", &bundle, &without, &bare);
}

fn by_key(criterion: &mut Criterion) {
    let authority = Authority::new("bench");
    let root = TrustRoot::from_json(&authority.trusted_root()).unwrap();
    let key = ManagedKey::seeded("bench");
    let public = PublicKey { der: key.public_der().into(), hash: HashAlgorithm::Sha256 };
    let image = Recipe::image(&Digest::of(b"image"), "registry.example/acme/app").by_key(&key);
    let image = tagged(&authority.mint(&image));
    let unlogged = Profile { log: LogDemand::Nothing, ..Profile::STRICT };
    let on = |profile| Grounds::key(&public, &root, profile);
    measure(criterion, "tag scheme, key", &image, &on(unlogged), &[SIGNATURE]);
    measure(criterion, "tag scheme, key, Rekor v1", &image, &on(Profile::STRICT), &[SIGNATURE, PROMISE]);
}

criterion_group!(benches, keyless, by_key);
criterion_main!(benches);
