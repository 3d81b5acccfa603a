//! What an authority of our own mints is judged by the library that this crate builds upon as the test expects it.
//!
//! This holds the authority to an opinion that is not ours, and a new version of the library to the old one's.

#![expect(clippy::unwrap_used, reason = "the functions that tests share fail a test as the tests do")]

use oci::Digest;
use serde_json::json;
use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::types::{Bundle, DerPublicKey};
use sigstore_verify::{Policy, PublicKeyVerificationPolicy, VerificationPolicy, Verifier};
use testkit::authority::{
    Attack, Authority, BundleVersion, KeyKind, ManagedKey, Recipe, Record, RsaSize, Statement,
    StatementVersion,
};

const MANIFEST: &[u8] = b"image manifest";

fn message(record: Record) -> Recipe {
    Recipe::message(MANIFEST).recorded(record)
}

fn attestation(record: Record) -> Recipe {
    let predicate = json!({"buildDefinition": {}});
    let statement = Statement::new(&Digest::of(MANIFEST), "https://slsa.dev/provenance/v1", predicate);
    Recipe::statement(statement).recorded(record)
}

/// Everything that the library can verify, and whether something else than a timestamp tells when it was signed.
fn recipes() -> Vec<(Recipe, bool)> {
    let image = Statement::image_signature(&Digest::of(MANIFEST)).in_version(StatementVersion::V01);
    vec![
        (message(Record::HashedRekordV001), true),
        (message(Record::HashedRekordV001).stamped(), true),
        (message(Record::HashedRekordV002).stamped(), false),
        (attestation(Record::DsseV001), true),
        (attestation(Record::DsseV001).stamped(), true),
        (attestation(Record::IntotoV002), true),
        (attestation(Record::HashedRekordV002).stamped(), false),
        (Recipe::statement(image), true),
    ]
}

/// The versions that can carry an entry, with or without a promise.
fn versions(promised: bool) -> &'static [BundleVersion] {
    if promised { &BundleVersion::ALL } else { &[BundleVersion::V02, BundleVersion::V03] }
}

/// The first version and the last. The one between has the form of the first, and the rules of the last.
fn extremes(promised: bool) -> impl Iterator<Item = BundleVersion> {
    versions(promised).iter().copied().filter(|version| *version != BundleVersion::V02)
}

/// An authority, and the library told to trust it.
struct Court {
    authority: Authority,
    verifier: Verifier,
}

impl Court {
    fn new() -> Self {
        let authority = Authority::new("seed");
        let root = TrustedRoot::from_json(&authority.trusted_root()).unwrap();
        Self { verifier: Verifier::new(&root).unwrap(), authority }
    }

    /// What the library says of a signature: nothing, or its error.
    fn judge(&self, recipe: &Recipe, version: BundleVersion, policy: &dyn Policy) -> Option<String> {
        let bundle = self.authority.mint(recipe).bundle(version).to_string();
        let verified = self.verifier.verify(MANIFEST, &Bundle::from_json(&bundle).unwrap(), policy);
        verified.err().map(|error| format!("{error:?}"))
    }

    #[track_caller]
    fn expect(&self, recipe: &Recipe, version: BundleVersion, policy: &dyn Policy, error: Option<&str>) {
        let said = self.judge(recipe, version, policy);
        let as_expected = match (&said, error) {
            (Some(said), Some(error)) => said.contains(error),
            (said, error) => said.is_none() && error.is_none(),
        };
        assert!(as_expected, "{said:?} is not {error:?} of {version:?}, {recipe:?}");
    }
}

fn by_key(key: &ManagedKey) -> PublicKeyVerificationPolicy {
    PublicKeyVerificationPolicy::new(DerPublicKey::new(key.public_der().to_vec()))
}

