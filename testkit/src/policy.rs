//! The policy that tests and load are judged by, and who satisfies it.

use crate::authority::Identity;

/// A policy over `registry.example/acme/**`: signed by [`release`].
pub const POLICY: &str = "\
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: acme-is-signed}
spec:
  images: [{glob: registry.example/acme/**}]
  authorities:
    - keyless:
        identities:
          - issuer: https://token.actions.githubusercontent.com
            subject: https://github.com/acme/app/.github/workflows/release.yaml@refs/heads/main
";

/// Whom the policy expects.
pub fn release() -> Identity {
    Identity::github_workflow("acme/app", "release.yaml@refs/heads/main")
}
