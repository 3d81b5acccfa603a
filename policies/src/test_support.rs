//! What tests of several modules share.

use std::path::PathBuf;
use std::sync::Arc;

use oci::{Digest, TagOrDigest};

use crate::public_keys;
use crate::{
    Attestation, Basis, Case, CertificateIdentity, Claim, Document, Evidence, Externals, Facts, Finding,
    Flaw, FlawKind, HashAlgorithm, Lookups, Matching, NoMatch, PolicySet, Request, Signature, Signer, Source,
    Subject, Verdict,
};

/// Where a shared file is: under `COUNTERSIGN_SHARED`, or in `shared` beside the repository.
pub(crate) fn shared_path(path: &str) -> PathBuf {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    std::env::var_os("COUNTERSIGN_SHARED").map_or_else(beside, PathBuf::from).join(path)
}

/// The text of a shared file.
pub(crate) fn shared(path: &str) -> String {
    let path = shared_path(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A key, as it stands between double quotes in YAML.
pub(crate) const KEY: &str = r"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaEOVJCFtduYr3xqTxeRWSW32CY/s\nTBNZj4oIUPl8JvhVPJ1TKDPlNcuT4YphSt6t3yOmMvkdQbCj8broX6vijw==\n-----END PUBLIC KEY-----\n";

/// A policy document with this name and this specification, in YAML's flow style.
pub(crate) fn policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    )
}

/// The set of these documents, which must be right but for what is not honoured yet.
pub(crate) fn set(documents: &[String]) -> PolicySet {
    let documents = documents.iter().map(|text| Document { origin: "test.yaml", text });
    PolicySet::load(documents, &Externals::default().with_cue()).unwrap_or_else(|error| panic!("{error}"))
}

/// The image that tests judge.
pub(crate) fn subject() -> Subject {
    let reference: oci::Reference = "ghcr.io/acme/app".parse().unwrap();
    Subject { name: reference.name().clone(), digest: Digest::of(b"app") }
}

/// What of a set speaks of the image that tests judge.
pub(crate) fn matching<'a>(set: &'a PolicySet, subject: &Subject) -> Matching<'a> {
    set.matching(&subject.name, &TagOrDigest::Digest(subject.digest), &Request::Pull)
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
        id: Digest::of(san.as_bytes()).hex(),
        subjects: subjects.to_vec(),
        claim: Claim::Image,
        signer: Signer::Certificate(Arc::new(identity)),
        integrated_time: None,
        timestamps: Vec::new(),
        entries: Vec::new(),
    })
}

/// Material that fails verification.
pub(crate) fn flawed(detail: &str) -> Finding {
    Finding::Flawed(Flaw { kind: FlawKind::Certificate, detail: detail.into() })
}

/// Evidence on the default basis.
pub(crate) fn evidence(findings: &[Finding]) -> Evidence {
    let mut evidence = Evidence::default();
    evidence.insert(Source::default(), default_basis(), facts(findings));
    evidence
}

/// Evidence of these findings on whatever basis is asked for.
pub(crate) fn on_every_basis(matching: &Matching<'_>, findings: &[Finding]) -> Evidence {
    let mut evidence = Evidence::default();
    for (source, bases) in matching.sources() {
        bases.into_iter().for_each(|basis| evidence.insert(source.clone(), basis.clone(), facts(findings)));
    }
    evidence
}

/// Facts about as many pieces of material.
pub(crate) fn facts(findings: &[Finding]) -> Vec<Arc<Facts>> {
    let fact = |(index, finding): (usize, &Finding)| {
        Facts { material: Digest::of(&index.to_be_bytes()), finding: finding.clone() }.into()
    };
    findings.iter().enumerate().map(fact).collect()
}

/// A good signature over the image that tests judge, by [`KEY`].
pub(crate) fn signed_by_key() -> Finding {
    let key = public_keys::parse(&KEY.replace("\\n", "\n"), HashAlgorithm::Sha256).unwrap().remove(0);
    let Finding::Signed(signature) = signed(&[subject().digest], "", "") else { panic!("signed") };
    Finding::Signed(Signature { signer: Signer::Key(key.id()), ..signature })
}

/// The same, as an attestation of a type.
pub(crate) fn attests(finding: &Finding, predicate_type: &str) -> Finding {
    let Finding::Signed(signature) = finding.clone() else { panic!("signed") };
    let attestation = Attestation {
        predicate_type: predicate_type.into(),
        statement: Digest::of(predicate_type.as_bytes()),
    };
    Finding::Signed(Signature { claim: Claim::Attestation(attestation), ..signature })
}

/// The verdict on the image that tests judge, with evidence that rests on whatever is asked for.
pub(crate) fn verdict_on(documents: &[String], findings: &[Finding], no_match: NoMatch) -> Verdict {
    let (set, subject) = (set(documents), subject());
    let matching = matching(&set, &subject);
    let evidence = on_every_basis(&matching, findings);
    judge(&subject, &matching, &evidence, no_match)
}

/// The verdict, where nothing has to be looked up for it.
pub(crate) fn judge(
    subject: &Subject,
    matching: &Matching<'_>,
    evidence: &Evidence,
    no_match: NoMatch,
) -> Verdict {
    let lookups = Lookups::default();
    let case = Case { subject, matching, evidence, lookups: &lookups, no_match };
    crate::judge(&case, NOW).unwrap().verdict
}

/// What comes of documents and findings where a request asks; the findings rest on whatever is asked for.
pub(crate) fn sitting(
    documents: &[String],
    findings: &[Finding],
    request: &Request,
) -> Result<crate::Judgement, crate::Unjudged> {
    case_of(documents, findings, request, NoMatch::Deny)
}

/// The same, with what becomes of an image that no policy speaks of.
pub(crate) fn case_of(
    documents: &[String],
    findings: &[Finding],
    request: &Request,
    no_match: NoMatch,
) -> Result<crate::Judgement, crate::Unjudged> {
    let (set, subject) = (set(documents), subject());
    let matching = set.matching(&subject.name, &TagOrDigest::Digest(subject.digest), request);
    let evidence = on_every_basis(&matching, findings);
    let lookups = Lookups::default();
    let case =
        Case { subject: &subject, matching: &matching, evidence: &evidence, lookups: &lookups, no_match };
    crate::judge(&case, NOW)
}

/// The time that tests judge at: 2027-01-15T08:00:00Z, in seconds since 1970.
pub(crate) const NOW: i64 = 1_800_000_000;

/// The verdict of these documents on the image that tests judge.
pub(crate) fn verdict(documents: &[String], findings: &[Finding], no_match: NoMatch) -> Verdict {
    let subject = subject();
    judge(&subject, &matching(&set(documents), &subject), &evidence(findings), no_match)
}
