//! Signatures of whoever a certificate names.

use policies::{FlawKind, Profile};
use testkit::authority::{Attack, Authority, BundleVersion, Recipe, Record};
use verify::{Grounds, TrustRoot, check};

use crate::cases::{
    Case, Form, MANIFEST, PROVEN, STAMPED, UNLOGGED, World, cases, cases_to_attack, refused, release, says,
    signed,
};

#[test]
fn whatever_is_sound_is_found_to_be_signed() {
    let world = World::new();
    for case in cases() {
        let recipe = case.recipe.clone().by(&release());
        let on = |profile| world.keyless(&recipe, case.form, profile);
        let signature = signed(on(Profile::STRICT), &case);
        says(&signature, &case);
        let signer = signature.signer.identity().unwrap();
        assert_eq!(signer.issuer, "https://token.actions.githubusercontent.com");
        assert_eq!(signature.timestamps.len(), usize::from(case.stamped), "{case:?}");
        assert_eq!(signature.integrated_time.is_none(), case.record == Record::HashedRekordV002, "{case:?}");
        signed(on(UNLOGGED), &case);
        if case.stamped {
            signed(on(STAMPED), &case);
        } else {
            refused(on(STAMPED), FlawKind::Timestamp, &case);
        }
        if matches!(case.form, Form::Bundle(_)) {
            signed(on(PROVEN), &case);
        } else {
            refused(on(PROVEN), FlawKind::LogEntry, &case);
        }
    }
}

/// The check that each attack on a keyless signature is to fail, under the profile that makes it one.
pub(crate) fn caught_by(attack: Attack, case: &Case) -> (Profile, FlawKind) {
    let timeless = case.record == Record::HashedRekordV002;
    let of_envelope = case.form == Form::Attestation;
    let kind = match attack {
        Attack::NoCertificateTimestamp | Attack::TimestampByUnknownLog | Attack::TwoCertificateTimestamps => {
            FlawKind::CertificateTimestamp
        }
        Attack::CertificateByStranger
        | Attack::LoggedAfterExpiry
        | Attack::LoggedBeforeIssue
        | Attack::StampedAfterExpiry => FlawKind::Certificate,
        Attack::NoCertificate => FlawKind::Unsupported,
        Attack::SignedByAnotherKey => FlawKind::Signature,
        // What was recorded and stamped is the envelope, which comes before the signature in it.
        Attack::EditedPayload if of_envelope && case.record == Record::IntotoV001 => FlawKind::LogEntry,
        Attack::EditedPayload if of_envelope && case.stamped => FlawKind::Timestamp,
        Attack::CertificateOfAnother if of_envelope && case.record == Record::IntotoV001 => {
            FlawKind::LogEntry
        }
        Attack::EditedPayload | Attack::CertificateOfAnother => FlawKind::Signature,
        Attack::WrongType if case.form == Form::Signature => FlawKind::Malformed,
        Attack::WrongType => FlawKind::Unsupported,
        Attack::SignedInTheFuture if timeless => FlawKind::Timestamp,
        // That the envelope was stamped is what comes first, where a certificate has to have been valid then.
        Attack::SignedInTheFuture if of_envelope && case.stamped => FlawKind::Timestamp,
        Attack::PromiseOnly
            if !matches!(case.form, Form::Bundle(BundleVersion::V02 | BundleVersion::V03)) =>
        {
            return (PROVEN, FlawKind::LogEntry);
        }
        Attack::NoLogEntry
        | Attack::EntryOfAnother
        | Attack::EditedTime
        | Attack::EntryInUnknownLog
        | Attack::ForgedPromise
        | Attack::SignedInTheFuture
        | Attack::PromiseOnly
        | Attack::EditedProof
        | Attack::ForgedCheckpoint => FlawKind::LogEntry,
        // Where a log tells the time, a timestamp by nobody known is as good as none.
        Attack::NoStamp | Attack::StampByStranger => return (STAMPED, FlawKind::Timestamp),
        Attack::StampOfAnother => FlawKind::Timestamp,
    };
    (Profile::STRICT, kind)
}

