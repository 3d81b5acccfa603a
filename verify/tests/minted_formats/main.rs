//! Every format, every kind of signer and every attack that an authority of our own mints is found to be what it is.

#![expect(clippy::unwrap_used, reason = "the functions that tests share fail a test as the tests do")]

mod court;
mod ways;

use std::collections::BTreeSet;

use oci::Digest;
use policies::{Claim, Demand, FlawKind, HashAlgorithm, LogDemand, Profile, PublicKey, Signer};
use testkit::authority::{
    Attack, BundleVersion, Identity, KeyKind, ManagedKey, Recipe, Record, RsaSize, Statement,
};

use court::{Court, Form, V01, V02, V03, material};
use ways::{Way, attestation, image, message, statement};

const MANIFEST: &[u8] = b"image manifest";
const PROVENANCE: &str = "https://slsa.dev/provenance/v1";
const NO_LOG: Profile = Profile { log: LogDemand::Nothing, ..Profile::STRICT };
const PROOF: Profile = Profile { log: LogDemand::Proof, ..Profile::STRICT };
const STAMP: Profile = Profile { timestamp: Demand::Required, ..Profile::STRICT };
const NO_CERTIFICATE_TIMESTAMP: Profile =
    Profile { certificate_timestamp: Demand::NotRequired, ..Profile::STRICT };

fn public(key: &ManagedKey) -> PublicKey {
    let hash = match key.kind().hash_algorithm() {
        "sha384" => HashAlgorithm::Sha384,
        "sha512" => HashAlgorithm::Sha512,
        _ => HashAlgorithm::Sha256,
    };
    PublicKey { der: key.public_der().into(), hash }
}

#[test]
fn whatever_is_minted_under_a_certificate_is_found_with_its_signer_and_its_times() {
    let court = Court::new();
    let identity = Identity::github_workflow("acme/other", "build.yaml@refs/tags/v1");
    for way in Way::every() {
        let signature = court.signed(&way.recipe.clone().by(&identity), way.form, Profile::STRICT);
        assert_eq!(signature.subjects, [Digest::of(MANIFEST)], "{way:?}");
        assert_eq!(signature.signer.identity().unwrap().subjects, [identity.subject.as_str()], "{way:?}");
        assert_eq!(signature.integrated_time.is_some(), way.promised(), "{way:?}");
        assert_eq!(signature.timestamps.len(), usize::from(Attack::NoStamp.fits(&way.recipe)), "{way:?}");
    }
}

#[test]
fn every_attack_is_caught_by_the_check_that_it_is_aimed_at() {
    let court = Court::new();
    for way in Way::every() {
        for attack in way.attacks() {
            let attacked = way.recipe.clone().with(attack);
            court.expect(&attacked, way.form, (None, Profile::STRICT), way.caught_by(attack));
        }
    }
}

#[test]
fn what_is_claimed_is_what_was_signed() {
    let court = Court::new();
    for (recipe, form) in [(image(), Form::Signature), (message(), V03)] {
        assert_eq!(court.signed(&recipe, form, Profile::STRICT).claim, Claim::Image);
    }
    let (one, other) = (Digest::of(MANIFEST), Digest::of(b"another"));
    let recipe = Recipe::statement(Statement::image_signature(&one).and(&other));
    let signature = court.signed(&recipe, V03, Profile::STRICT);
    assert_eq!(signature.claim, Claim::Image);
    assert_eq!(BTreeSet::from_iter(signature.subjects), BTreeSet::from([one, other]));

    for form in [Form::Attestation, V03] {
        let Claim::Attestation(attestation) = court.signed(&attestation(), form, Profile::STRICT).claim
        else {
            panic!("no attestation in {form:?}");
        };
        assert_eq!(attestation.predicate_type, PROVENANCE);
        assert_eq!(attestation.statement, Digest::of(&statement().payload()));
        let carried = material(&court.authority.mint(&ways::attestation()), form).statement();
        assert_eq!(carried, Some(statement().payload()));
    }
}

#[test]
fn a_proof_is_there_where_one_is_demanded() {
    let court = Court::new();
    let promise_only = |recipe: Recipe| recipe.with(Attack::PromiseOnly);
    for form in [V01, V02, V03] {
        court.expect(&message(), form, (None, PROOF), None);
        court.expect(&promise_only(message()), form, (None, PROOF), Some(FlawKind::LogEntry));
    }
    for (recipe, form) in [(image(), Form::Signature), (attestation(), Form::Attestation)] {
        court.expect(&recipe, form, (None, PROOF), Some(FlawKind::LogEntry));
    }
}

#[test]
fn a_timestamp_is_there_where_one_is_demanded() {
    let court = Court::new();
    for way in Way::every() {
        let stamped = Attack::NoStamp.fits(&way.recipe);
        let flaw = (!stamped).then_some(FlawKind::Timestamp);
        court.expect(&way.recipe, way.form, (None, STAMP), flaw);
    }
}

