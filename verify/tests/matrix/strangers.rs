//! Signed timestamps by authorities that the trust root does not know.

use policies::{Demand, FlawKind, Profile, Signature};
use serde_json::Value;
use testkit::authority::{Attack, BundleVersion, ManagedKey, Recipe, Record};
use verify::{CandidateKind, Grounds, Material, check};

use crate::cases::{Form, MANIFEST, STAMPED, UNLOGGED, World, cases, material, refused, release, signed};
use crate::keys::public;

#[test]
fn a_strange_timestamp_is_as_good_as_none() {
    let world = World::new();
    let key = ManagedKey::seeded("key");
    for case in cases().into_iter().filter(|case| case.stamped) {
        let recipe = case.recipe.clone().with(Attack::StampByStranger);
        let timeless = case.record == Record::HashedRekordV002;
        let keyless = |profile| world.keyless(&recipe.clone().by(&release()), case.form, profile);
        let by_key = |profile| world.by_key(&recipe.clone().by_key(&key), case.form, &public(&key), profile);
        refused(keyless(STAMPED), FlawKind::Timestamp, &case);
        refused(by_key(STAMPED), FlawKind::Timestamp, &case);
        for profile in [Profile::STRICT, UNLOGGED] {
            let unstamped = |signature: Signature| assert!(signature.timestamps.is_empty(), "{case:?}");
            if timeless {
                // Nothing else tells when the certificate was used.
                refused(keyless(profile), FlawKind::Timestamp, &case);
            } else {
                unstamped(signed(keyless(profile), &case));
            }
            unstamped(signed(by_key(profile), &case));
        }
    }
}

/// A bundle with the timestamps of these, which are of one signature, in this order.
fn stamped(of: [&Value; 2]) -> Material {
    let stamps = |bundle: &Value| {
        let list = bundle.pointer("/verificationMaterial/timestampVerificationData/rfc3161Timestamps");
        list.and_then(Value::as_array).cloned().unwrap()
    };
    let mut bundle = of[0].clone();
    bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"] =
        of.into_iter().flat_map(stamps).collect();
    material(CandidateKind::Bundle, bundle.to_string(), [].into())
}

#[test]
fn one_known_timestamp_among_strange_ones_is_enough_and_has_to_be_right() {
    // The same seed and the same turn make the same signature, so both timestamps are of it.
    let mint = |record, attack: Option<Attack>| {
        let recipe = Recipe::message(MANIFEST).by(&release()).recorded(record).stamped();
        let recipe = attack.into_iter().fold(recipe, Recipe::with);
        World::new().authority.mint(&recipe).bundle(BundleVersion::V03)
    };
    let world = World::new();
    let without_log = Profile { timestamp: Demand::Required, ..UNLOGGED };
    for record in [Record::HashedRekordV001, Record::HashedRekordV002, Record::Nowhere] {
        let (good, strange, wrong) = (
            mint(record, None),
            mint(record, Some(Attack::StampByStranger)),
            mint(record, Some(Attack::StampOfAnother)),
        );
        let profile = if record == Record::Nowhere { without_log } else { STAMPED };
        let found = |of| check(&stamped(of), &Grounds::keyless(&world.root, profile)).finding;
        for of in [[&good, &strange], [&strange, &good]] {
            assert_eq!(signed(found(of), &record).timestamps.len(), 1);
        }
        refused(found([&strange, &strange]), FlawKind::Timestamp, &record);
        refused(found([&wrong, &strange]), FlawKind::Timestamp, &record);
    }
    let known = Form::Bundle(BundleVersion::V03);
    let recipe = Recipe::message(MANIFEST).by(&release()).stamped().with(Attack::StampOfAnother);
    refused(world.keyless(&recipe, known, Profile::STRICT), FlawKind::Timestamp, &"of another");
}
