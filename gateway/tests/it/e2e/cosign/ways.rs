//! The ways in which cosign signs.

use oci::Digest;
use testkit::authority::Identity;
use testkit::sigstore::Log;

use super::program::KeyPair;
use crate::e2e::parts::status;

/// Where cosign puts what it signs, and where it has that recorded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    /// Under a tag, in the log of the first generation: the only way up to version 2.
    Tag,
    /// In a bundle that refers to the image, as version 3 does.
    Bundle(Log),
}

/// Who signs.
#[derive(Debug)]
pub(super) enum Signer {
    Identity(Identity),
    Key(KeyPair),
}

impl Way {
    /// Those that are recorded.
    pub(super) const LOGGED: [Self; 3] = [Self::Tag, Self::Bundle(Log::First), Self::Bundle(Log::Second)];

    /// Checks that what was made is where this way puts it, and not where another would.
    pub(super) async fn kept(self, origin: &str, repository: &str, digest: &Digest, attested: bool) {
        let kind = if attested { "att" } else { "sig" };
        let tag = format!("sha256-{}.{kind}", digest.hex());
        let status = status(&format!("{origin}/v2/{repository}/manifests/{tag}")).await;
        assert_eq!(status, if self == Self::Tag { 200 } else { 404 }, "{self:?} {tag}");
    }
}

impl Signer {
    /// What tells them apart.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Identity(identity) => identity.subject.as_str().to_owned(),
            Self::Key(pair) => pair.file("key"),
        }
    }
}
