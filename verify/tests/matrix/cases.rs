//! Every combination of format, record and timestamp, and a world in which they are made and checked.

use oci::{Digest, Verified};
use policies::{Claim, Demand, Finding, FlawKind, LogDemand, Profile, PublicKey, Signature};
use serde_json::json;
use testkit::authority::{Authority, BundleVersion, Identity, Minted, Recipe, Record, Statement};
use verify::{Candidate, CandidateKind, Grounds, Material, TrustRoot, check};

pub(crate) const MANIFEST: &[u8] = b"image manifest";
pub(crate) const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

pub(crate) fn image() -> Digest {
    Digest::of(MANIFEST)
}

pub(crate) fn release() -> Identity {
    Identity::github_workflow("acme/app", "release.yaml@refs/heads/main")
}

/// How a signature is written down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    Signature,
    Attestation,
    Bundle(BundleVersion),
}

impl Form {
    pub(crate) fn write(self, minted: &Minted<'_>) -> Material {
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

pub(crate) fn material(
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
pub(crate) struct Case {
    pub(crate) recipe: Recipe,
    pub(crate) form: Form,
    pub(crate) record: Record,
    pub(crate) stamped: bool,
    pub(crate) claim: Option<&'static str>,
    /// Whether what is signed is known by its digest alone.
    pub(crate) message: bool,
}

/// Every combination that tools make.
pub(crate) fn cases() -> Vec<Case> {
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

/// Those cases in which it may matter what is wrong. A statement is attacked alike whatever it says, and a
/// timestamp makes one more thing to attack.
pub(crate) fn cases_to_attack() -> impl Iterator<Item = Case> {
    let signs_image = |case: &Case| case.claim.is_none() && !case.message && case.form != Form::Signature;
    let between = Form::Bundle(BundleVersion::V02);
    cases().into_iter().filter(move |case| case.stamped && case.form != between && !signs_image(case))
}

pub(crate) struct World {
    pub(crate) authority: Authority,
    pub(crate) root: TrustRoot,
}

impl World {
    pub(crate) fn new() -> Self {
        let authority = Authority::new("matrix");
        let root = TrustRoot::from_json(&authority.trusted_root()).unwrap();
        Self { authority, root }
    }

    pub(crate) fn keyless(&self, recipe: &Recipe, form: Form, profile: Profile) -> Finding {
        let material = form.write(&self.authority.mint(recipe));
        check(&material, &Grounds::keyless(&self.root, profile)).finding
    }

    pub(crate) fn by_key(&self, recipe: &Recipe, form: Form, key: &PublicKey, profile: Profile) -> Finding {
        let material = form.write(&self.authority.mint(recipe));
        check(&material, &Grounds::key(key, &self.root, profile)).finding
    }
}

pub(crate) const STAMPED: Profile = Profile { timestamp: Demand::Required, ..Profile::STRICT };
pub(crate) const PROVEN: Profile = Profile { log: LogDemand::Proof, ..Profile::STRICT };
pub(crate) const UNLOGGED: Profile = Profile { log: LogDemand::Nothing, ..Profile::STRICT };

#[track_caller]
pub(crate) fn signed(finding: Finding, what: &impl std::fmt::Debug) -> Signature {
    match finding {
        Finding::Signed(signature) => signature,
        Finding::Flawed(flaw) => panic!("{what:?}: {flaw:?}"),
    }
}

#[track_caller]
pub(crate) fn refused(finding: Finding, kind: FlawKind, what: &impl std::fmt::Debug) {
    match finding {
        Finding::Signed(signature) => panic!("{what:?}: accepted: {signature:?}"),
        Finding::Flawed(flaw) => assert_eq!(flaw.kind, kind, "{what:?}: {}", flaw.detail),
    }
}

pub(crate) fn says(signature: &Signature, case: &Case) {
    assert_eq!(signature.subjects, [image()], "{case:?}");
    match (&signature.claim, case.claim) {
        (Claim::Image, None) => {}
        (Claim::Attestation(attestation), Some(claim)) => assert_eq!(attestation.predicate_type, claim),
        other => panic!("{case:?}: {other:?}"),
    }
}
