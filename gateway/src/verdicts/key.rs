//! What verdicts are remembered under, and as what.

use std::sync::Arc;
use std::time::Instant;

use cache::{Key, KeyBytes};
use oci::{Digest, Name, TagOrDigest};
use policies::{NoMatch, Request, Signer, Verdict};

use super::Hearing;
use crate::rules::Rules;

/// Everything that a verdict rests on: a change of any of it is another verdict.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct VerdictKey {
    pub(super) name: Name,
    pub(super) digest: Digest,
    pub(super) revision: Digest,
    pub(super) no_match: NoMatch,
    /// What of the request the verdict depends on, where any policy in force looks at one.
    pub(super) distinction: Option<Digest>,
}

impl Key for VerdictKey {
    fn encode(&self, out: &mut KeyBytes) {
        self.name.encode(out);
        self.digest.encode(out);
        self.revision.encode(out);
        out.field(match self.no_match {
            NoMatch::Deny => b"deny",
            NoMatch::Warn => b"warn",
            NoMatch::Allow => b"allow",
        });
        out.field(self.distinction.as_ref().map_or(b"", |distinction| distinction.hash()));
    }

    fn domain(&self) -> Option<KeyBytes> {
        self.name.domain()
    }
}

/// A verdict, and how long it is one.
#[derive(Clone)]
pub(super) struct Remembered {
    pub(super) verdict: Arc<Verdict>,
    pub(super) hearing: Arc<Hearing>,
    /// A denial holds only as long as it is believed that no other signature has come, and some verdicts end by themselves.
    pub(super) until: Option<Instant>,
    /// From when on whoever asks for it begins its renewal.
    pub(super) renew: Option<Instant>,
}

impl VerdictKey {
    pub(super) fn new(
        rules: &Rules,
        name: &Name,
        digest: Digest,
        no_match: NoMatch,
        request: &Request,
    ) -> Self {
        let distinction = rules
            .reads_requests()
            .then(|| rules.policies.matching(name, &TagOrDigest::Digest(digest), request).distinction());
        Self { name: name.clone(), digest, revision: rules.revision(), no_match, distinction }
    }
}

/// What is taken for whatever has no size of its own.
const EACH: usize = 256;

/// How many bytes a verdict and what it was made of take, more or less.
pub(super) fn weight(key: &VerdictKey, remembered: &Remembered) -> usize {
    let name = key.name.host.as_str().len() + key.name.repository.as_str().len();
    // The name is in the key and in the verdict.
    2 * name + remembered.hearing.weight() + EACH
}

/// The same of a verdict alone.
pub(super) fn weight_of_verdict(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::Allow(allowed) => {
            // What a signer says is the same bytes as in the facts.
            let all = allowed.signers().len() + 2 * (allowed.warnings().len() + allowed.exempted().len());
            all * EACH
        }
        // Denials are few and short-lived, and long.
        Verdict::Deny(denial) => denial.for_person().len() * 2 + EACH,
    }
}

/// The same of a signer.
pub(super) fn weight_of_signer(signer: &Signer) -> usize {
    match signer {
        Signer::Certificate(identity) => {
            let subjects = identity.subjects.iter().map(String::len);
            identity.issuer.len() + identity.claims.size() + subjects.sum::<usize>() + EACH
        }
        Signer::Key(_) => EACH,
    }
}
