//! The ways in which testkit signs, and how cosign is asked of each.

use oci::{Descriptor, Digest, MediaType};
use serde_json::json;
use testkit::authority::{
    Attack, BundleVersion, ManagedKey, Minted, Recipe, Record, SignatureManifest, Statement,
    StatementVersion, attestation_manifest, referrer, signature_manifest,
};
use testkit::image::Image;
use testkit::registry::Registry;

use super::{PROVENANCE, REPOSITORY};
use crate::stage::{HOST, release};

/// What is attached to an image.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Signature,
    Attestation,
    Bundle,
}

/// What is signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Subject {
    /// The image, as cosign signs up to version 2.
    Image,
    /// The image, as cosign 3 signs.
    ImageSignature,
    /// A provenance of the image.
    Provenance,
}

/// A way in which something is signed, recorded and attached.
#[derive(Clone, Debug)]
pub(super) struct Minting {
    form: Form,
    subject: Subject,
    record: Record,
    stamped: bool,
    key: Option<ManagedKey>,
}

impl Minting {
    /// All of them.
    pub(super) fn every(key: &ManagedKey) -> Vec<Self> {
        let (v1, v2) = (Record::HashedRekordV001, Record::HashedRekordV002);
        let new = |form, subject, record| Self { form, subject, record, stamped: false, key: None };
        let stamped = |minting| Self { stamped: true, ..minting };
        let keyed = |minting| Self { key: Some(key.clone()), ..minting };
        let tag = || new(Form::Signature, Subject::Image, v1);
        let bundle = || new(Form::Bundle, Subject::ImageSignature, Record::DsseV001);
        vec![
            tag(),
            stamped(tag()),
            keyed(tag()),
            bundle(),
            stamped(new(Form::Bundle, Subject::ImageSignature, v2)),
            keyed(bundle()),
            new(Form::Attestation, Subject::Provenance, Record::DsseV001),
            new(Form::Attestation, Subject::Provenance, Record::IntotoV001),
            new(Form::Bundle, Subject::Provenance, Record::DsseV001),
        ]
    }

    /// The order for a signature of this image.
    pub(super) fn recipe(&self, digest: &Digest) -> Recipe {
        let recipe = match (self.subject, self.form) {
            (Subject::Image, _) => Recipe::image(digest, &format!("{HOST}/{REPOSITORY}")),
            (Subject::ImageSignature, _) => Recipe::statement(Statement::image_signature(digest)),
            (Subject::Provenance, form) => {
                let version = if form == Form::Bundle { StatementVersion::V1 } else { StatementVersion::V01 };
                let predicate = json!({"buildDefinition": {}, "runDetails": {}});
                Recipe::statement(Statement::new(digest, PROVENANCE, predicate).in_version(version))
            }
        };
        let recipe = if self.stamped { recipe.stamped() } else { recipe };
        match &self.key {
            Some(key) => recipe.by_key(key),
            None => recipe.by(&release()),
        }
        .recorded(self.record)
    }

    /// Attaches a signature to an image.
    pub(super) fn attach(&self, registry: &Registry, image: &Image, minted: &Minted<'_>) {
        let digest = image.digest();
        match self.form {
            Form::Signature => {
                let tag = SignatureManifest::tag_for(&digest);
                put(registry, &tag, &signature_manifest(&[minted.layer()]));
            }
            Form::Attestation => {
                let tag = SignatureManifest::attestation_tag_for(&digest);
                put(registry, &tag, &attestation_manifest(&[minted.layer()]));
            }
            Form::Bundle => {
                let image = Descriptor {
                    media_type: MediaType::new(MediaType::OCI_MANIFEST),
                    digest,
                    size: image.manifest.len() as u64,
                    annotations: std::collections::BTreeMap::new(),
                };
                let referrer = referrer(&image, &minted.bundle(BundleVersion::V03));
                registry.put_blob(REPOSITORY, referrer.config);
                registry.put_blob(REPOSITORY, referrer.bundle);
                registry.put_manifest(REPOSITORY, None, referrer.media_type.as_str(), referrer.manifest);
            }
        }
    }

    /// What cosign is told to verify.
    pub(super) fn command(&self) -> Vec<&'static str> {
        let mut command = match self.subject {
            Subject::Image | Subject::ImageSignature => vec!["verify"],
            Subject::Provenance => vec!["verify-attestation", "--type", PROVENANCE],
        };
        if self.stamped {
            command.push("--use-signed-timestamps");
        }
        command
    }

    pub(super) fn key(&self) -> Option<String> {
        self.key.as_ref().map(ManagedKey::public_pem)
    }

    /// What can be wrong with it.
    pub(super) fn attacks(&self) -> impl Iterator<Item = Attack> {
        let recipe = self.recipe(&Digest::of(b"an image"));
        Attack::every().filter(move |attack| attack.fits(&recipe))
    }

    /// Whether cosign 3.1.3 verifies it all the same.
    pub(super) fn survives(&self, attack: Attack) -> bool {
        match attack {
            // It takes any number, and lets the time be any that all agree on. Countersign does neither.
            Attack::TwoCertificateTimestamps | Attack::SignedInTheFuture => true,
            // It does not read the type of what is signed under a tag. Countersign does.
            Attack::WrongType => self.form == Form::Signature,
            // A layer has no room for a proof, so there is nothing wrong with one.
            Attack::PromiseOnly | Attack::EditedProof | Attack::ForgedCheckpoint => self.form != Form::Bundle,
            // The log's promise tells the time as well. Countersign thinks the same of it.
            Attack::NoStamp => self.record != Record::HashedRekordV002,
            Attack::NoCertificateTimestamp
            | Attack::TimestampByUnknownLog
            | Attack::CertificateByStranger
            | Attack::CertificateOfAnother
            | Attack::NoCertificate
            | Attack::LoggedAfterExpiry
            | Attack::LoggedBeforeIssue
            | Attack::SignedByAnotherKey
            | Attack::EditedPayload
            | Attack::NoLogEntry
            | Attack::EntryOfAnother
            | Attack::EditedTime
            | Attack::EntryInUnknownLog
            | Attack::ForgedPromise
            | Attack::StampByStranger
            | Attack::StampOfAnother
            | Attack::StampedAfterExpiry => false,
        }
    }
}

fn put(registry: &Registry, tag: &str, signatures: &SignatureManifest) {
    for blob in signatures.payloads.iter().chain([&signatures.config]) {
        registry.put_blob(REPOSITORY, blob.clone());
    }
    let media_type = signatures.media_type.as_str();
    registry.put_manifest(REPOSITORY, Some(tag), media_type, signatures.manifest.clone());
}
