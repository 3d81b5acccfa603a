//! A foreign opinion: what real cosign signs is allowed here, and what is signed here real cosign verifies.

mod minted;
mod program;
mod ways;

use std::path::Path;
use std::sync::Arc;

use testkit::authority::{Attack, Authority, Identity, ManagedKey, Recipe};
use testkit::image::Image;
use testkit::registry::Registry;
use testkit::sigstore::{Log, Sigstore};

use self::minted::Minting;
use self::program::{Cosign, Trust};
use self::ways::{Signer, Way};
use super::parts::{Origin, Served};
use super::push_image;
use crate::stage::{HOST, release};

const REPOSITORY: &str = "acme/app";
const PROVENANCE: &str = "https://slsa.dev/provenance/v1";
const ISSUER: &str = "https://token.actions.githubusercontent.com";

fn nightly() -> Identity {
    Identity::github_workflow("acme/app", "nightly.yaml@refs/heads/main")
}

/// What is signed by the release workflow, has a provenance by it, is signed with a key and logged, or signed with it.
fn policies(key: &str) -> String {
    let subject = release().subject;
    let keyless =
        format!("keyless: {{identities: [{{issuer: '{ISSUER}', subject: '{}'}}]}}", subject.as_str());
    let policy = |name: &str, authority: &str| {
        format!(
            "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {{name: {name}}}\n\
             spec:\n  images: [{{glob: '{HOST}/acme/{name}/**'}}]\n  authorities: [{{{authority}}}]\n"
        )
    };
    let key = format!("key: {{data: \"{}\"}}", key.replace('\n', "\\n"));
    let log = "ctlog: {url: 'https://rekor.sigstore.dev'}";
    [
        policy("keyless", &format!("{keyless}, {log}")),
        policy("keyed", &format!("{key}, {log}")),
        policy("unlogged", &key),
        policy("attested", &format!("{keyless}, attestations: [{{name: p, predicateType: '{PROVENANCE}'}}]")),
    ]
    .join("---\n")
}

