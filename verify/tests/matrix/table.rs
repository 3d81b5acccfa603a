//! The table in `docs/verification.md`: what is found of every format by every kind of signer, sound and not.

use oci::Digest;
use policies::{Finding, FlawKind, Profile, PublicKey, Signature, Signer};
use serde_json::Value;
use testkit::authority::{Attack, BundleVersion, Identity, ManagedKey, Minted, Recipe, Record, Statement};
use verify::{CandidateKind, Grounds, Material, check};

use crate::cases::{Form, MANIFEST, PROVEN, PROVENANCE, UNLOGGED, World, image, material, release};
use crate::keys::public;

const LOG_ENTRY: &str = "dev.sigstore.cosign/bundle";

/// A column: what is signed, as what it is recorded, and how it is written down.
struct Format {
    name: &'static str,
    form: Form,
    statement: bool,
    record: Record,
}

const FORMATS: [Format; 8] = {
    const V01: Form = Form::Bundle(BundleVersion::V01);
    const V03: Form = Form::Bundle(BundleVersion::V03);
    const fn format(name: &'static str, form: Form, statement: bool, record: Record) -> Format {
        Format { name, form, statement, record }
    }
    [
        format("`.sig`", Form::Signature, false, Record::HashedRekordV001),
        format("`.att`", Form::Attestation, true, Record::DsseV001),
        format("`.att`, cosign 1", Form::Attestation, true, Record::IntotoV001),
        format("bundle 0.1", V01, false, Record::HashedRekordV001),
        format("bundle 0.3", V03, false, Record::HashedRekordV001),
        format("its statement", V03, true, Record::DsseV001),
        format("Rekor 2", V03, false, Record::HashedRekordV002),
        format("its statement", V03, true, Record::HashedRekordV002),
    ]
};

/// A row: what is not as it should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Row {
    Good,
    OtherIdentity,
    OtherIssuer,
    OtherDigest,
    Attacked(&'static str, Attack),
    Unproven,
    ExpiredLeaf,
    CertificateOfOneEntryOfAnother,
    Twice,
    Relabelled,
}

const ROWS: [Row; 23] = [
    Row::Good,
    Row::OtherIdentity,
    Row::OtherIssuer,
    Row::OtherDigest,
    Row::Attacked("payload edited", Attack::EditedPayload),
    Row::Attacked("signed with another key", Attack::SignedByAnotherKey),
    Row::Attacked("no log entry", Attack::NoLogEntry),
    Row::Attacked("log entry of another signature", Attack::EntryOfAnother),
    Row::CertificateOfOneEntryOfAnother,
    Row::Attacked("unknown log", Attack::EntryInUnknownLog),
    Row::Attacked("known log's name, another key", Attack::ForgedPromise),
    Row::Attacked("the same in the checkpoint", Attack::ForgedCheckpoint),
    Row::Attacked("promise and no proof", Attack::PromiseOnly),
    Row::Unproven,
    Row::Attacked("no certificate timestamp", Attack::NoCertificateTimestamp),
    Row::Attacked("two certificate timestamps", Attack::TwoCertificateTimestamps),
    Row::Attacked("unknown certificate authority", Attack::CertificateByStranger),
    Row::ExpiredLeaf,
    Row::Attacked("recorded before the certificate began", Attack::LoggedBeforeIssue),
    Row::Attacked("in the future", Attack::SignedInTheFuture),
    Row::Attacked("timestamp by an unknown authority", Attack::StampByStranger),
    Row::Twice,
    Row::Relabelled,
];

impl Row {
    fn name(self) -> &'static str {
        match self {
            Self::Good => "sound",
            Self::OtherIdentity => "another identity",
            Self::OtherIssuer => "another issuer",
            Self::OtherDigest => "another image",
            Self::Attacked(name, _) => name,
            Self::Unproven => "the same, and a proof is demanded",
            Self::ExpiredLeaf => "recorded or stamped after the certificate expired",
            Self::CertificateOfOneEntryOfAnother => "log entry of another signer, of the same image",
            Self::Twice => "twice, with something else beside it",
            Self::Relabelled => "under another media type",
        }
    }
}

/// A table: who vouches for the signer, and what is demanded.
struct Court {
    world: World,
    key: Option<ManagedKey>,
    profile: Profile,
}

