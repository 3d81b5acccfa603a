//! What an authority of our own signs is found to be signed, and its attacks are found to be what they are.

#![expect(clippy::unwrap_used, reason = "the functions that tests share fail a test as the tests do")]

use oci::{Digest, Manifest, Verified};
use policies::{Finding, FlawKind, Profile, Signature};
use testkit::authority::{Attack, Authority, Identity, San, SignedLayer, signature_manifest};
use verify::{Candidates, Grounds, TrustRoot, check};

const ISSUER: &str = "https://issuer.example";

fn image() -> Digest {
    Digest::of(b"image manifest")
}

fn release() -> Identity {
    Identity::github_workflow("acme/app", "release.yaml@refs/heads/main")
}

fn sign(authority: &Authority, identity: &Identity) -> SignedLayer {
    authority.sign(&image(), "registry.example/acme/app", identity)
}

fn attack(authority: &Authority, attack: Attack) -> SignedLayer {
    authority.sign_with(&image(), "registry.example/acme/app", &release(), attack)
}

/// What is found of signatures, pushed together and read as the gateway reads them.
fn findings(layers: &[SignedLayer], authority: &Authority) -> Vec<Finding> {
    let trust_root = TrustRoot::from_json(&authority.trusted_root()).unwrap();
    let pushed = signature_manifest(layers);
    let manifest = Manifest::parse(&Verified::of(pushed.manifest), Some(&pushed.media_type)).unwrap();
    let candidates = Candidates::of(&manifest).list;
    assert_eq!(candidates.len(), layers.len());
    candidates
        .into_iter()
        .zip(pushed.payloads)
        .map(|(candidate, payload)| {
            let material = candidate.material(Verified::of(payload)).unwrap();
            check(&material, &Grounds::keyless(&trust_root, Profile::STRICT)).finding
        })
        .collect()
}

#[track_caller]
fn signed(layer: SignedLayer, authority: &Authority) -> Signature {
    match &findings(&[layer], authority)[..] {
        [Finding::Signed(signature)] => signature.clone(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refuses(layer: SignedLayer, authority: &Authority, kind: FlawKind) {
    match &findings(&[layer], authority)[..] {
        [Finding::Flawed(flaw)] => assert_eq!(flaw.kind, kind, "{}", flaw.detail),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_signature_is_found_with_its_image_identity_and_time() {
    let authority = Authority::new("seed");
    let signature = signed(sign(&authority, &release()), &authority);
    assert_eq!(signature.subjects, [image()]);
    assert_eq!(signature.integrated_time, Some(1_767_225_665));
    assert_eq!(signature.signer.identity().unwrap().issuer, "https://token.actions.githubusercontent.com");
    assert_eq!(
        signature.signer.identity().unwrap().subjects,
        ["https://github.com/acme/app/.github/workflows/release.yaml@refs/heads/main"]
    );
}

#[test]
fn every_claim_of_a_workflow_is_found() {
    let authority = Authority::new("seed");
    let claims = signed(sign(&authority, &release()), &authority).signer.identity().unwrap().claims.clone();
    let expected = [
        ("githubWorkflowRepository", "acme/app"),
        ("githubWorkflowRef", "refs/heads/main"),
        ("sourceRepositoryURI", "https://github.com/acme/app"),
        ("sourceRepositoryOwnerURI", "https://github.com/acme"),
        ("runnerEnvironment", "github-hosted"),
        ("buildTrigger", "push"),
    ];
    for (name, value) in expected {
        assert_eq!(claims.get(name), Some(value), "{name}");
    }
    assert_eq!(claims.len(), release().claims.len());
}

#[test]
fn a_subject_of_every_kind_is_found() {
    let authority = Authority::new("seed");
    let name = "dev@acme.example".to_owned();
    for kind in [San::Uri, San::Email, San::Dns, San::OtherName] {
        let identity = Identity::new(ISSUER, kind(name.clone()));
        let signature = signed(sign(&authority, &identity), &authority);
        let signer = signature.signer.identity().unwrap();
        assert_eq!((signer.issuer.as_str(), &signer.subjects[..]), (ISSUER, &[name.clone()][..]));
        assert!(signer.claims.is_empty());
    }
}

#[test]
fn a_good_signature_counts_among_bad_ones() {
    let authority = Authority::new("seed");
    let mut layers: Vec<_> = Attack::ALL.map(|one| attack(&authority, one)).into();
    layers.push(sign(&authority, &release()));
    let findings = findings(&layers, &authority);
    let (last, others) = findings.split_last().unwrap();
    assert!(matches!(last, Finding::Signed(_)), "{last:?}");
    assert!(others.iter().all(|finding| matches!(finding, Finding::Flawed(_))));
}

#[test]
fn a_signature_by_another_authority_is_refused() {
    let foreign = sign(&Authority::new("another seed"), &release());
    // Its log is unknown as well, which comes first: without a trusted time no certificate can be judged.
    refuses(foreign, &Authority::new("seed"), FlawKind::LogEntry);
}