/// Signs in every way that cosign has, and looks at what Countersign makes of it.
async fn signed_by_cosign(directory: &Path, origin: &str) {
    let authority = Arc::new(Authority::new("cosign"));
    let sigstore = Sigstore::start(authority.clone()).await;
    let cosign = Cosign::new(directory, &sigstore);
    let keys = [cosign.generate_key_pair("ours"), cosign.generate_key_pair("theirs")];
    let gateway =
        Served::start(directory, origin, &sigstore.trusted_root(), &policies(&keys[0].public())).await;
    let [release, nightly] = [release(), nightly()].map(Signer::Identity);
    let [ours, theirs] = keys.map(Signer::Key);
    let mut cases = vec![
        ("keyed", Way::Bundle(Log::None), &ours, false),
        ("unlogged", Way::Bundle(Log::None), &ours, true),
    ];
    for way in Way::LOGGED {
        for (policy, good, bad) in
            [("keyless", &release, &nightly), ("attested", &release, &nightly), ("keyed", &ours, &theirs)]
        {
            cases.extend([(policy, way, good, true), (policy, way, bad, false)]);
        }
    }
    for (seed, (policy, way, signer, allowed)) in (1..).zip(cases) {
        let image = Image::random(seed);
        let repository = format!("acme/{policy}/app");
        push_image(origin, &repository, "v1", &image).await;
        let digest = image.digest();
        let reference = format!("{}/{repository}@{digest}", origin.trim_start_matches("http://"));
        match policy {
            "attested" => cosign.attest(&reference, way, signer),
            _ => cosign.sign(&reference, way, signer),
        }
        way.kept(origin, &repository, &digest, policy == "attested").await;
        let what = format!("{policy}, {way:?}, by {}", signer.name());
        gateway.agrees(&format!("{HOST}/{repository}@{digest}"), allowed, &what).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cosign_signs_into_a_registry_with_referrers_is_allowed_for_its_signer_alone() {
    let directory = tempfile::TempDir::new().unwrap();
    let registry = Registry::start().await;
    signed_by_cosign(directory.path(), &registry.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cosign_signs_into_a_registry_without_referrers_is_allowed_for_its_signer_alone() {
    let directory = tempfile::TempDir::new().unwrap();
    let origin = Origin::start(directory.path()).await;
    signed_by_cosign(directory.path(), &origin.url).await;
}

/// An origin of images that testkit signs, and cosign to look at them.
struct Bench {
    registry: Registry,
    authority: Arc<Authority>,
    cosign: Cosign,
    _sigstore: Sigstore,
    images: u64,
}

impl Bench {
    /// Signs another image, and returns whether cosign verifies that, and what it says.
    fn verifies(&mut self, minting: &Minting, attack: Option<Attack>, trust: &Trust<'_>) -> (bool, String) {
        self.images += 1;
        let image = Image::random(self.images);
        image.push_to(&self.registry, REPOSITORY, None);
        let recipe = minting.recipe(&image.digest());
        let recipe = attack.into_iter().fold(recipe, Recipe::with);
        minting.attach(&self.registry, &image, &self.authority.mint(&recipe));
        let reference = format!("{}/{REPOSITORY}@{}", self.registry.host(), image.digest());
        self.cosign.verify(&minting.command(), &reference, trust)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_here_cosign_verifies_and_what_is_wrong_it_refuses() {
    let directory = tempfile::TempDir::new().unwrap();
    let registry = Registry::start().await;
    let authority = Arc::new(Authority::new("cosign"));
    let sigstore = Sigstore::start(authority.clone()).await;
    let cosign = Cosign::new(directory.path(), &sigstore);
    let mut bench = Bench { registry, authority, cosign, _sigstore: sigstore, images: 0 };
    let (key, other_key) = (ManagedKey::seeded("ours"), ManagedKey::seeded("theirs").public_pem());
    let (release, nightly) = (release(), nightly());

    for minting in Minting::every(&key) {
        let pem = minting.key();
        let (trust, other) = match &pem {
            Some(pem) => (Trust::Key(pem), Trust::Key(&other_key)),
            None => (Trust::Identity(&release), Trust::Identity(&nightly)),
        };
        let (verified, said) = bench.verifies(&minting, None, &trust);
        assert!(verified, "{minting:?}: {said}");
        let (verified, said) = bench.verifies(&minting, None, &other);
        assert!(!verified, "{minting:?} by another: {said}");
        for attack in minting.attacks() {
            let (verified, said) = bench.verifies(&minting, Some(attack), &trust);
            assert_eq!(verified, minting.survives(attack), "{attack:?} on {minting:?}: {said}");
        }
    }
}

/// Signs in every way, and has cosign verify through the gateway what it verifies at the registry.
async fn verified_through_the_gateway(directory: &Path, origin: &str) {
    let authority = Arc::new(Authority::new("cosign"));
    let sigstore = Sigstore::start(authority.clone()).await;
    let cosign = Cosign::new(directory, &sigstore);
    let gateway = Served::start(directory, origin, &sigstore.trusted_root(), crate::stage::POLICY).await;
    for (seed, way) in (1..).zip(Way::LOGGED) {
        let image = Image::random(seed);
        push_image(origin, REPOSITORY, &format!("v{seed}"), &image).await;
        let digest = image.digest();
        let reference = format!("{}/{REPOSITORY}@{digest}", origin.trim_start_matches("http://"));
        cosign.sign(&reference, way, &Signer::Identity(release()));
        let through = format!("{}/{HOST}/{REPOSITORY}@{digest}", gateway.registry);
        for (identity, expected) in [(release(), true), (nightly(), false)] {
            let (verified, said) = cosign.verify(&["verify"], &through, &Trust::Identity(&identity));
            assert_eq!(verified, expected, "{way:?}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cosign_verifies_through_the_gateway_before_a_registry_with_referrers() {
    let directory = tempfile::TempDir::new().unwrap();
    let registry = Registry::start().await;
    verified_through_the_gateway(directory.path(), &registry.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cosign_verifies_through_the_gateway_before_a_registry_without_referrers() {
    let directory = tempfile::TempDir::new().unwrap();
    let origin = Origin::start(directory.path()).await;
    verified_through_the_gateway(directory.path(), &origin.url).await;
}
