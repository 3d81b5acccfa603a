//! How long a judgement takes with facts at hand, and finding the policies that speak of an image.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot start should stop")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use oci::{Digest, Reference, TagOrDigest};
use policies::{
    Case, CertificateIdentity, Claim, Document, Evidence, Externals, Facts, Finding, Lookups, NoMatch,
    PolicySet, Request, Signature, Signer, Subject, judge,
};

/// So many policies, three of which speak of the image.
fn policies(count: usize) -> PolicySet {
    let globs = ["ghcr.io/acme/**", "ghcr.io/acme/app@*", "**"].map(str::to_owned);
    let others = (3..count).map(|n| format!("registry{}.example/team{n}/**", n % 7));
    let texts: Vec<_> =
        globs.into_iter().chain(others).enumerate().map(|(n, glob)| policy(n, &glob)).collect();
    let documents = texts.iter().map(|text| Document { origin: "bench", text });
    PolicySet::load(documents, &Externals::default()).unwrap()
}

fn policy(n: usize, glob: &str) -> String {
    format!(
        "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {{name: p{n}}}\nspec: {{images: \
         [{{glob: '{glob}'}}], authorities: [{{keyless: {{identities: [{{issuer: 'https://ci.example', subject: \
         nightly.yaml}}, {{issuer: 'https://ci.example', subject: release.yaml}}]}}}}]}}"
    )
}

fn subject() -> Subject {
    let reference: Reference = "ghcr.io/acme/app".parse().unwrap();
    Subject { name: reference.name().clone(), digest: Digest::of(b"app") }
}

/// Two signatures of the image: by a stranger, and by who is expected.
fn evidence(set: &PolicySet, subject: &Subject) -> Evidence {
    let facts = |signer: &str| {
        let identity = CertificateIdentity {
            issuer: "https://ci.example".into(),
            subjects: vec![signer.into()],
            claims: Default::default(),
        };
        let signature = Signature {
            id: Digest::of(signer.as_bytes()).hex(),
            subjects: vec![subject.digest],
            claim: Claim::Image,
            signer: Signer::Certificate(Arc::new(identity)),
            integrated_time: Some(0),
            timestamps: Vec::new(),
            entries: Vec::new(),
        };
        Facts { material: Digest::of(signer.as_bytes()), finding: Finding::Signed(signature) }.into()
    };
    let mut evidence = Evidence::default();
    let matching = set.matching(&subject.name, &TagOrDigest::Digest(subject.digest), &Request::Pull);
    for (source, bases) in matching.sources() {
        for basis in bases {
            let found = vec![facts("stranger.yaml"), facts("release.yaml")];
            evidence.insert(source.clone(), basis.clone(), found);
        }
    }
    evidence
}

fn judgement(criterion: &mut Criterion) {
    let (set, subject) = (policies(50), subject());
    let evidence = evidence(&set, &subject);
    let lookups = Lookups::default();
    criterion.bench_function("judge, 3 of 50 policies matching", |bencher| {
        bencher.iter(|| {
            let matching = set.matching(&subject.name, &TagOrDigest::Digest(subject.digest), &Request::Pull);
            let (subject, matching) = (black_box(&subject), &matching);
            let case =
                Case { subject, matching, evidence: &evidence, lookups: &lookups, no_match: NoMatch::Deny };
            judge(&case, 0)
        });
    });
}

fn selection(criterion: &mut Criterion) {
    for count in [50, 5_000] {
        let (set, subject) = (policies(count), subject());
        criterion.bench_function(&format!("select 3 of {count} policies"), |bencher| {
            let version = TagOrDigest::Digest(subject.digest);
            bencher.iter(|| set.matching(black_box(&subject.name), &version, &Request::Pull));
        });
    }
}

criterion_group!(benches, judgement, selection);
criterion_main!(benches);