impl Court {
    fn recipe(&self, format: &Format, of: &[u8]) -> Recipe {
        let recipe = match (format.form, format.statement) {
            (Form::Signature, _) => Recipe::image(&Digest::of(of), "registry.example/acme/app"),
            (_, true) => Recipe::statement(Statement::new(
                &Digest::of(of),
                PROVENANCE,
                serde_json::json!({"builder": "a"}),
            )),
            (_, false) => Recipe::message(of.to_vec()),
        };
        // In the second generation of logs nothing tells the time but a timestamp.
        let recipe = recipe.recorded(format.record);
        let recipe = if format.record == Record::HashedRekordV002 { recipe.stamped() } else { recipe };
        match &self.key {
            Some(key) => recipe.by_key(key),
            None => recipe.by(&release()),
        }
    }

    fn find(&self, material: &Material, profile: Profile) -> Finding {
        let key: Option<PublicKey> = self.key.as_ref().map(public);
        check(material, &Grounds { trust_root: &self.world.root, profile, key: key.as_ref() }).finding
    }

    fn cell(&self, row: Row, format: &Format) -> String {
        let sound = self.recipe(format, MANIFEST);
        let minted = |recipe: &Recipe| format.form.write(&self.world.authority.mint(recipe));
        let found = |recipe: &Recipe| self.say(self.find(&minted(recipe), self.profile));
        let attacked = |attack: Attack| sound.clone().with(attack);
        let layer = !matches!(format.form, Form::Bundle(_));
        let made = |attack: Attack| attack.fits(&sound) && !(layer && Attack::ON_PROOFS.contains(&attack));
        let nothing = || "–".to_owned();
        match row {
            Row::Good => found(&sound),
            // Another key is another signer, and a key has no issuer.
            Row::OtherIdentity | Row::OtherIssuer if self.key.is_some() => nothing(),
            Row::OtherIdentity => {
                let other = Identity::github_workflow("acme/other", "release.yaml@refs/heads/main");
                found(&sound.by(&other))
            }
            Row::OtherIssuer => found(&sound.by(&Identity::new("https://issuer.example", release().subject))),
            Row::OtherDigest => found(&self.recipe(format, b"another image")),
            // A layer has no room for a proof.
            Row::Attacked(_, Attack::PromiseOnly) if layer => found(&sound),
            Row::Attacked(_, attack) if made(attack) => found(&attacked(attack)),
            Row::Unproven if layer && self.profile != UNLOGGED => {
                self.say(self.find(&minted(&sound), PROVEN))
            }
            Row::Unproven if made(Attack::PromiseOnly) && self.profile != UNLOGGED => {
                self.say(self.find(&minted(&attacked(Attack::PromiseOnly)), PROVEN))
            }
            Row::ExpiredLeaf => {
                let late = [Attack::LoggedAfterExpiry, Attack::StampedAfterExpiry];
                let late = late.into_iter().find(|attack| made(*attack));
                late.map_or_else(nothing, |attack| found(&attacked(attack)))
            }
            Row::CertificateOfOneEntryOfAnother => {
                let other = match self.key {
                    Some(_) => sound.clone().by_key(&ManagedKey::seeded("another")),
                    None => sound.clone().by(&Identity::email("https://issuer.example", "b@acme.example")),
                };
                let mint = |recipe| self.world.authority.mint(recipe);
                self.say(self.find(&stitched(format.form, &mint(&sound), &mint(&other)), self.profile))
            }
            Row::Twice => self.twice(format.form, &self.world.authority.mint(&sound)),
            Row::Relabelled => self
                .say(self.find(&relabelled(format.form, &self.world.authority.mint(&sound)), self.profile)),
            Row::Attacked(..) | Row::Unproven => nothing(),
        }
    }

    /// Whether it counts, as what it is signed where it does not count for this image and signer, or which
    /// check it fails.
    fn say(&self, finding: Finding) -> String {
        match finding {
            Finding::Signed(signature) if self.expected(&signature) => "**signed**".into(),
            Finding::Signed(signature) if signature.subjects != [image()] => "of another".into(),
            Finding::Signed(_) => "by another".into(),
            Finding::Flawed(flaw) => flaw.kind.as_str().into(),
        }
    }

    fn expected(&self, signature: &Signature) -> bool {
        let by = match (&signature.signer, &self.key) {
            (Signer::Key(id), Some(key)) => *id == Digest::of(key.public_der()),
            (Signer::Certificate(signer), None) => {
                signer.issuer == release().issuer && signer.subjects == [release().subject.as_str()]
            }
            (Signer::Key(_), None) | (Signer::Certificate(_), Some(_)) => false,
        };
        by && signature.subjects == [image()]
    }