#[test]
fn every_attack_on_a_keyless_signature_is_caught_by_the_check_that_it_is_aimed_at() {
    let world = World::new();
    for case in cases_to_attack() {
        let recipe = case.recipe.clone().by(&release());
        for attack in Attack::every().filter(|attack| attack.fits(&recipe)) {
            if Attack::ON_PROOFS.contains(&attack) && !matches!(case.form, Form::Bundle(_)) {
                continue;
            }
            let (profile, kind) = caught_by(attack, &case);
            let finding = world.keyless(&recipe.clone().with(attack), case.form, profile);
            refused(finding, kind, &(attack, &case));
        }
    }
}

#[test]
fn without_a_log_it_is_a_timestamp_that_tells_when_a_certificate_was_used() {
    let world = World::new();
    for case in cases().into_iter().filter(|case| case.stamped) {
        let recipe = case.recipe.clone().by(&release()).recorded(Record::Nowhere);
        let signature = signed(world.keyless(&recipe, case.form, UNLOGGED), &case);
        says(&signature, &case);
        assert_eq!((signature.integrated_time, signature.timestamps.len()), (None, 1), "{case:?}");
        refused(world.keyless(&recipe, case.form, Profile::STRICT), FlawKind::LogEntry, &case);
        for (attack, kind) in [
            (Attack::NoStamp, FlawKind::Timestamp),
            (Attack::StampByStranger, FlawKind::Timestamp),
            (Attack::StampOfAnother, FlawKind::Timestamp),
            (Attack::StampedAfterExpiry, FlawKind::Certificate),
            (Attack::SignedInTheFuture, FlawKind::Timestamp),
            (Attack::CertificateByStranger, FlawKind::Certificate),
            (Attack::TimestampByUnknownLog, FlawKind::CertificateTimestamp),
            (Attack::CertificateOfAnother, FlawKind::Signature),
        ] {
            let attacked = recipe.clone().with(attack);
            refused(world.keyless(&attacked, case.form, UNLOGGED), kind, &(attack, &case));
        }
    }
}

#[test]
fn where_no_log_is_demanded_known_logs_have_to_be_right_and_others_count_for_nothing() {
    let world = World::new();
    for case in cases_to_attack() {
        let recipe = case.recipe.clone().by(&release());
        let found = |attack| world.keyless(&recipe.clone().with(attack), case.form, UNLOGGED);
        let signature = signed(found(Attack::EntryInUnknownLog), &case);
        assert_eq!((signature.integrated_time, signature.entries.len()), (None, 0), "{case:?}");
        refused(found(Attack::EntryOfAnother), FlawKind::LogEntry, &case);
    }
}

#[test]
fn each_root_of_a_composed_one_vouches_for_its_own_part() {
    let (ours, theirs) = (World::new(), Authority::new("another"));
    let (ours_root, theirs) = (&ours.root, &TrustRoot::from_json(&theirs.trusted_root()).unwrap());
    let recipe = Recipe::message(MANIFEST).by(&release()).stamped();
    let bundle = Form::Bundle(BundleVersion::V03).write(&ours.authority.mint(&recipe));
    let found = |certificates, logs, timestamps| {
        let root = TrustRoot::compose(certificates, logs, timestamps);
        check(&bundle, &Grounds::keyless(&root, Profile::STRICT)).finding
    };
    signed(found(ours_root, ours_root, ours_root), &"ours");
    refused(found(theirs, ours_root, ours_root), FlawKind::Certificate, &"certificates");
    refused(found(ours_root, theirs, ours_root), FlawKind::LogEntry, &"logs");
    let unstamped = signed(found(ours_root, ours_root, theirs), &"timestamps");
    assert!(unstamped.timestamps.is_empty());
}
