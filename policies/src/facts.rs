//! What verification can report: the input of judgement.

use std::collections::BTreeMap;
use std::sync::Arc;

use oci::{Digest, Name};
use serde::{Deserialize, Serialize};

use crate::claims::Claims;
use crate::key::PublicKey;

/// What cryptography says of one piece of material against one [`Basis`].
///
/// Facts never change and belong to no tenant, policy or request, so they can be remembered for ever. `verify`
/// makes them; they are stored as JSON, hence the derives.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Facts {
    /// The material that was checked.
    pub material: Digest,
    /// What came of it.
    pub finding: Finding,
}

/// The outcome of checking one piece of material.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Finding {
    /// Every check that the profile demands passed.
    Signed(Signature),
    /// Some check failed: it vouches for nothing.
    Flawed(Flaw),
}

/// A signature whose every demanded check passed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Signature {
    /// What it is called where it has to be told from others: the sha256, in hexadecimal, of the signature and
    /// then its certificate in PEM, if a certificate vouches for the signer.
    pub id: String,
    /// The images that it speaks of. It says nothing of any other.
    pub subjects: Vec<Digest>,
    /// What it says of them.
    pub claim: Claim,
    /// Who made it.
    pub signer: Signer,
    /// When the log recorded it, in seconds since 1970, if it did.
    pub integrated_time: Option<i64>,
    /// When timestamp authorities saw it, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timestamps: Vec<i64>,
    /// Where in which logs it is recorded, as far as that was verified: none where no log was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<LogIndex>,
}

/// Where in a transparency log something is recorded. The log vouches for it.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct LogIndex {
    /// The log, as its entries and trust roots name it, in hexadecimal: the sha256 of its key, and in the second
    /// generation of logs of its name and its key.
    pub log: String,
    /// The index in the whole log, across all its pieces: the one that searching a log shows.
    pub index: u64,
}

/// What a signature says of its subjects.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Claim {
    /// That the signer signed the image.
    Image,
    /// A statement about it.
    Attestation(Attestation),
}

/// A statement about an image: in-toto's.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attestation {
    /// What kind of statement it is: a URI.
    pub predicate_type: String,
    /// The statement, kept as content. Predicates are large, so they are never in facts.
    pub statement: Digest,
}

/// Who made a signature.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Signer {
    /// Whoever a certificate names. It says much, and whatever is remembered of a signature shares it.
    Certificate(Arc<CertificateIdentity>),
    /// Whoever holds a key, by the sha256 of its public half (DER, SubjectPublicKeyInfo).
    Key(Digest),
}

impl Signer {
    /// The identity of its certificate, if it signed under one.
    pub fn identity(&self) -> Option<&CertificateIdentity> {
        match self {
            Self::Certificate(identity) => Some(identity),
            Self::Key(_) => None,
        }
    }
}

/// The identity in the certificate that a signature was made under.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct CertificateIdentity {
    /// The OpenID Connect issuer that vouched for the subject.
    pub issuer: String,
    /// Every subject alternative name of the certificate, as text.
    pub subjects: Vec<String>,
    /// What else the certificate says of the build, by the name of the Fulcio extension.
    #[serde(default, skip_serializing_if = "Claims::is_empty")]
    pub claims: Claims,
}

/// Why a piece of material vouches for nothing.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Flaw {
    /// Which check failed.
    pub kind: FlawKind,
    /// What the check said, for a person.
    pub detail: String,
}

/// The check that failed first.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum FlawKind {
    /// It does not parse as what it claims to be.
    Malformed,
    /// It is of a kind or uses an algorithm that is not checked here.
    Unsupported,
    /// The signature was not made over this payload with this key.
    Signature,
    /// The certificate does not chain to the trust root, or was not valid when it signed.
    Certificate,
    /// The certificate has no promise of a trusted certificate log.
    CertificateTimestamp,
    /// There is no log entry that is trusted, or it is of something else.
    LogEntry,
    /// A signed timestamp does not verify.
    Timestamp,
}

impl FlawKind {
    /// A stable name, for metrics and machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unsupported => "unsupported",
            Self::Signature => "signature",
            Self::Certificate => "certificate",
            Self::CertificateTimestamp => "certificate-timestamp",
            Self::LogEntry => "log-entry",
            Self::Timestamp => "timestamp",
        }
    }
}

/// What facts rest on: what vouches for a signature, and which checks were demanded.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Basis {
    /// The key that must have signed; without one, a certificate must vouch for the signer.
    pub key: Option<PublicKey>,
    /// The trust root whose certificate authorities and certificate logs are trusted.
    pub certificates: TrustRootRef,
    /// The trust root whose transparency logs are trusted.
    pub logs: TrustRootRef,
    /// The trust root whose timestamp authorities are trusted.
    pub timestamps: TrustRootRef,
    /// The checks.
    pub profile: Profile,
}