/// What the library's error is called, or nothing where it finds no fault.
fn expected(attack: Attack, promised: bool, version: BundleVersion) -> Option<&'static str> {
    let unless = |accepted: bool, error| (!accepted).then_some(error);
    match attack {
        Attack::NoCertificateTimestamp | Attack::TimestampByUnknownLog | Attack::TwoCertificateTimestamps => {
            Some("Certificate(Sct(")
        }
        Attack::CertificateByStranger
        | Attack::LoggedAfterExpiry
        | Attack::LoggedBeforeIssue
        | Attack::StampedAfterExpiry => Some("Certificate(ChainInvalid("),
        Attack::CertificateOfAnother | Attack::SignedByAnotherKey | Attack::EditedPayload => {
            Some("SignatureInvalid(")
        }
        Attack::NoCertificate => Some("InvalidBundle("),
        // It compares the log's times with the clock, and not those of timestamp authorities.
        Attack::SignedInTheFuture => unless(!promised, "TransparencyLog(IntegratedTime("),
        Attack::WrongType => Some("UnsupportedBundle("),
        Attack::NoLogEntry => Some("Bundle(MissingInclusion"),
        Attack::EntryOfAnother => Some("Mismatch("),
        Attack::EditedTime | Attack::EntryInUnknownLog | Attack::ForgedPromise => Some("TransparencyLog("),
        Attack::PromiseOnly => unless(version == BundleVersion::V01, "Bundle(MissingInclusionProof("),
        Attack::EditedProof => Some("TransparencyLog(InclusionProof("),
        Attack::ForgedCheckpoint => Some("TransparencyLog(Checkpoint("),
        Attack::NoStamp => unless(promised, "Timestamp(NoVerifiedTimestamp("),
        Attack::StampByStranger | Attack::StampOfAnother => Some("Timestamp(Invalid("),
    }
}

#[test]
fn everything_that_is_minted_under_a_certificate_verifies() {
    let court = Court::new();
    for (recipe, promised) in recipes() {
        for &version in versions(promised) {
            court.expect(&recipe, version, &VerificationPolicy::any_identity(), None);
        }
    }
}

#[test]
fn every_attack_under_a_certificate_is_seen_for_what_it_is() {
    let court = Court::new();
    for (recipe, promised) in recipes() {
        for attack in Attack::every().filter(|attack| attack.fits(&recipe)) {
            for version in extremes(promised) {
                let error = expected(attack, promised, version);
                let attacked = recipe.clone().with(attack);
                court.expect(&attacked, version, &VerificationPolicy::any_identity(), error);
            }
        }
    }
}

#[test]
fn what_is_signed_with_a_key_verifies_by_it_and_by_no_other() {
    let court = Court::new();
    // The others it does not verify, or takes for signatures over SHA-256.
    let kinds = [
        KeyKind::EcdsaP256,
        KeyKind::EcdsaP384Sha256,
        KeyKind::Ed25519,
        KeyKind::RsaPkcs1(RsaSize::Bits2048),
        KeyKind::RsaPkcs1(RsaSize::Bits3072),
    ];
    for kind in kinds {
        let (key, other) = (ManagedKey::generate(kind), ManagedKey::generate(kind));
        let recipe = message(Record::HashedRekordV001).by_key(&key);
        for version in BundleVersion::ALL {
            court.expect(&recipe, version, &by_key(&key), None);
            court.expect(&recipe, version, &by_key(&other), Some("SignatureInvalid("));
        }
    }
}

#[test]
fn every_attack_on_a_key_is_seen_for_what_it_is() {
    let court = Court::new();
    let key = ManagedKey::seeded("a managed key");
    for (recipe, promised) in recipes() {
        let recipe = recipe.by_key(&key);
        for attack in Attack::every().filter(|attack| attack.fits(&recipe)) {
            // A key needs no time, so it does not matter when nobody tells it.
            let needs_time = attack != Attack::NoStamp;
            for version in extremes(promised) {
                let error = expected(attack, promised, version).filter(|_| needs_time);
                court.expect(&recipe.clone().with(attack), version, &by_key(&key), error);
            }
        }
    }
}

#[test]
fn the_label_of_a_bundle_is_no_evidence() {
    let court = Court::new();
    let policy = VerificationPolicy::any_identity();
    let relabelled = |recipe: &Recipe, from: BundleVersion, to: BundleVersion| {
        let mut bundle = court.authority.mint(recipe).bundle(from);
        bundle["mediaType"] = to.media_type().into();
        let bundle = Bundle::from_json(&bundle.to_string()).unwrap();
        court.verifier.verify(MANIFEST, &bundle, &policy).map(drop).map_err(|error| error.to_string())
    };
    let recipe = message(Record::HashedRekordV001);
    let promise_only = recipe.clone().with(Attack::PromiseOnly);
    // Whoever wants a proof has to look for it: a promise is enough under the label of the first version.
    assert_eq!(relabelled(&promise_only, BundleVersion::V02, BundleVersion::V01), Ok(()));
    assert!(relabelled(&recipe, BundleVersion::V01, BundleVersion::V03).is_err(), "it has a chain");
}
