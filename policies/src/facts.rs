//! What verification can report: the input of judgement.

use std::collections::BTreeMap;
use std::sync::Arc;

use oci::Digest;
use serde::{Deserialize, Serialize};

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
    /// The images that it speaks of. It says nothing of any other.
    pub subjects: Vec<Digest>,
    /// Who made it.
    pub signer: Signer,
    /// When the log recorded it, in seconds since 1970, if it did.
    pub integrated_time: Option<i64>,
}

/// The identity in a certificate that the signature was made under.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Signer {
    /// The OpenID Connect issuer that vouched for the subject.
    pub issuer: String,
    /// Every subject alternative name of the certificate, as text.
    pub subjects: Vec<String>,
    /// What else the certificate says of the build, by the name of the Fulcio extension.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, String>,
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

/// What facts rest on: which trust root vouches, and which checks were demanded.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Basis {
    /// The trust root.
    pub trust_root: TrustRootRef,
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
}

/// Which checks are demanded of a signature.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Profile {
    /// All of them: chain, certificate timestamp, log entry with a promise or a proof.
    Strict,
}

impl Profile {
    /// A stable name, part of the key that facts are remembered under.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
        }
    }
}

/// All the facts that are at hand for one image, by what they rest on.
#[derive(Clone, Debug, Default)]
pub struct Evidence(BTreeMap<Basis, Vec<Arc<Facts>>>);

impl Evidence {
    /// Adds the facts of one basis. An empty list is evidence too: that nothing was found.
    pub fn insert(&mut self, basis: Basis, facts: Vec<Arc<Facts>>) {
        self.0.insert(basis, facts);
    }

    /// The facts that rest on this basis; none where it was never asked for.
    pub fn resting_on(&self, basis: &Basis) -> &[Arc<Facts>] {
        self.0.get(basis).map_or(&[], Vec::as_slice)
    }
}
