//! Writes the seeds that cannot be written by hand: what our own authority signs, in each form that is fuzzed.
//!
//! It takes the folder of the corpora. Built with the targets, hence with what they are instrumented with.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use fuzz::signing::{self, IMAGE};
use libfuzzer_sys as _;
use oci::Digest;
use testkit::authority::{
    Attack, Authority, BundleVersion, KeyKind, ManagedKey, Recipe, Record, SignedLayer, Statement,
    signature_manifest,
};
use testkit::tuf::TufRepository;
use verify::CandidateKind;

fn main() -> io::Result<()> {
    let corpora = Corpora(std::env::args().nth(1).expect("the folder of the corpora").into());
    let authority = signing::authority();
    corpora.write("trusted_root", "minted", authority.trusted_root().as_bytes())?;
    layers(&corpora, &authority)?;
    bundles(&corpora, &authority)?;
    repositories(&corpora, &authority)?;
    for kind in KeyKind::ALL {
        let key = match kind {
            KeyKind::EcdsaP256 => ManagedKey::seeded("fuzz"),
            KeyKind::Ed25519 => ManagedKey::seeded_ed25519("fuzz"),
            generated => ManagedKey::generate(generated),
        };
        corpora.write(
            "key",
            &format!("{kind:?}").replace(['(', ')'], "-"),
            &[b"1", key.public_der()].concat(),
        )?;
    }
    Ok(())
}

fn image() -> Recipe {
    Recipe::image(&Digest::of(IMAGE), "registry.example/acme/app").by(&signing::identity())
}

fn statement() -> Recipe {
    let predicate = serde_json::json!({"builder": {"id": "https://builder.example"}});
    let statement = Statement::new(&Digest::of(IMAGE), "https://slsa.dev/provenance/v1", predicate);
    Recipe::statement(statement).by(&signing::identity())
}

fn layers(corpora: &Corpora, authority: &Authority) -> io::Result<()> {
    let key = ManagedKey::seeded("fuzz");
    let recipes = [
        ("signed", CandidateKind::SimpleSigning, image()),
        ("stamped", CandidateKind::SimpleSigning, image().stamped()),
        ("by-key", CandidateKind::SimpleSigning, image().by_key(&key)),
        ("entry-of-another", CandidateKind::SimpleSigning, image().with(Attack::EntryOfAnother)),
        ("stranger", CandidateKind::SimpleSigning, image().with(Attack::CertificateByStranger)),
        ("attestation", CandidateKind::Envelope, statement()),
        ("old-attestation", CandidateKind::Envelope, statement().recorded(Record::IntotoV001)),
    ];
    for (name, kind, recipe) in recipes {
        let layer = authority.mint(&recipe).layer();
        corpora.write("signature", name, &joined(kind, &layer))?;
        if matches!(name, "signed" | "attestation") {
            corpora.write("payload", name, &layer.payload)?;
            let material = signing::material(kind, layer.payload.clone(), layer.annotations.clone());
            corpora.write("material", name, &material.expect("within the limits").encode())?;
        }
    }
    let signed = authority.mint(&image()).layer();
    corpora.write("manifest", "signatures", &signature_manifest(&[signed]).manifest)
}

fn bundles(corpora: &Corpora, authority: &Authority) -> io::Result<()> {
    let signature =
        || Recipe::statement(Statement::image_signature(&Digest::of(IMAGE))).by(&signing::identity());
    let message = || Recipe::message(Bytes::from_static(IMAGE)).by(&signing::identity());
    let recipes = [
        ("signature", BundleVersion::V03, signature()),
        ("message", BundleVersion::V03, message()),
        ("second-log", BundleVersion::V03, message().recorded(Record::HashedRekordV002).stamped()),
        ("attestation", BundleVersion::V02, statement()),
        ("promise", BundleVersion::V01, statement()),
        ("forged-checkpoint", BundleVersion::V03, signature().with(Attack::ForgedCheckpoint)),
    ];
    for (name, version, recipe) in recipes {
        let bundle = authority.mint(&recipe).bundle(version).to_string();
        corpora.write("bundle", name, bundle.as_bytes())?;
    }
    Ok(())
}

/// Each file of a repository that has seen another root and another target, for the step of a refresh that asks for it.
fn repositories(corpora: &Corpora, authority: &Authority) -> io::Result<()> {
    let mut repository = TufRepository::new("fuzz", &authority.trusted_root());
    repository.rotate("timestamp", &["fuzz/next"]);
    repository.update("{}");
    for (path, content) in &repository.files {
        let (step, name) = match path.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.') {
            "root.json" => (0, path.as_str()),
            "timestamp.json" => (1, path.as_str()),
            "snapshot.json" => (2, path.as_str()),
            "targets.json" => (3, path.as_str()),
            _ if content == b"{}" => (4, "empty.json"),
            _ => (4, "trusted_root.json"),
        };
        corpora.write("tuf", name, &[&[step][..], content].concat())?;
    }
    Ok(())
}

/// The form that the target `signature` reads.
fn joined(kind: CandidateKind, layer: &SignedLayer) -> Vec<u8> {
    let letter: &[u8] = match kind {
        CandidateKind::Envelope => b"e",
        CandidateKind::SimpleSigning | CandidateKind::Bundle => b"s",
    };
    let value = |name: &str| layer.annotations.get(name).map_or("", String::as_str).as_bytes();
    let first = [letter, &layer.payload].concat();
    let values = signing::ANNOTATIONS.map(value);
    [first.as_slice()].into_iter().chain(values).collect::<Vec<_>>().join(&0xff)
}

/// The folder that has a folder for each target.
struct Corpora(PathBuf);

impl Corpora {
    fn write(&self, target: &str, name: &str, content: &[u8]) -> io::Result<()> {
        let folder: &Path = &self.0.join(target);
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join(name), content)
    }
}
