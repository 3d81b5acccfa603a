//! The kinds of objects that are followed.

use kube::api::DynamicObject;
use kube::discovery::ApiResource;
use kube::{Api, Client};

/// A kind of objects that policies are made of.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    ClusterImagePolicy,
    ImagePolicy,
    Revocation,
    TrustRoot,
    /// Whom the gateway serves apart from others.
    Tenant,
    /// What policies and tenants name by `secretRef`.
    Secret,
    /// What policies name by `configMapRef`.
    ConfigMap,
}

impl Kind {
    /// What policies are made of.
    pub(crate) const POLICIES: [Self; 6] = [
        Self::ClusterImagePolicy,
        Self::ImagePolicy,
        Self::Revocation,
        Self::TrustRoot,
        Self::Secret,
        Self::ConfigMap,
    ];

    /// What tenants are made of.
    pub(crate) const TENANTS: [Self; 2] = [Self::Tenant, Self::Secret];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ClusterImagePolicy => "ClusterImagePolicy",
            Self::ImagePolicy => "ImagePolicy",
            Self::Revocation => "Revocation",
            Self::TrustRoot => "TrustRoot",
            Self::Tenant => "Tenant",
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        }
    }

    /// As it is in a path.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::ClusterImagePolicy => "clusterimagepolicies",
            Self::ImagePolicy => "imagepolicies",
            Self::Revocation => "revocations",
            Self::TrustRoot => "trustroots",
            Self::Tenant => "tenants",
            Self::Secret => "secrets",
            Self::ConfigMap => "configmaps",
        }
    }

    fn group(self) -> &'static str {
        match self {
            Self::ClusterImagePolicy | Self::TrustRoot => "policy.sigstore.dev",
            Self::ImagePolicy | Self::Revocation | Self::Tenant => "policy.countersign.dev",
            Self::Secret | Self::ConfigMap => "",
        }
    }

    /// The version that it is read in: all of a kind's versions say the same, and this one is stored.
    fn version(self) -> &'static str {
        match self {
            Self::ClusterImagePolicy
            | Self::TrustRoot
            | Self::ImagePolicy
            | Self::Revocation
            | Self::Tenant => "v1alpha1",
            Self::Secret | Self::ConfigMap => "v1",
        }
    }

    pub(crate) fn api_version(self) -> String {
        match self.group() {
            "" => self.version().to_owned(),
            group => format!("{group}/{}", self.version()),
        }
    }

    /// Whether only those are read that others name, in the namespace of the installation.
    pub(crate) fn is_named(self) -> bool {
        match self {
            Self::ClusterImagePolicy
            | Self::ImagePolicy
            | Self::Revocation
            | Self::TrustRoot
            | Self::Tenant => false,
            Self::Secret | Self::ConfigMap => true,
        }
    }

    pub(crate) fn resource(self) -> ApiResource {
        ApiResource {
            group: self.group().to_owned(),
            version: self.version().to_owned(),
            api_version: self.api_version(),
            kind: self.as_str().to_owned(),
            plural: self.plural().to_owned(),
        }
    }

    /// All objects of the kind that may matter.
    pub(crate) fn everywhere(self, client: &Client, installation: &str) -> Api<DynamicObject> {
        if self.is_named() {
            return Api::namespaced_with(client.clone(), installation, &self.resource());
        }
        Api::all_with(client.clone(), &self.resource())
    }
}
