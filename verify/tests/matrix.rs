//! Every format by every kind of signer, sound and attacked, as an authority of our own makes it.

#![expect(clippy::unwrap_used, reason = "the functions that tests share fail a test as the tests do")]

use oci::{Digest, Verified};
use policies::{
    Claim, Demand, Finding, FlawKind, HashAlgorithm, LogDemand, Profile, PublicKey, Signature, Signer,
};
use serde_json::json;
use testkit::authority::{
    Attack, Authority, BundleVersion, Identity, KeyKind, ManagedKey, Minted, Recipe, Record, Statement,
};
use verify::{Candidate, CandidateKind, Grounds, Material, TrustRoot, check};

const MANIFEST: &[u8] = b"image manifest";
const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

fn image() -> Digest {
    Digest::of(MANIFEST)
}

fn release() -> Identity {
    Identity::github_workflow("acme/app", "release.yaml@refs/heads/main")
}

/// How a signature is written down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Signature,
    Attestation,
    Bundle(BundleVersion),
}

impl Form {
    fn write(self, minted: &Minted<'_>) -> Material {
        let kind = match self {
            Self::Signature => CandidateKind::SimpleSigning,
            Self::Attestation => CandidateKind::Envelope,
            Self::Bundle(version) => {
                return material(CandidateKind::Bundle, minted.bundle(version).to_string(), [].into());
            }
        };
        let layer = minted.layer();
        material(kind, layer.payload, layer.annotations)
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

/// What is signed, as what it is recorded, and how it is written down.
#[derive(Clone, Debug)]
struct Case {
    recipe: Recipe,
    form: Form,
    record: Record,
    stamped: bool,
    claim: Option<&'static str>,
    /// Whether what is signed is known by its digest alone.
    message: bool,
}

/// Every combination that tools make.
fn cases() -> Vec<Case> {
    use BundleVersion::{V01, V02, V03};
    use Record::{DsseV001, HashedRekordV001, HashedRekordV002, IntotoV001, IntotoV002};
    let mut cases = Vec::new();
    let mut add = |recipe: Recipe, forms: &[Form], records: &[Record], claim, message| {
        for (form, record) in forms.iter().flat_map(|form| records.iter().map(|record| (*form, *record))) {
            // In the second generation of logs nothing tells the time but a timestamp.
            let timeless = record == HashedRekordV002;
            if timeless && matches!(form, Form::Signature | Form::Attestation | Form::Bundle(V01)) {
                continue;
            }
            let recipe = recipe.clone().recorded(record);
            if !timeless {
                let recipe = recipe.clone();
                cases.push(Case { recipe, form, record, stamped: false, claim, message });
            }
            cases.push(Case { recipe: recipe.stamped(), form, record, stamped: true, claim, message });
        }
    };
    let bundles = [V01, V02, V03].map(Form::Bundle);
    add(
        Recipe::image(&image(), "registry.example/acme/app"),
        &[Form::Signature],
        &[HashedRekordV001],
        None,
        false,
    );
    add(Recipe::message(MANIFEST), &bundles, &[HashedRekordV001, HashedRekordV002], None, true);
    for (statement, claim) in [
        (Statement::image_signature(&image()), None),
        (Statement::new(&image(), PROVENANCE, json!({"builder": "a"})), Some(PROVENANCE)),
    ] {
        let recipe = Recipe::statement(statement);
        add(recipe.clone(), &[Form::Attestation], &[DsseV001, IntotoV001, IntotoV002], claim, false);
        add(recipe, &bundles, &[DsseV001, IntotoV002, HashedRekordV002], claim, false);
    }
    cases
}

/// Those cases in which it may matter what is wrong. A statement is attacked alike whatever it says, and a timestamp
/// makes one more thing to attack.
fn cases_to_attack() -> impl Iterator<Item = Case> {
    let signs_image = |case: &Case| case.claim.is_none() && !case.message && case.form != Form::Signature;
    let between = Form::Bundle(BundleVersion::V02);
    cases().into_iter().filter(move |case| case.stamped && case.form != between && !signs_image(case))
}

struct World {
    authority: Authority,
    root: TrustRoot,
}

impl World {
    fn new() -> Self {
        let authority = Authority::new("matrix");
        let root = TrustRoot::from_json(&authority.trusted_root()).unwrap();
        Self { authority, root }
    }

    fn keyless(&self, recipe: &Recipe, form: Form, profile: Profile) -> Finding {
        let material = form.write(&self.authority.mint(recipe));
        check(&material, &Grounds::keyless(&self.root, profile)).finding
    }

    fn by_key(&self, recipe: &Recipe, form: Form, key: &PublicKey, profile: Profile) -> Finding {
        let material = form.write(&self.authority.mint(recipe));
        check(&material, &Grounds::key(key, &self.root, profile)).finding
    }
}

const STAMPED: Profile = Profile { timestamp: Demand::Required, ..Profile::STRICT };
const PROVEN: Profile = Profile { log: LogDemand::Proof, ..Profile::STRICT };
const UNLOGGED: Profile = Profile { log: LogDemand::Nothing, ..Profile::STRICT };

#[track_caller]
fn signed(finding: Finding, what: &impl std::fmt::Debug) -> Signature {
    match finding {
        Finding::Signed(signature) => signature,
        Finding::Flawed(flaw) => panic!("{what:?}: {flaw:?}"),
    }
}

#[track_caller]
fn refused(finding: Finding, kind: FlawKind, what: &impl std::fmt::Debug) {
    match finding {
        Finding::Signed(signature) => panic!("{what:?}: accepted: {signature:?}"),
        Finding::Flawed(flaw) => assert_eq!(flaw.kind, kind, "{what:?}: {}", flaw.detail),
    }
}

fn says(signature: &Signature, case: &Case) {
    assert_eq!(signature.subjects, [image()], "{case:?}");
    match (&signature.claim, case.claim) {
        (Claim::Image, None) => {}
        (Claim::Attestation(attestation), Some(claim)) => assert_eq!(attestation.predicate_type, claim),
        other => panic!("{case:?}: {other:?}"),
    }
}

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
fn caught_by(attack: Attack, case: &Case) -> (Profile, FlawKind) {
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
        Attack::NoStamp => return (STAMPED, FlawKind::Timestamp),
        Attack::StampByStranger | Attack::StampOfAnother => FlawKind::Timestamp,
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

fn public(key: &ManagedKey) -> PublicKey {
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
