//! Signatures of whoever holds a key.

use policies::{FlawKind, HashAlgorithm, Profile, PublicKey, Signer};
use testkit::authority::{Attack, BundleVersion, KeyKind, ManagedKey, Recipe, Record};
use verify::{Artifact, Expected, Grounds, check, verify_bundle};

use crate::cases::{
    Case, Form, MANIFEST, PROVEN, STAMPED, UNLOGGED, World, cases, cases_to_attack, image, refused, says,
    signed,
};
use crate::keyless::caught_by;

pub(crate) fn public(key: &ManagedKey) -> PublicKey {
    let hashes = [HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512];
    let hash = hashes.into_iter().find(|hash| hash.as_str() == key.kind().hash_algorithm());
    PublicKey { der: key.public_der().into(), hash: hash.unwrap() }
}

/// Those cases in which it may matter what kind of key it is.
fn cases_of_keys() -> impl Iterator<Item = Case> {
    let old = [BundleVersion::V01, BundleVersion::V02].map(Form::Bundle);
    cases().into_iter().filter(move |case| case.stamped && !old.contains(&case.form))
}

/// Whether a key of this kind signs what is known by its sha256 alone.
fn signs_digests(key: &ManagedKey) -> bool {
    key.kind() != KeyKind::Ed25519 && key.kind().hash_algorithm() == "sha256"
}

#[test]
fn whoever_holds_a_key_is_found_to_have_signed_with_and_without_a_log() {
    let world = World::new();
    let other = public(&ManagedKey::seeded("another"));
    for key in KeyKind::ALL.map(ManagedKey::generate) {
        for case in cases_of_keys() {
            let minted = case.form.write(&world.authority.mint(&case.recipe.clone().by_key(&key)));
            let of = |key, profile| check(&minted, &Grounds::key(key, &world.root, profile)).finding;
            let what = (key.kind(), &case);
            refused(
                check(&minted, &Grounds::keyless(&world.root, STAMPED)).finding,
                FlawKind::Unsupported,
                &what,
            );
            let public = public(&key);
            if case.message && !signs_digests(&key) {
                refused(of(&public, STAMPED), FlawKind::Unsupported, &what);
                continue;
            }
            refused(of(&other, UNLOGGED), FlawKind::Signature, &what);
            for profile in [STAMPED, UNLOGGED] {
                let signature = signed(of(&public, profile), &what);
                says(&signature, &case);
                assert_eq!(signature.signer, Signer::Key(public.id()));
                let timed = profile == STAMPED && case.record != Record::HashedRekordV002;
                assert_eq!(signature.integrated_time.is_some(), timed, "{what:?}");
                assert_eq!(signature.timestamps.len(), 1, "{what:?}");
            }
        }
    }
}

#[test]
fn a_signature_by_a_key_needs_no_more_than_is_demanded() {
    let world = World::new();
    let key = ManagedKey::seeded("key");
    for case in cases() {
        let on = |record, profile| {
            let recipe = case.recipe.clone().by_key(&key).recorded(record);
            world.by_key(&recipe, case.form, &public(&key), profile)
        };
        signed(on(case.record, Profile::STRICT), &case);
        signed(on(Record::Nowhere, UNLOGGED), &case);
        refused(on(Record::Nowhere, Profile::STRICT), FlawKind::LogEntry, &case);
        if matches!(case.form, Form::Bundle(_)) {
            signed(on(case.record, PROVEN), &case);
        } else {
            refused(on(case.record, PROVEN), FlawKind::LogEntry, &case);
        }
    }
}

/// The check that each attack on a signature by a key is to fail, under the profile that makes it one.
fn caught_by_key(attack: Attack, case: &Case) -> (Profile, FlawKind) {
    if matches!(attack, Attack::SignedByAnotherKey | Attack::EditedPayload) {
        return (Profile::STRICT, FlawKind::Signature);
    }
    if attack == Attack::SignedInTheFuture && case.record != Record::HashedRekordV002 {
        return (Profile::STRICT, FlawKind::LogEntry);
    }
    caught_by(attack, case)
}

#[test]
fn every_attack_on_a_signature_by_a_key_is_caught_by_the_check_that_it_is_aimed_at() {
    let world = World::new();
    let keys = [ManagedKey::seeded("key"), ManagedKey::generate(KeyKind::EcdsaP521Sha256)];
    for case in cases_to_attack() {
        for key in &keys {
            let recipe = case.recipe.clone().by_key(key);
            for attack in Attack::every().filter(|attack| attack.fits(&recipe)) {
                if Attack::ON_PROOFS.contains(&attack) && !matches!(case.form, Form::Bundle(_)) {
                    continue;
                }
                let (profile, kind) = caught_by_key(attack, &case);
                let finding = world.by_key(&recipe.clone().with(attack), case.form, &public(key), profile);
                refused(finding, kind, &(attack, &case));
            }
        }
    }
}

#[test]
fn a_bundle_is_of_the_artifact_that_it_names() {
    let world = World::new();
    let key = ManagedKey::seeded("key");
    let recipe = Recipe::message(MANIFEST).by_key(&key);
    let mut bundle = world.authority.mint(&recipe).bundle(BundleVersion::V03);
    let public = public(&key);
    let found = |bundle: &serde_json::Value, artifact| {
        let expected = Expected::Key(&public);
        verify_bundle(&artifact, bundle.to_string().as_bytes(), expected, &world.root)
            .map_err(|flaw| flaw.kind)
    };
    let (bytes, digest) = (Artifact::Bytes(MANIFEST.into()), Artifact::Digest(image()));
    assert_eq!(found(&bundle, bytes.clone()), Ok(()));
    assert_eq!(found(&bundle, digest.clone()), Ok(()));
    let another = Artifact::Bytes(b"another".as_slice().into());
    assert_eq!(found(&bundle, another), Err(FlawKind::Signature));
    let mut named = bundle.clone();
    named["messageSignature"]["messageDigest"]["digest"] =
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".into();
    assert_eq!(found(&named, bytes.clone()), Err(FlawKind::Signature));
    assert_eq!(found(&named, digest), Err(FlawKind::Signature));
    bundle["messageSignature"].as_object_mut().unwrap().remove("messageDigest").unwrap();
    assert_eq!(found(&bundle, bytes), Ok(()));
}
