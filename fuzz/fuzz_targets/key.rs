//! Whatever a policy names as a key, only that key is found to have signed.
//!
//! The input is a byte for the hash, and a key in DER.

#![no_main]

use std::sync::OnceLock;

use fuzz::signing::{self, IMAGE};
use libfuzzer_sys::fuzz_target;
use oci::Digest;
use policies::{Demand, Finding, HashAlgorithm, LogDemand, Profile, PublicKey, Signer};
use testkit::authority::{ManagedKey, Recipe, Record};
use verify::{CandidateKind, Grounds, Material};

const HASHES: [HashAlgorithm; 4] =
    [HashAlgorithm::Sha224, HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512];

/// Nothing but the signature itself.
const BARE: Profile = Profile {
    log: LogDemand::Nothing,
    certificate_timestamp: Demand::NotRequired,
    timestamp: Demand::NotRequired,
};

fn signed() -> &'static [Material] {
    static SIGNED: OnceLock<Vec<Material>> = OnceLock::new();
    SIGNED.get_or_init(|| {
        let authority = signing::authority();
        let sign = |key: &ManagedKey| {
            let recipe = Recipe::image(&Digest::of(IMAGE), "registry.example/acme/app");
            let layer = authority.mint(&recipe.by_key(key).recorded(Record::Nowhere)).layer();
            let kind = CandidateKind::SimpleSigning;
            let material = signing::material(kind, layer.payload, layer.annotations).expect("it is small");
            let public = PublicKey { der: key.public_der().into(), hash: HashAlgorithm::Sha256 };
            let finding = find(&material, &public);
            assert!(matches!(finding, Finding::Signed(_)), "{finding:?}");
            material
        };
        vec![sign(&ManagedKey::seeded("fuzz")), sign(&ManagedKey::seeded_ed25519("fuzz"))]
    })
}

fn find(material: &Material, key: &PublicKey) -> Finding {
    verify::check(material, &Grounds::key(key, signing::trust_root(), BARE)).finding
}

fuzz_target!(|input: &[u8]| {
    let Some((hash, der)) = input.split_first() else { return };
    let key = PublicKey { der: der.into(), hash: HASHES[usize::from(*hash) % HASHES.len()] };
    for material in signed() {
        if let Finding::Signed(signature) = find(material, &key) {
            assert_eq!(signature.signer, Signer::Key(key.id()));
            assert_eq!(signature.subjects, [Digest::of(IMAGE)]);
        }
    }
});
