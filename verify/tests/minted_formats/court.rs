//! An authority, whoever trusts it, and what passes between them.

use std::collections::BTreeMap;

use bytes::Bytes;
use oci::{Descriptor, Digest, Manifest, MediaType, Verified};
use policies::{Finding, FlawKind, Profile, PublicKey, Signature};
use serde_json::Value;
use testkit::authority::{
    Authority, BundleVersion, Minted, Recipe, SignatureManifest, attestation_manifest, referrer,
    signature_manifest,
};
use verify::{Candidates, Grounds, Material, TrustRoot, check};

use crate::MANIFEST;

/// How a signature is attached to an image.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    Signature,
    Attestation,
    Bundle(BundleVersion),
}

pub(crate) const V01: Form = Form::Bundle(BundleVersion::V01);
pub(crate) const V02: Form = Form::Bundle(BundleVersion::V02);
pub(crate) const V03: Form = Form::Bundle(BundleVersion::V03);

/// An authority, and the trust root that names it.
pub(crate) struct Court {
    pub(crate) authority: Authority,
    pub(crate) trust_root: TrustRoot,
}

impl Court {
    pub(crate) fn new() -> Self {
        let authority = Authority::new("seed");
        Self { trust_root: TrustRoot::from_json(&authority.trusted_root()).unwrap(), authority }
    }

    pub(crate) fn find(
        &self,
        recipe: &Recipe,
        form: Form,
        key: Option<&PublicKey>,
        profile: Profile,
    ) -> Finding {
        let material = material(&self.authority.mint(recipe), form);
        check(&material, &Grounds { trust_root: &self.trust_root, profile, key }).finding
    }

    #[track_caller]
    pub(crate) fn signed(&self, recipe: &Recipe, form: Form, profile: Profile) -> Signature {
        match self.find(recipe, form, None, profile) {
            Finding::Signed(signature) => signature,
            Finding::Flawed(flaw) => panic!("{flaw:?} in {form:?} of {recipe:?}"),
        }
    }

    /// The check that a bundle fails, if it does.
    pub(crate) fn kind_of(&self, bundle: &Value, profile: Profile) -> Option<FlawKind> {
        let material = fetched(referring(bundle));
        kind(&check(&material, &Grounds::keyless(&self.trust_root, profile)).finding)
    }

    /// Checks which check fails, if one does.
    #[track_caller]
    pub(crate) fn expect(
        &self,
        recipe: &Recipe,
        form: Form,
        (key, profile): (Option<&PublicKey>, Profile),
        flaw: Option<FlawKind>,
    ) {
        let found = self.find(recipe, form, key, profile);
        assert_eq!(kind(&found), flaw, "{found:?} in {form:?} of {recipe:?}");
    }
}

fn kind(finding: &Finding) -> Option<FlawKind> {
    match finding {
        Finding::Signed(_) => None,
        Finding::Flawed(flaw) => Some(flaw.kind),
    }
}

/// What the gateway would have in hands after it had fetched this.
pub(crate) fn material(minted: &Minted<'_>, form: Form) -> Material {
    let pushed = |pushed: SignatureManifest| (pushed.manifest, pushed.media_type, pushed.payloads[0].clone());
    fetched(match form {
        Form::Signature => pushed(signature_manifest(&[minted.layer()])),
        Form::Attestation => pushed(attestation_manifest(&[minted.layer()])),
        Form::Bundle(version) => referring(&minted.bundle(version)),
    })
}

fn referring(bundle: &Value) -> (Bytes, MediaType, Bytes) {
    let image = Descriptor {
        media_type: MediaType::new(MediaType::OCI_MANIFEST),
        digest: Digest::of(MANIFEST),
        size: MANIFEST.len() as u64,
        annotations: BTreeMap::new(),
    };
    let artefact = referrer(&image, bundle);
    (artefact.manifest, artefact.media_type, artefact.bundle)
}

fn fetched((manifest, media_type, payload): (Bytes, MediaType, Bytes)) -> Material {
    let manifest = Manifest::parse(&Verified::of(manifest), Some(&media_type)).unwrap();
    let [candidate] = &Candidates::of(&manifest).list[..] else {
        panic!("not one signature");
    };
    candidate.clone().material(Verified::of(payload)).unwrap()
}
