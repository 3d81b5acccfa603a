//! What a check costs, beside the bare signature checks that no verifier can do without.
//!
//! A keyless signature of the tag scheme takes four, all of ECDSA P-256 with SHA-256: the certificate's by its issuer,
//! the certificate log's, the transparency log's and the signer's own. What is above them is parsing, hashing and
//! comparing.

#![expect(clippy::unwrap_used, reason = "what is minted here is whole, and a bench that fails says so")]

use std::hint::black_box;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use criterion::{Criterion, criterion_group, criterion_main};
use oci::{Digest, Manifest, Verified};
use policies::{Finding, Profile};
use testkit::authority::{Authority, Identity, signature_manifest};
use verify::{Candidates, Grounds, Material, TrustRoot, check};

/// How many bytes each of the four signatures is over, in the order above.
const SIGNED: [usize; 4] = [1200, 1000, 3000, 250];

fn minted() -> (TrustRoot, Material) {
    let authority = Authority::new("bench");
    let release = Identity::github_workflow("acme/app", "release.yaml@refs/heads/main");
    let layer = authority.sign(&Digest::of(b"image"), "registry.example/acme/app", &release);
    let pushed = signature_manifest(&[layer]);
    let manifest = Manifest::parse(&Verified::of(pushed.manifest), None).unwrap();
    let candidate = Candidates::of(&manifest).list.remove(0);
    let material = candidate.material(Verified::of(pushed.payloads[0].clone())).unwrap();
    (TrustRoot::from_json(&authority.trusted_root()).unwrap(), material)
}

/// A key, and a message with the signature by it.
struct Signed {
    key: UnparsedPublicKey<Vec<u8>>,
    message: Vec<u8>,
    signature: Vec<u8>,
}

impl Signed {
    fn over(length: usize) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let message = vec![b'm'; length];
        let signature = pair.sign(&SystemRandom::new(), &message).unwrap().as_ref().to_vec();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, pair.public_key().as_ref().to_vec());
        Self { key, message, signature }
    }
}

fn tag_scheme(criterion: &mut Criterion) {
    let (trust_root, material) = minted();
    let grounds = Grounds::keyless(&trust_root, Profile::STRICT);
    let finding = check(&material, &grounds).finding;
    assert!(matches!(finding, Finding::Signed(_)), "{finding:?}");
    let bare = SIGNED.map(Signed::over);

    let mut group = criterion.benchmark_group("tag scheme");
    group.bench_function("check", |bench| bench.iter(|| check(black_box(&material), &grounds)));
    group.bench_function("bare signatures", |bench| {
        bench.iter(|| {
            bare.iter().all(|signed| black_box(signed).key.verify(&signed.message, &signed.signature).is_ok())
        });
    });
    group.finish();
}

criterion_group!(benches, tag_scheme);
criterion_main!(benches);
