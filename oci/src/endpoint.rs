//! What a client asks a registry for.

use std::fmt;

use thiserror::Error;

use crate::{Digest, InvalidDigest, InvalidName, InvalidTag, Repository, TagOrDigest};

/// One read endpoint of the [distribution specification](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints).
///
/// `Display` renders the path again, so that what is sent upstream is never what a client spelled.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Endpoint {
    /// `/v2/`: does this registry speak version 2?
    Base,
    /// `/v2/<name>/manifests/<reference>`.
    Manifest(Repository, TagOrDigest),
    /// `/v2/<name>/blobs/<digest>`.
    Blob(Repository, Digest),
    /// `/v2/<name>/referrers/<digest>`.
    Referrers(Repository, Digest),
    /// `/v2/<name>/tags/list`.
    Tags(Repository),
}

/// Why a path is no [`Endpoint`].
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidEndpoint {
    /// Nothing that a registry has is there.
    #[error("no such endpoint")]
    Unknown,
    /// The repository name does not parse.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The tag does not parse.
    #[error(transparent)]
    Tag(#[from] InvalidTag),
    /// The digest does not parse.
    #[error(transparent)]
    Digest(#[from] InvalidDigest),
}

impl Endpoint {
    /// Reads the path of a request. Names contain slashes, so it is read from its end.
    ///
    /// Nothing is percent-decoded: no valid name, tag or digest needs it (colons are legal in a path), and what is
    /// not decoded cannot be decoded twice.
    pub fn parse(path: &str) -> Result<Self, InvalidEndpoint> {
        let rest = path.strip_prefix("/v2").ok_or(InvalidEndpoint::Unknown)?;
        if rest.is_empty() || rest == "/" {
            return Ok(Self::Base);
        }
        let rest = rest.strip_prefix('/').ok_or(InvalidEndpoint::Unknown)?;
        let (before, last) = rest.rsplit_once('/').ok_or(InvalidEndpoint::Unknown)?;
        let (name, kind) = before.rsplit_once('/').ok_or(InvalidEndpoint::Unknown)?;
        match kind {
            "manifests" => {
                let version = if last.contains(':') {
                    TagOrDigest::Digest(last.parse()?)
                } else {
                    TagOrDigest::Tag(last.parse()?)
                };
                Ok(Self::Manifest(name.parse()?, version))
            }
            "blobs" => Ok(Self::Blob(name.parse()?, last.parse()?)),
            "referrers" => Ok(Self::Referrers(name.parse()?, last.parse()?)),
            "tags" if last == "list" => Ok(Self::Tags(name.parse()?)),
            _ => Err(InvalidEndpoint::Unknown),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base => f.write_str("/v2/"),
            Self::Manifest(name, TagOrDigest::Tag(tag)) => write!(f, "/v2/{name}/manifests/{tag}"),
            Self::Manifest(name, TagOrDigest::Digest(digest)) => write!(f, "/v2/{name}/manifests/{digest}"),
            Self::Blob(name, digest) => write!(f, "/v2/{name}/blobs/{digest}"),
            Self::Referrers(name, digest) => write!(f, "/v2/{name}/referrers/{digest}"),
            Self::Tags(name) => write!(f, "/v2/{name}/tags/list"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_keep_their_slashes() {
        let hex = "ab".repeat(32);
        for path in [
            "/v2/",
            "/v2/a/manifests/latest",
            "/v2/a/b/c/d/e/f/g/h/manifests/v1",
            &format!("/v2/a/manifests/sha256:{hex}"),
            &format!("/v2/a/b/blobs/sha256:{hex}"),
            &format!("/v2/manifests/blobs/referrers/sha256:{hex}"),
            "/v2/tags/list/tags/list",
        ] {
            assert_eq!(Endpoint::parse(path).unwrap().to_string(), path);
        }
        assert_eq!(Endpoint::parse("/v2"), Ok(Endpoint::Base));
    }

    #[test]
    fn what_no_registry_has_is_refused() {
        for path in [
            "",
            "/",
            "/v1/",
            "/v22/",
            "/v2/_catalog",
            "/v2/a",
            "/v2/a/manifests",
            "/v2/a/tags/other",
            "/v2//",
        ] {
            assert_eq!(Endpoint::parse(path), Err(InvalidEndpoint::Unknown), "{path:?}");
        }
        assert!(matches!(Endpoint::parse("/v2/a/../b/manifests/x"), Err(InvalidEndpoint::Name(_))));
        assert!(matches!(Endpoint::parse("/v2/a%2fb/manifests/x"), Err(InvalidEndpoint::Name(_))));
        assert!(matches!(Endpoint::parse("/v2/a/manifests/"), Err(InvalidEndpoint::Tag(_))));
        assert!(matches!(Endpoint::parse("/v2/a/manifests/sha256:xyz"), Err(InvalidEndpoint::Digest(_))));
        assert!(matches!(Endpoint::parse("/v2/a/blobs/latest"), Err(InvalidEndpoint::Digest(_))));
    }

    proptest! {
        #[test]
        fn a_path_that_parses_renders_as_it_was(path in "/v2/[a-z/]{1,12}/(manifests|blobs|tags)/[a-z0-9:]{1,8}") {
            if let Ok(endpoint) = Endpoint::parse(&path) {
                prop_assert_eq!(endpoint.to_string(), path);
            }
        }
    }
}
