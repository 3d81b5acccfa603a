//! The authority, the registry, and the files that the gateway is configured by.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use testkit::authority::{Authority, Identity, SignatureManifest, signature_manifest};
use testkit::image::Image;
use testkit::policy::{POLICY, release};
use testkit::registry::Registry;

/// The name that the registry has in references.
const HOST: &str = "registry.example";

/// A policy that warns, beside the one that denies.
const LENIENT: &str = "\
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: legacy-will-be-signed}
spec:
  mode: warn
  images: [{glob: registry.example/legacy/**}]
  authorities:
    - keyless:
        identities:
          - issuer: https://token.actions.githubusercontent.com
            subject: https://github.com/acme/app/.github/workflows/release.yaml@refs/heads/main
";

/// What the gateway is put in front of.
pub(crate) struct Stage {
    registry: Registry,
    authority: Authority,
    directory: PathBuf,
}

impl Stage {
    /// Fills a registry with images, and a directory with policies and whom to trust.
    pub(crate) async fn set(directory: &Path) -> anyhow::Result<Self> {
        let registry = Registry::start().await;
        let stage = Self { registry, authority: Authority::new("demo"), directory: directory.to_owned() };
        let repositories =
            ["acme/app", "acme/unsigned", "acme/forged", "elsewhere/tool", "legacy/batch", "acme/late"];
        for (seed, repository) in (1..).zip(repositories) {
            Image::random(seed).push_to(&stage.registry, repository, Some("v1"));
        }
        stage.sign(&format!("{HOST}/acme/app:v1"));
        let stranger = Identity::github_workflow("mallory/app", "release.yaml@refs/heads/main");
        stage.sign_as("acme/forged", &stranger);
        let policies = directory.join("policies");
        std::fs::create_dir(&policies)?;
        std::fs::write(policies.join("acme.yaml"), POLICY)?;
        std::fs::write(policies.join("legacy.yaml"), LENIENT)?;
        std::fs::write(directory.join("trusted_root.json"), stage.authority.trusted_root())?;
        Ok(stage)
    }

    /// Signs what an image's tag is, as the policy expects.
    pub(crate) fn sign(&self, image: &str) {
        let repository = image.trim_start_matches(HOST).trim_start_matches('/').trim_end_matches(":v1");
        self.sign_as(repository, &release());
    }

    fn sign_as(&self, repository: &str, identity: &Identity) {
        let Some(digest) = self.registry.tagged(repository, "v1") else { return };
        let layer = self.authority.sign(&digest, &format!("{HOST}/{repository}"), identity);
        let signatures = signature_manifest(&[layer]);
        for blob in signatures.payloads.iter().chain([&signatures.config]) {
            self.registry.put_blob(repository, blob.clone());
        }
        let (media_type, tag) = (signatures.media_type.as_str(), SignatureManifest::tag_for(&digest));
        self.registry.put_manifest(repository, Some(&tag), media_type, signatures.manifest);
    }

    /// Writes the configuration of a gateway with doors at these ports, and returns where it is. Who shows the token may
    /// look at its page.
    pub(crate) fn configure(
        &self,
        registry: u16,
        admission: u16,
        admin: u16,
        token: &str,
    ) -> anyhow::Result<PathBuf> {
        std::fs::write(self.directory.join("admin.token"), token)?;
        let (at, origin) = (self.directory.display(), self.registry.url());
        let path = self.directory.join("countersign.yaml");
        let text = format!(
            "registry: {{listen: '127.0.0.1:{registry}', noMatch: deny}}\n\
             admission: {{listen: '127.0.0.1:{admission}'}}\n\
             admin: {{listen: '127.0.0.1:{admin}', tokenFile: {at}/admin.token}}\n\
             storage: {{path: {at}/storage}}\n\
             trust: {{root: {{file: {at}/trusted_root.json}}}}\n\
             policies: {{directory: {at}/policies}}\n\
             upstreams: [{{host: {HOST}, endpoint: '{origin}'}}]\n\
             log: {{level: warn}}\n"
        );
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// The certificate authority of the gateway's webhook, once it runs.
    pub(crate) fn webhook_authority(&self) -> PathBuf {
        self.directory.join("storage/ca.pem")
    }
}
