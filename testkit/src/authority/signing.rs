//! One act of signing, with every party to it exchangeable.

use super::certificates::CertificateAuthority;
use super::entry_body::{Proposal, Verifier};
use super::identity::Identity;
use super::key::Key;
use super::managed_key::ManagedKey;
use super::minted::{Credential, Minted, Stamps};
use super::recipe::{Content, Recipe, Record, Signer, Stamping};
use super::rekor::Logs;
use super::sct::CertificateLog;
use super::timestamp::TimestampAuthority;
use super::{Authority, START};

/// When those sign who sign in the future: 2035-01-01T00:00:00Z, while the authorities are still valid.
const FUTURE: u64 = 2_051_222_400;

/// What it takes to sign. An attack exchanges some of it before it is performed.
pub(super) struct Signing<'a> {
    content: Content,
    party: Party<'a>,
    /// The key that signs, if it is not the party's.
    other_key: Option<ManagedKey>,
    moment: Moment,
    record: Record,
    logs: &'a Logs,
    stamper: Option<&'a TimestampAuthority>,
    seed: String,
}

/// Who signs.
enum Party<'a> {
    Certified {
        identity: Identity,
        certificates: &'a CertificateAuthority,
        /// The logs that have a timestamp in the certificate.
        certificate_logs: Vec<&'a CertificateLog>,
    },
    Keeper(ManagedKey),
}

/// When something is signed, in seconds since 1970.
#[derive(Clone, Copy)]
struct Moment {
    issued: u64,
    stamped: u64,
    logged: u64,
}

impl<'a> Signing<'a> {
    /// The n-th signing of an authority, in which every party plays by the rules.
    pub(super) fn new(authority: &'a Authority, number: u64, recipe: &Recipe) -> Self {
        let party = match &recipe.signer {
            Signer::Identity(identity) => Party::Certified {
                identity: identity.clone(),
                certificates: &authority.certificates,
                certificate_logs: vec![&authority.certificate_log],
            },
            Signer::Key(key) => Party::Keeper(key.clone()),
        };
        Self {
            content: recipe.subject.content(),
            party,
            other_key: None,
            moment: Moment::at(START + 60 + number),
            record: recipe.record,
            logs: &authority.logs,
            stamper: match recipe.stamping {
                Stamping::Asked => Some(&authority.timestamps),
                Stamping::NotAsked => None,
            },
            seed: format!("{}/leaf/{number}", authority.seed),
        }
    }

    /// The same under a certificate by this authority.
    pub(super) fn certified_by(mut self, other: &'a CertificateAuthority) -> Self {
        if let Party::Certified { certificates, .. } = &mut self.party {
            *certificates = other;
        }
        self
    }

    /// The same under a certificate with timestamps of these logs.
    pub(super) fn certificate_logged_by(mut self, logs: &[&'a CertificateLog]) -> Self {
        if let Party::Certified { certificate_logs, .. } = &mut self.party {
            *certificate_logs = logs.to_vec();
        }
        self
    }

    /// The same over other content.
    pub(super) fn over(self, content: Content) -> Self {
        Self { content, ..self }
    }

    /// The same with another key of the same kind than whoever reads it is told.
    pub(super) fn by_another_key(self) -> Self {
        let key = match &self.party {
            Party::Certified { .. } => ManagedKey::seeded(&format!("{}/other", self.seed)),
            Party::Keeper(key) => ManagedKey::generate(key.kind()),
        };
        Self { other_key: Some(key), ..self }
    }

    /// The same, recorded so many seconds after the certificate began, or before.
    pub(super) fn logged_after(mut self, seconds: i64) -> Self {
        self.moment.logged = self.moment.issued.saturating_add_signed(seconds);
        self
    }

    /// The same, stamped so many seconds after the certificate began.
    pub(super) fn stamped_after(mut self, seconds: i64) -> Self {
        self.moment.stamped = self.moment.issued.saturating_add_signed(seconds);
        self
    }

    /// The same in the future.
    pub(super) fn in_the_future(self) -> Self {
        Self { moment: Moment::at(FUTURE), ..self }
    }

    /// The same, recorded by other logs.
    pub(super) fn recorded_by(self, logs: &'a Logs) -> Self {
        Self { logs, ..self }
    }

    /// The same, stamped by another authority or by none.
    pub(super) fn stamped_by(self, stamper: Option<&'a TimestampAuthority>) -> Self {
        Self { stamper, ..self }
    }

    /// Signs, records and stamps.
    pub(super) fn perform(self) -> Minted<'a> {
        let (key, credential) = self.party.credential(&self.seed, self.moment.issued);
        let key = self.other_key.as_ref().unwrap_or(&key);
        let signature = key.sign(&self.content.signed_bytes());
        let verifier = match &credential {
            Credential::Certificate { leaf, .. } => Verifier::Certificate(leaf),
            Credential::Key(key) => Verifier::Key(key),
        };
        let proposal = Proposal { content: &self.content, signature: &signature, verifier };
        let body = proposal.body(self.record);
        let log = self.logs.taking(self.record);
        Minted {
            entry: body.map(|body| log.append(self.record, body, self.moment.logged)),
            stamps: self.stamper.map(|stamper| self.stamps(stamper, &signature)),
            content: self.content,
            signature,
            credential,
        }
    }

    /// The same, but with nothing more than a hint at the key where the certificate would be.
    pub(super) fn perform_without_certificate(self) -> Minted<'a> {
        let key = ManagedKey::seeded(&self.seed);
        Minted { credential: Credential::Key(key), ..self.perform() }
    }

    fn stamps(&self, stamper: &TimestampAuthority, signature: &[u8]) -> Stamps {
        let stamp = |bytes: &[u8]| stamper.stamp(bytes, self.moment.stamped);
        let of_signature = stamp(signature);
        let of_layer = match &self.content {
            Content::Message(_) => of_signature.clone(),
            Content::Envelope(envelope) => stamp(&envelope.closed(signature)),
        };
        Stamps { of_signature, of_layer }
    }
}

impl Party<'_> {
    /// The key to sign with, and what goes with the signature to tell whose it is.
    fn credential(&self, seed: &str, issued: u64) -> (ManagedKey, Credential) {
        match self {
            Self::Certified { identity, certificates, certificate_logs } => {
                let key = Key::seeded(seed);
                let leaf = certificates.issue(key.public(), identity, issued, certificate_logs);
                let chain = certificates.chain().map(<[u8]>::to_vec);
                (key.into(), Credential::Certificate { leaf, chain })
            }
            Self::Keeper(key) => (key.clone(), Credential::Key(key.clone())),
        }
    }
}

impl Moment {
    /// One signing each second, stamped three seconds after the certificate began and recorded five.
    fn at(issued: u64) -> Self {
        Self { issued, stamped: issued + 3, logged: issued + 5 }
    }
}
