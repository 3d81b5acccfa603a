//! Who signs in fuzz targets, and what it means that nobody else can.

use std::sync::OnceLock;

use oci::Digest;
use policies::{Finding, Profile};
use testkit::authority::{Authority, Identity, SignedLayer};
use verify::{Grounds, Material, TrustRoot};

/// The image that is signed, and no other.
pub const IMAGE: &[u8] = b"the only image that is signed";

/// What the seeds sign as.
pub const REFERENCE: &str = "registry.example/acme/app";

/// The authority whose signatures are the seeds.
pub fn authority() -> Authority {
    Authority::new("fuzz")
}

/// The identity that signs.
pub fn identity() -> Identity {
    Identity::github_workflow("acme/app", "release.yaml@refs/heads/main")
}

/// The signature that mutations start from.
pub fn signature() -> SignedLayer {
    authority().sign(&Digest::of(IMAGE), REFERENCE, &identity())
}

struct Roots {
    public_good: TrustRoot,
    minted: TrustRoot,
}

fn roots() -> &'static Roots {
    static ROOTS: OnceLock<Roots> = OnceLock::new();
    ROOTS.get_or_init(|| Roots {
        public_good: TrustRoot::public_good().expect("the embedded root is read by a test"),
        minted: TrustRoot::from_json(&authority().trusted_root()).expect("what testkit mints is whole"),
    })
}

/// Checks some material under both roots.
///
/// # Panics
/// If anything but the one signature that was made is found to be signed: a fuzzer has no key.
pub fn check(material: &Material) {
    let digest = material.digest();
    drop(material.claimed_time());
    for (root, known) in [(&roots().public_good, false), (&roots().minted, true)] {
        let facts = verify::check(material, &Grounds { trust_root: root, profile: Profile::STRICT });
        assert_eq!(facts.material, digest);
        if let Finding::Signed(signature) = facts.finding {
            assert!(known, "signed under a root that signed nothing: {signature:?}");
            assert_eq!(signature.subjects, [Digest::of(IMAGE)]);
            let signer = signature.signer.identity().expect("a certificate");
            assert_eq!(signer.issuer, "https://token.actions.githubusercontent.com");
            assert_eq!(
                signer.subjects,
                ["https://github.com/acme/app/.github/workflows/release.yaml@refs/heads/main"]
            );
        }
    }
}