    /// One signature in two pieces of material is still one signature.
    fn twice(&self, form: Form, minted: &Minted<'_>) -> String {
        let id = |material: &Material| match self.find(material, self.profile) {
            Finding::Signed(signature) => signature.id,
            Finding::Flawed(flaw) => panic!("{flaw:?}"),
        };
        let (one, other) = (form.write(minted), beside(form, minted));
        assert_ne!(one.digest(), other.digest());
        if id(&one) == id(&other) { "one `id`".into() } else { "two".into() }
    }

    fn table(&self) -> String {
        let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let header = ["".to_owned()].into_iter().chain(FORMATS.iter().map(|format| format.name.to_owned()));
        let line = vec!["---".to_owned(); FORMATS.len() + 1].join("|");
        let rows = ROWS.iter().filter_map(|one| {
            let cells: Vec<_> = FORMATS.iter().map(|format| self.cell(*one, format)).collect();
            // A row in which nothing can be wrong says nothing.
            cells
                .iter()
                .any(|cell| cell != "–")
                .then(|| row([one.name().to_owned()].into_iter().chain(cells).collect()))
        });
        format!("{}|{line}|\n{}", row(header.collect()), rows.collect::<String>())
    }
}

/// A signature with the log entry of another.
fn stitched(form: Form, one: &Minted<'_>, other: &Minted<'_>) -> Material {
    let Form::Bundle(version) = form else {
        let (mut layer, other) = (one.layer(), other.layer());
        layer.annotations.insert(LOG_ENTRY.into(), other.annotations[LOG_ENTRY].clone());
        return material(kind(form), layer.payload, layer.annotations);
    };
    let (mut bundle, other) = (one.bundle(version), other.bundle(version));
    bundle["verificationMaterial"]["tlogEntries"] = other["verificationMaterial"]["tlogEntries"].clone();
    of_bundle(&bundle)
}

/// The same signature in other material.
fn beside(form: Form, minted: &Minted<'_>) -> Material {
    let Form::Bundle(version) = form else {
        let mut layer = minted.layer();
        layer.annotations.insert("example".into(), "beside".into());
        return material(kind(form), layer.payload, layer.annotations);
    };
    let json = format!("{:#}", minted.bundle(version));
    material(CandidateKind::Bundle, json, [].into())
}

/// The signature under the media type of another format: of bundles the other version's.
fn relabelled(form: Form, minted: &Minted<'_>) -> Material {
    let other = match form {
        Form::Bundle(BundleVersion::V01) => BundleVersion::V03,
        Form::Bundle(BundleVersion::V02 | BundleVersion::V03) => BundleVersion::V01,
        Form::Signature | Form::Attestation => {
            let layer = minted.layer();
            let other = if form == Form::Signature { Form::Attestation } else { Form::Signature };
            return material(kind(other), layer.payload, layer.annotations);
        }
    };
    let Form::Bundle(version) = form else { panic!("{form:?}") };
    let mut bundle = minted.bundle(version);
    bundle["mediaType"] = other.media_type().into();
    of_bundle(&bundle)
}

fn of_bundle(bundle: &Value) -> Material {
    material(CandidateKind::Bundle, bundle.to_string(), [].into())
}

fn kind(form: Form) -> CandidateKind {
    match form {
        Form::Signature => CandidateKind::SimpleSigning,
        Form::Attestation => CandidateKind::Envelope,
        Form::Bundle(_) => CandidateKind::Bundle,
    }
}

#[test]
fn the_documented_tables_are_true() {
    let document = include_str!("../../../docs/verification.md");
    let key = || Some(ManagedKey::seeded("key"));
    for (title, key, profile) in [
        ("Keyless", None, Profile::STRICT),
        ("A key, with a log", key(), Profile::STRICT),
        ("A key, without a log", key(), UNLOGGED),
    ] {
        let table = Court { world: World::new(), key, profile }.table();
        let section = document.split(&format!("### {title}\n\n")).nth(1).unwrap_or_default();
        assert!(section.starts_with(&format!("{table}\n")), "{title} should read\n\n{table}");
        // Nothing that is signed right is refused for how it reads, but under a wrong label.
        let unread = table.lines().filter(|line| line.contains(FlawKind::Malformed.as_str()));
        assert_eq!(unread.filter(|line| !line.contains(Row::Relabelled.name())).count(), 0, "{title}");
    }
}