/// A trust root as policies name it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum TrustRootRef {
    /// The one that is configured for everybody.
    Default,
    /// One that a policy names by `trustRootRef`.
    Named(Arc<str>),
    /// The certificate authority that a policy spells out by `keyless.ca-cert`, as certificates in PEM. Whatever else a
    /// root has is that of the root that is configured for everybody.
    Authority(Arc<str>),
}

/// Where the signatures of an image are looked for.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Source {
    /// The repository; that of the image itself without one.
    pub repository: Option<Name>,
    /// What the names of cosign's tags begin with; nothing by default.
    pub tag_prefix: Option<Arc<str>>,
}

/// Which checks are demanded of a signature. What a profile does not demand is still checked where it is there, but for
/// certificate timestamps, log entries that no demanded check needs, and signed timestamps by authorities that are not
/// known: a policy that does without may be about signatures in logs that nobody here knows.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Profile {
    /// What the transparency log must show.
    pub log: LogDemand,
    /// Whether the certificate must carry a timestamp of a trusted certificate log.
    pub certificate_timestamp: Demand,
    /// Whether a trusted authority must have stamped the time.
    pub timestamp: Demand,
}

/// What the transparency log must show of a signature.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum LogDemand {
    /// A promise to record it, or the proof that it was.
    Entry,
    /// The proof that it was recorded.
    Proof,
    /// Nothing.
    Nothing,
}

/// Whether something must be there.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Demand {
    /// It must.
    Required,
    /// It need not.
    NotRequired,
}

impl Profile {
    /// What keyless signatures are held to unless a policy says otherwise: a log entry and a certificate timestamp.
    pub const STRICT: Self = Self {
        log: LogDemand::Entry,
        certificate_timestamp: Demand::Required,
        timestamp: Demand::NotRequired,
    };

    /// A stable name that no other profile has: part of what facts are remembered under.
    pub fn name(self) -> String {
        let log = match self.log {
            LogDemand::Entry => "entry",
            LogDemand::Proof => "proof",
            LogDemand::Nothing => "nothing",
        };
        format!("log={log},sct={},tsa={}", self.certificate_timestamp.as_str(), self.timestamp.as_str())
    }
}

impl Demand {
    fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::NotRequired => "not-required",
        }
    }
}

impl Basis {
    /// The basis of a keyless authority that names no trust root of its own.
    pub fn keyless() -> Self {
        Self::resting_on(TrustRootRef::Default)
    }

    /// The basis of a keyless authority whose certificates, logs and timestamps one trust root vouches for.
    pub fn resting_on(root: TrustRootRef) -> Self {
        Self {
            key: None,
            certificates: root.clone(),
            logs: root.clone(),
            timestamps: root,
            profile: Profile::STRICT,
        }
    }

    /// The trust roots that it names, each once.
    pub fn trust_roots(&self) -> impl Iterator<Item = &TrustRootRef> {
        let roots: std::collections::BTreeSet<_> =
            [&self.certificates, &self.logs, &self.timestamps].into_iter().collect();
        roots.into_iter()
    }
}

/// All the facts that are at hand for one image, by where they are from and what they rest on.
#[derive(Clone, Debug, Default)]
pub struct Evidence(BTreeMap<Source, BTreeMap<Basis, Vec<Arc<Facts>>>>);

impl Evidence {
    /// Adds the facts from one source on one basis. An empty list is evidence too: that nothing was found.
    pub fn insert(&mut self, source: Source, basis: Basis, facts: Vec<Arc<Facts>>) {
        self.0.entry(source).or_default().insert(basis, facts);
    }

    /// The material that a verified statement, by its digest, was found in.
    pub fn material_of(&self, statement: &Digest) -> Option<Digest> {
        let facts = self.0.values().flat_map(BTreeMap::values).flatten();
        let states = |finding: &Finding| match finding {
            Finding::Signed(Signature { claim: Claim::Attestation(attestation), .. }) => {
                attestation.statement == *statement
            }
            Finding::Signed(_) | Finding::Flawed(_) => false,
        };
        facts.into_iter().find(|facts| states(&facts.finding)).map(|facts| facts.material)
    }

    /// All of them, from every source and on every basis.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Facts>> {
        self.0.values().flat_map(BTreeMap::values).flatten()
    }

    /// The facts from a source that rest on this basis; none where they were never asked for.
    pub fn of(&self, source: &Source, basis: &Basis) -> &[Arc<Facts>] {
        self.0.get(source).and_then(|facts| facts.get(basis)).map_or(&[], Vec::as_slice)
    }
}
