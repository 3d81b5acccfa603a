//! Who signs in fuzz targets, and what it means that nobody else can.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::OnceLock;

use bytes::Bytes;
use oci::{Digest, Verified};
use policies::{Demand, Finding, LogDemand, Profile};
use testkit::authority::{Authority, Identity};
use verify::{Candidate, CandidateKind, Grounds, Material, TrustRoot};

/// The image that is signed, and no other.
pub const IMAGE: &[u8] = b"the only image that is signed";

/// The annotations that a signature can have.
pub const ANNOTATIONS: [&str; 6] = [
    "dev.cosignproject.cosign/signature",
    "dev.sigstore.cosign/certificate",
    "dev.sigstore.cosign/chain",
    "dev.sigstore.cosign/bundle",
    "dev.sigstore.cosign/rfc3161timestamp",
    "predicateType",
];

/// What may be demanded of a signature, from nothing to everything.
const PROFILES: [Profile; 3] = [
    Profile {
        log: LogDemand::Nothing,
        certificate_timestamp: Demand::NotRequired,
        timestamp: Demand::NotRequired,
    },
    Profile::STRICT,
    Profile { log: LogDemand::Proof, certificate_timestamp: Demand::Required, timestamp: Demand::Required },
];

/// The authority whose signatures are the seeds.
pub fn authority() -> Authority {
    Authority::new("fuzz")
}

/// The identity that signs.
pub fn identity() -> Identity {
    Identity::github_workflow("acme/app", "release.yaml@refs/heads/main")
}

/// The root that knows the authority.
pub fn trust_root() -> &'static TrustRoot {
    static ROOT: OnceLock<TrustRoot> = OnceLock::new();
    ROOT.get_or_init(|| {
        let root = TrustRoot::from_json(&authority().trusted_root()).expect("what testkit mints is whole");
        // Were this not so, nothing that is said below of signatures could ever fail.
        let layer = authority().sign(&Digest::of(IMAGE), "registry.example/acme/app", &identity());
        let material = material(CandidateKind::SimpleSigning, layer.payload, layer.annotations);
        let grounds = Grounds::keyless(&root, Profile::STRICT);
        let finding = verify::check(&material.expect("within the limits"), &grounds).finding;
        assert!(matches!(finding, Finding::Signed(_)), "{finding:?}");
        root
    })
}

fn public_good() -> &'static TrustRoot {
    static ROOT: OnceLock<TrustRoot> = OnceLock::new();
    ROOT.get_or_init(|| TrustRoot::public_good().expect("the embedded root is read by a test"))
}

/// The material that some content of a registry becomes, where it is within the limits.
pub fn material(
    kind: CandidateKind,
    payload: Bytes,
    annotations: BTreeMap<String, String>,
) -> Option<Material> {
    let payload = Verified::of(payload);
    let size = payload.bytes().len() as u64;
    Candidate { kind, payload: payload.digest(), size, annotations }.material(payload).ok()
}

/// Checks some material under the authority's root and under one that knows nothing of it.
///
/// # Panics
/// If anything but what the authority signed is found to be signed: a fuzzer has no key.
pub fn check(material: &Material) {
    black_box((material.claimed_time(), material.statement()));
    let profile = PROFILES[usize::from(material.digest().hash()[0]) % PROFILES.len()];
    let stranger = verify::check(material, &Grounds::keyless(public_good(), profile)).finding;
    assert!(matches!(stranger, Finding::Flawed(_)), "signed under a root that signed nothing: {stranger:?}");
    let facts = verify::check(material, &Grounds::keyless(trust_root(), profile));
    assert_eq!(facts.material, material.digest());
    if let Finding::Signed(signature) = facts.finding {
        assert_eq!(signature.subjects, [Digest::of(IMAGE)]);
        let signer = signature.signer.identity().expect("a certificate");
        assert_eq!(signer.issuer, "https://token.actions.githubusercontent.com");
        let workflow = "https://github.com/acme/app/.github/workflows/release.yaml@refs/heads/main";
        assert_eq!(signer.subjects, [workflow]);
    }
}
