//! What a signature is called, and where logs recorded it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::Digest;
use policies::{FlawKind, LogIndex, Profile, Signature};
use serde_json::{Value, json};
use testkit::authority::{BundleVersion, ManagedKey, Recipe, Record};
use verify::{CandidateKind, Grounds, Material, check};

use crate::cases::{
    Form, MANIFEST, STAMPED, UNLOGGED, World, cases, image, material, refused, release, signed,
};
use crate::keys::public;

/// Says of an entry what it should not, and hands the bundle in.
fn edited(mut bundle: Value, pointer: &str, value: Value) -> Material {
    *bundle.pointer_mut(&format!("/verificationMaterial/tlogEntries/0{pointer}")).unwrap() = value;
    material(CandidateKind::Bundle, bundle.to_string(), [].into())
}

fn entry(bundle: &Value) -> &Value {
    &bundle["verificationMaterial"]["tlogEntries"][0]
}

fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap()
}

#[test]
fn a_recorded_signature_says_where_each_log_has_it() {
    let world = World::new();
    for case in cases() {
        let minted = world.authority.mint(&case.recipe.clone().by(&release()));
        let checked = check(&case.form.write(&minted), &Grounds::keyless(&world.root, Profile::STRICT));
        let Signature { entries, .. } = signed(checked.finding, &case);
        // The bundle says of the log what the tag scheme says in other words.
        let bundle = minted.bundle(BundleVersion::V03);
        let log = STANDARD.decode(entry(&bundle)["logId"]["keyId"].as_str().unwrap()).unwrap();
        let index = number(&entry(&bundle)["logIndex"]);
        let log = log.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(entries, [LogIndex { log, index }], "{case:?}");
        // The one in its piece of the log is another.
        let second = case.record == Record::HashedRekordV002;
        assert_eq!(index >= 1_000_000, !second, "{case:?}");
    }
}

#[test]
fn a_key_that_needs_no_log_has_no_entries() {
    let world = World::new();
    let key = ManagedKey::seeded("key");
    for case in cases() {
        let recipe = case.recipe.clone().by_key(&key);
        let on =
            |profile| signed(world.by_key(&recipe, case.form, &public(&key), profile), &case).entries.len();
        assert_eq!((on(Profile::STRICT), on(UNLOGGED)), (1, 0), "{case:?}");
    }
}

#[test]
fn an_index_that_no_log_vouches_for_is_refused() {
    let world = World::new();
    let key = ManagedKey::seeded("key");
    let message = |record| Recipe::message(MANIFEST).recorded(record).stamped();
    let (first, second) = (message(Record::HashedRekordV001), message(Record::HashedRekordV002));
    let other = |recipe: &Recipe| {
        let bundle = world.authority.mint(recipe).bundle(BundleVersion::V03);
        entry(&bundle)["logId"].clone()
    };
    // The log of the other generation, which is trusted too, and has no part in it.
    let edits = [
        (&first, "/inclusionPromise", json!(null)),
        (&first, "/logIndex", json!("7")),
        (&second, "/logIndex", json!("7")),
        (&second, "/logId", other(&first)),
    ];
    for (recipe, pointer, value) in edits {
        for profile in [Profile::STRICT, STAMPED] {
            let bundle = world.authority.mint(&recipe.clone().by(&release())).bundle(BundleVersion::V03);
            let edited_one = edited(bundle, pointer, value.clone());
            let keyless = check(&edited_one, &Grounds::keyless(&world.root, profile)).finding;
            refused(keyless, FlawKind::LogEntry, &pointer);
            let bundle = world.authority.mint(&recipe.clone().by_key(&key)).bundle(BundleVersion::V03);
            let edited_one = edited(bundle, pointer, value.clone());
            let by_key = check(&edited_one, &Grounds::key(&public(&key), &world.root, profile)).finding;
            refused(by_key, FlawKind::LogEntry, &pointer);
        }
    }
}

#[test]
fn a_signature_is_called_as_policy_controller_calls_it() {
    let world = World::new();
    let hash = |parts: [&[u8]; 2]| Digest::of(&parts.concat()).hex();
    let recipe = Recipe::image(&image(), "registry.example/acme/app");
    let keyless = world.authority.mint(&recipe.clone().by(&release()));
    let layer = keyless.layer();
    let annotation = |name: &str| layer.annotations[name].as_bytes();
    let signature = STANDARD.decode(annotation("dev.cosignproject.cosign/signature")).unwrap();
    let expected = hash([&signature, annotation("dev.sigstore.cosign/certificate")]);
    let checked = check(&Form::Signature.write(&keyless), &Grounds::keyless(&world.root, Profile::STRICT));
    assert_eq!(signed(checked.finding, &"keyless").id, expected);

    let key = ManagedKey::seeded("key");
    let by_key = world.authority.mint(&recipe.by_key(&key));
    let signature =
        STANDARD.decode(&by_key.layer().annotations["dev.cosignproject.cosign/signature"]).unwrap();
    let public = public(&key);
    let grounds = Grounds::key(&public, &world.root, Profile::STRICT);
    let checked = check(&Form::Signature.write(&by_key), &grounds).finding;
    assert_eq!(signed(checked, &"by key").id, hash([&signature, b""]));
}
