//! Evidence by example, as verification would report it on each basis.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use oci::Digest;
use policies::{
    Attestation, Basis, CertificateIdentity, Claim, Demand, Facts, Finding, Flaw, FlawKind, HashAlgorithm,
    LogDemand, PublicKey, Signature, Signer, Source, Subject, TrustRootRef,
};
use serde_json::{Value, json};

use super::table::{Sample, Statement};
use crate::cli::input;

/// A piece of evidence, ready to be reported.
pub(super) struct Piece {
    material: Digest,
    source: Source,
    made: Made,
    /// The statement, by its digest, where it is an attestation.
    pub(super) statement: Option<(Digest, Vec<u8>)>,
}

enum Made {
    Flawed(Flaw),
    Signed { signature: Signature, trust_root: TrustRoot, logged: bool },
}

/// What vouches for a certificate.
enum TrustRoot {
    Default,
    Named(String),
    /// Whatever authority a policy spells out.
    Authority,
}

impl Piece {
    /// Of the example at this place of the case's list.
    pub(super) fn new(sample: &Sample, index: usize, of: &Subject, folder: &Path) -> anyhow::Result<Self> {
        let source = sample.source.as_ref().map_or_else(Source::default, |source| Source {
            repository: source.repository.as_ref().map(|repository| repository.0.clone()),
            tag_prefix: source.tag_prefix.as_deref().map(Into::into),
        });
        let material = Digest::of(format!("evidence[{index}]").as_bytes());
        if let Some(flaw) = &sample.flawed {
            let made = Made::Flawed(Flaw { kind: flaw.check, detail: flaw.detail.clone() });
            return Ok(Self { material, source, made, statement: None });
        }
        let image = sample.of.unwrap_or(of.digest);
        let stated =
            sample.attestation.as_ref().map(|stated| statement(stated, of, image, folder)).transpose()?;
        let claim = match (&sample.attestation, &stated) {
            (Some(Statement { predicate_type, .. }), Some((digest, _))) => {
                Claim::Attestation(Attestation { predicate_type: predicate_type.clone(), statement: *digest })
            }
            (Some(_) | None, _) => Claim::Image,
        };
        let signature = Signature {
            id: material.hex(),
            subjects: vec![image],
            claim,
            signer: signer(sample)?,
            integrated_time: sample.integrated_time,
            timestamps: sample.timestamps.clone(),
            entries: sample.log_entries.clone(),
        };
        let trust_root = match sample.trust_root.as_deref() {
            None => TrustRoot::Default,
            Some("ca-cert") => TrustRoot::Authority,
            Some(name) => TrustRoot::Named(name.to_owned()),
        };
        let logged = sample.logged.unwrap_or(true);
        Ok(Self { material, source, made: Made::Signed { signature, trust_root, logged }, statement: stated })
    }

    /// What verification reports of it, where it was found in this source and looked at on this basis.
    pub(super) fn facts(&self, source: &Source, basis: &Basis) -> Option<Facts> {
        (self.source == *source).then(|| Facts { material: self.material, finding: self.finding(basis) })
    }

    fn finding(&self, basis: &Basis) -> Finding {
        let (signature, trust_root, logged) = match &self.made {
            Made::Flawed(flaw) => return Finding::Flawed(flaw.clone()),
            Made::Signed { signature, trust_root, logged } => (signature, trust_root, *logged),
        };
        let flawed = |kind, detail: &str| Finding::Flawed(Flaw { kind, detail: detail.to_owned() });
        match (&basis.key, &signature.signer) {
            (Some(key), Signer::Key(id)) if key.id() == *id => {}
            (Some(_), Signer::Key(_) | Signer::Certificate(_)) => {
                return flawed(FlawKind::Signature, "it was not made with this key");
            }
            (None, Signer::Key(_)) => return flawed(FlawKind::Certificate, "it has no certificate"),
            (None, Signer::Certificate(_)) if !trust_root.is(&basis.certificates) => {
                let detail = "the certificate is of no authority of this trust root";
                return flawed(FlawKind::Certificate, detail);
            }
            (None, Signer::Certificate(_)) => {}
        }
        if basis.profile.log != LogDemand::Nothing && !logged {
            return flawed(FlawKind::LogEntry, "no log has it");
        }
        if basis.profile.timestamp == Demand::Required && signature.timestamps.is_empty() {
            return flawed(FlawKind::Timestamp, "no authority has stamped it");
        }
        let mut signature = signature.clone();
        if basis.profile.log == LogDemand::Nothing {
            // What no log was asked for is not known to be in one.
            signature.entries.clear();
        }
        Finding::Signed(signature)
    }
}

impl TrustRoot {
    fn is(&self, root: &TrustRootRef) -> bool {
        match (self, root) {
            (Self::Default, TrustRootRef::Default) | (Self::Authority, TrustRootRef::Authority(_)) => true,
            (Self::Named(name), TrustRootRef::Named(root)) => **root == **name,
            (Self::Default | Self::Named(_) | Self::Authority, _) => false,
        }
    }
}

fn signer(sample: &Sample) -> anyhow::Result<Signer> {
    if let Some(id) = sample.key_id {
        return Ok(Signer::Key(id));
    }
    if let Some(pem) = &sample.key {
        let keys = PublicKey::from_pem(pem, HashAlgorithm::default()).context("key")?;
        let [key] = &keys[..] else { anyhow::bail!("key: wants one key") };
        return Ok(Signer::Key(key.id()));
    }
    Ok(Signer::Certificate(Arc::new(CertificateIdentity {
        issuer: sample.issuer.clone().unwrap_or_default(),
        subjects: sample.subject.clone().into_iter().collect(),
        claims: sample.claims.iter().collect(),
    })))
}

/// A statement of in-toto's, as it would have been signed.
fn statement(
    stated: &Statement,
    of: &Subject,
    image: Digest,
    folder: &Path,
) -> anyhow::Result<(Digest, Vec<u8>)> {
    let predicate = match &stated.predicate_file {
        Some(file) => input::document(&folder.join(file))?,
        None => stated.predicate.clone().unwrap_or(Value::Null),
    };
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": of.name.to_string(), "digest": {"sha256": image.hex()}}],
        "predicateType": stated.predicate_type,
        "predicate": predicate,
    });
    let text = statement.to_string().into_bytes();
    Ok((Digest::of(&text), text))
}
