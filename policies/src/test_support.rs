//! What tests of several modules share.

use std::path::PathBuf;

use oci::{Digest, TagOrDigest};

use crate::{
    Basis, CertificateIdentity, Claim, Document, Evidence, Facts, Finding, Flaw, FlawKind, Matching, NoMatch,
    PolicySet, Signature, Signer, Subject, Verdict, judge,
};

/// The text of a shared file: under `COUNTERSIGN_SHARED`, or in `shared` beside the repository.
pub(crate) fn shared(path: &str) -> String {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let root = std::env::var_os("COUNTERSIGN_SHARED").map_or_else(beside, PathBuf::from);
    let path = root.join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A policy document with this name and this specification, in YAML's flow style.
pub(crate) fn policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    )
}

/// The set of these documents, which must be right.
pub(crate) fn set(documents: &[String]) -> PolicySet {
    let documents = documents.iter().map(|text| Document { origin: "test.yaml", text });
    PolicySet::load(documents).unwrap_or_else(|error| panic!("{error}"))
}

/// The image that tests judge.
pub(crate) fn subject() -> Subject {
    let reference: oci::Reference = "ghcr.io/acme/app".parse().unwrap();
    Subject { name: reference.name().clone(), digest: Digest::of(b"app") }
}

/// What of a set speaks of the image that tests judge.
pub(crate) fn matching<'a>(set: &'a PolicySet, subject: &Subject) -> Matching<'a> {
    set.matching(&subject.name, &TagOrDigest::Digest(subject.digest))
}

/// The basis of policies that name no trust root.
pub(crate) fn default_basis() -> Basis {
    Basis::keyless()
}

/// A good signature over these images.
pub(crate) fn signed(subjects: &[Digest], issuer: &str, san: &str) -> Finding {
    let identity =
        CertificateIdentity { issuer: issuer.into(), subjects: vec![san.into()], claims: Default::default() };
    Finding::Signed(Signature {
        subjects: subjects.to_vec(),
        claim: Claim::Image,
        signer: Signer::Certificate(identity),
        integrated_time: None,
        timestamps: Vec::new(),
    })
}

/// Material that fails verification.
pub(crate) fn flawed(detail: &str) -> Finding {
    Finding::Flawed(Flaw { kind: FlawKind::Certificate, detail: detail.into() })
}

/// Evidence on the default basis.
pub(crate) fn evidence(findings: &[Finding]) -> Evidence {
    let facts =
        |finding: &Finding| Facts { material: Digest::of(b"material"), finding: finding.clone() }.into();
    let mut evidence = Evidence::default();
    evidence.insert(default_basis(), findings.iter().map(facts).collect());
    evidence
}

/// The verdict of these documents on the image that tests judge.
pub(crate) fn verdict(documents: &[String], findings: &[Finding], no_match: NoMatch) -> Verdict {
    let subject = subject();
    judge(&subject, &matching(&set(documents), &subject), &evidence(findings), no_match)
}
