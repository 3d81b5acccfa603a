//! What scenarios need, wherever they play.

use oci::Digest;
use serde_json::{Value, json};
use testkit::authority::{
    ManagedKey, Recipe, Record, SignatureManifest, SignedLayer, Statement, attestation_manifest,
};
use testkit::image::Image;

use super::{CUSTOM, REPOSITORY};
use crate::stage::{Gateway, HOST, Stage};

/// What whoever creates or changes an object is told.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) allowed: bool,
    /// Warnings, and why it is denied.
    pub(crate) text: String,
}

/// A place where scenarios play.
pub(crate) trait Scene {
    fn stage(&self) -> &Stage;

    fn gateway(&self) -> &Gateway;

    /// An image that no other scenario has.
    fn pushed(&self, seed: u64) -> Image;

    /// Puts these objects in force, and no others.
    async fn under(&self, objects: &[&str]);

    /// Creates an object, without a trace.
    async fn created(&self, object: &Value) -> Said;

    /// Changes an object that is there, without a trace.
    async fn updated(&self, old: &Value, new: &Value) -> Said;

    fn image(&self, seed: u64) -> Digest {
        self.pushed(seed).digest()
    }

    fn sign_by_key(&self, digest: &Digest, key: &ManagedKey) {
        let recipe =
            Recipe::image(digest, &format!("{HOST}/{REPOSITORY}")).by_key(key).recorded(Record::Nowhere);
        self.stage().attach(REPOSITORY, digest, &[self.stage().authority.mint(&recipe).layer()]);
    }

    /// Leaves attestations under cosign's tag: by whom, and the predicate.
    fn attest(&self, digest: &Digest, all: &[(&ManagedKey, Value)]) {
        let layer = |(key, predicate): &(&ManagedKey, Value)| {
            let statement = Statement::new(digest, CUSTOM, predicate.clone());
            let recipe = Recipe::statement(statement).by_key(key).recorded(Record::Nowhere);
            self.stage().authority.mint(&recipe).layer()
        };
        self.leave(digest, &all.iter().map(layer).collect::<Vec<_>>());
    }

    /// Leaves these envelopes there.
    fn leave(&self, digest: &Digest, envelopes: &[SignedLayer]) {
        let (origin, manifest) = (&self.stage().origin, attestation_manifest(envelopes));
        origin.put_blob(REPOSITORY, manifest.config.clone());
        for payload in &manifest.payloads {
            origin.put_blob(REPOSITORY, payload.clone());
        }
        let tag = SignatureManifest::attestation_tag_for(digest);
        origin.put_manifest(REPOSITORY, Some(&tag), manifest.media_type.as_str(), manifest.manifest.clone());
    }

    /// Why a Job with this image is denied; empty where it is not.
    async fn denial(&self, digest: &Digest) -> String {
        let container = json!({"name": "c", "image": format!("{HOST}/{REPOSITORY}@{digest}")});
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "demo"},
            "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
        });
        let said = self.created(&job).await;
        if said.allowed { String::new() } else { said.text }
    }
}