#[test]
fn without_a_log_a_timestamp_tells_the_time() {
    let court = Court::new();
    for (recipe, form) in [(image(), Form::Signature), (message(), V03), (attestation(), V03)] {
        let unrecorded = recipe.recorded(Record::Nowhere);
        court.expect(&unrecorded, form, (None, NO_LOG), Some(FlawKind::Timestamp));
        let stamped = unrecorded.stamped();
        court.expect(&stamped, form, (None, NO_LOG), None);
        court.expect(&stamped, form, (None, Profile::STRICT), Some(FlawKind::LogEntry));
        let late = stamped.with(Attack::StampedAfterExpiry);
        court.expect(&late, form, (None, NO_LOG), Some(FlawKind::Certificate));
    }
}

#[test]
fn a_certificate_timestamp_is_missed_only_where_it_is_demanded() {
    let court = Court::new();
    for way in Way::every() {
        let attacked = way.recipe.clone().with(Attack::NoCertificateTimestamp);
        court.expect(&attacked, way.form, (None, NO_CERTIFICATE_TIMESTAMP), None);
    }
}

#[test]
fn the_label_of_a_bundle_is_no_evidence() {
    let court = Court::new();
    let relabelled = |recipe: &Recipe, from: BundleVersion, to: BundleVersion, profile| {
        let mut bundle = court.authority.mint(recipe).bundle(from);
        bundle["mediaType"] = to.media_type().into();
        court.kind_of(&bundle, profile)
    };
    let promise_only = message().with(Attack::PromiseOnly);
    let (v1, v2, v3) = (BundleVersion::V01, BundleVersion::V02, BundleVersion::V03);
    // A promise is enough under the label of the first version, but not for whoever wants a proof.
    assert_eq!(relabelled(&promise_only, v2, v1, Profile::STRICT), None);
    assert_eq!(relabelled(&promise_only, v2, v1, PROOF), Some(FlawKind::LogEntry));
    assert!(relabelled(&message(), v1, v3, Profile::STRICT).is_some(), "it has a chain");
}

#[test]
fn a_key_of_every_kind_signs_without_a_log() {
    let court = Court::new();
    for kind in KeyKind::ALL {
        let (key, other) = (ManagedKey::generate(kind), ManagedKey::generate(kind));
        for (recipe, form) in
            [(image(), Form::Signature), (attestation(), Form::Attestation), (attestation(), V03)]
        {
            let recipe = recipe.by_key(&key).recorded(Record::Nowhere);
            court.expect(&recipe, form, (Some(&public(&key)), NO_LOG), None);
            court.expect(&recipe, form, (Some(&public(&other)), NO_LOG), Some(FlawKind::Signature));
            court.expect(&recipe, form, (Some(&public(&key)), Profile::STRICT), Some(FlawKind::LogEntry));
        }
    }
}

#[test]
fn a_key_signs_with_a_log_and_is_not_found_in_a_certificate() {
    let court = Court::new();
    let kinds = [KeyKind::EcdsaP256, KeyKind::Ed25519, KeyKind::RsaPkcs1(RsaSize::Bits2048)];
    for kind in kinds {
        let key = ManagedKey::generate(kind);
        let public = public(&key);
        for (recipe, form) in
            [(image(), Form::Signature), (attestation(), Form::Attestation), (attestation(), V03)]
        {
            court.expect(&recipe.clone().by_key(&key), form, (Some(&public), Profile::STRICT), None);
            let keyless = (None, Profile::STRICT);
            court.expect(&recipe.clone().by_key(&key), form, keyless, Some(FlawKind::Unsupported));
            let by_certificate = court.find(&recipe, form, Some(&public), Profile::STRICT);
            assert!(matches!(by_certificate, policies::Finding::Flawed(_)), "{by_certificate:?}");
        }
    }
}

#[test]
fn every_attack_on_a_key_is_caught() {
    let court = Court::new();
    let key = ManagedKey::seeded("a managed key");
    let public = public(&key);
    for way in Way::every() {
        let way = Way { recipe: way.recipe.clone().by_key(&key), ..way };
        court.expect(&way.recipe, way.form, (Some(&public), Profile::STRICT), None);
        for attack in way.attacks() {
            // A key is good at any time, so none need be told. What it signed is looked at before the entry is.
            let flaw = if attack == Attack::EditedPayload {
                Some(FlawKind::Signature)
            } else {
                way.caught_by(attack).filter(|_| !matches!(attack, Attack::NoStamp | Attack::StampByStranger))
            };
            court.expect(&way.recipe.clone().with(attack), way.form, (Some(&public), Profile::STRICT), flaw);
        }
    }
}

#[test]
fn a_key_is_found_by_its_fingerprint() {
    let court = Court::new();
    let key = ManagedKey::seeded("a managed key");
    let found = court.find(&image().by_key(&key), Form::Signature, Some(&public(&key)), Profile::STRICT);
    let policies::Finding::Signed(signature) = found else {
        panic!("{found:?}");
    };
    assert_eq!(signature.signer, Signer::Key(Digest::of(key.public_der())));
}
