//! Every way in which a signature is made and attached, and what can be wrong with it.

use oci::Digest;
use policies::FlawKind;
use serde_json::json;
use testkit::authority::{Attack, Recipe, Record, Statement, StatementVersion};

use crate::court::{Form, V01, V02, V03};
use crate::{MANIFEST, PROVENANCE};

/// A way in which a signature is made, recorded and attached.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) recipe: Recipe,
    pub(crate) record: Record,
    pub(crate) form: Form,
}

pub(crate) fn image() -> Recipe {
    Recipe::image(&Digest::of(MANIFEST), "registry.example/acme/app")
}

pub(crate) fn message() -> Recipe {
    Recipe::message(MANIFEST)
}

pub(crate) fn statement() -> Statement {
    Statement::new(&Digest::of(MANIFEST), PROVENANCE, json!({"buildDefinition": {}}))
}

pub(crate) fn attestation() -> Recipe {
    Recipe::statement(statement())
}

impl Way {
    fn new(recipe: Recipe, record: Record, form: Form) -> Self {
        Self { recipe: recipe.recorded(record), record, form }
    }

    /// All of them.
    pub(crate) fn every() -> Vec<Self> {
        let old = Recipe::statement(statement().in_version(StatementVersion::V01));
        vec![
            Self::new(image(), Record::HashedRekordV001, Form::Signature),
            Self::new(image().stamped(), Record::HashedRekordV001, Form::Signature),
            Self::new(attestation(), Record::DsseV001, Form::Attestation),
            Self::new(old, Record::IntotoV001, Form::Attestation),
            Self::new(attestation(), Record::IntotoV002, Form::Attestation),
            Self::new(message(), Record::HashedRekordV001, V01),
            Self::new(message(), Record::HashedRekordV001, V02),
            Self::new(message().stamped(), Record::HashedRekordV001, V03),
            Self::new(message().stamped(), Record::HashedRekordV002, V03),
            Self::new(attestation(), Record::DsseV001, V01),
            Self::new(attestation(), Record::DsseV001, V02),
            Self::new(attestation().stamped(), Record::DsseV001, V03),
            Self::new(attestation(), Record::IntotoV002, V03),
            Self::new(attestation().stamped(), Record::HashedRekordV002, V03),
        ]
    }

    /// What can be done to it.
    pub(crate) fn attacks(&self) -> impl Iterator<Item = Attack> {
        Attack::every().filter(|attack| attack.fits(&self.recipe))
    }

    /// Whether a log tells the time, in a promise.
    pub(crate) fn promised(&self) -> bool {
        self.record != Record::HashedRekordV002
    }

    /// The check that an attack is to fail where everything is demanded that usually is, or none where it does no
    /// harm.
    pub(crate) fn caught_by(&self, attack: Attack) -> Option<FlawKind> {
        let unless = |harmless: bool, kind| (!harmless).then_some(kind);
        let layer = matches!(self.form, Form::Signature | Form::Attestation);
        match attack {
            Attack::NoCertificateTimestamp
            | Attack::TimestampByUnknownLog
            | Attack::TwoCertificateTimestamps => Some(FlawKind::CertificateTimestamp),
            Attack::CertificateByStranger
            | Attack::LoggedAfterExpiry
            | Attack::LoggedBeforeIssue
            | Attack::StampedAfterExpiry => Some(FlawKind::Certificate),
            Attack::NoCertificate => Some(FlawKind::Unsupported),
            Attack::SignedByAnotherKey => Some(FlawKind::Signature),
            Attack::CertificateOfAnother | Attack::EditedPayload => match self.record {
                // It names the whole envelope and the certificate, and is read first.
                Record::IntotoV001 => Some(FlawKind::LogEntry),
                Record::Nowhere
                | Record::HashedRekordV001
                | Record::DsseV001
                | Record::IntotoV002
                | Record::HashedRekordV002 => Some(FlawKind::Signature),
            },
            Attack::WrongType => match self.form {
                Form::Signature => Some(FlawKind::Malformed),
                Form::Attestation | Form::Bundle(_) => Some(FlawKind::Unsupported),
            },
            Attack::NoLogEntry
            | Attack::EntryOfAnother
            | Attack::EditedTime
            | Attack::EntryInUnknownLog
            | Attack::ForgedPromise => Some(FlawKind::LogEntry),
            Attack::SignedInTheFuture if self.promised() => Some(FlawKind::LogEntry),
            Attack::SignedInTheFuture => Some(FlawKind::Timestamp),
            Attack::PromiseOnly => unless(layer || self.form == V01, FlawKind::LogEntry),
            // A layer has no room for a proof.
            Attack::EditedProof | Attack::ForgedCheckpoint => unless(layer, FlawKind::LogEntry),
            Attack::NoStamp | Attack::StampByStranger => unless(self.promised(), FlawKind::Timestamp),
            Attack::StampOfAnother => Some(FlawKind::Timestamp),
        }
    }
}
