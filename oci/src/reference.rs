//! What a person writes to name an image.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::{Digest, Host, InvalidDigest, InvalidHost, InvalidName, InvalidTag, Repository, Tag};

/// A repository and the registry that it is in: an image without its version.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Name {
    /// The registry.
    pub host: Host,
    /// The repository in it.
    pub repository: Repository,
}

/// How a version is asked for.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum TagOrDigest {
    /// By a name that may move.
    Tag(Tag),
    /// By content.
    Digest(Digest),
}

/// An image as a Pod or a person names it, in canonical form.
///
/// Parsing fills in what runtimes fill in: Docker Hub where no host is named, `library/` before a one-segment
/// Docker Hub name, `latest` where there is neither tag nor digest. `Display` is the canonical form.
///
/// ```
/// let reference: oci::Reference = "nginx".parse()?;
/// assert_eq!(reference.to_string(), "index.docker.io/library/nginx:latest");
/// # Ok::<(), oci::InvalidReference>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Reference {
    name: Name,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

/// Why a string is not a [`Reference`].
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidReference {
    /// The part before the first slash, which names a host, does not parse.
    #[error(transparent)]
    Host(#[from] InvalidHost),
    /// The repository does not parse.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The tag does not parse.
    #[error(transparent)]
    Tag(#[from] InvalidTag),
    /// The digest does not parse.
    #[error(transparent)]
    Digest(#[from] InvalidDigest),
}

impl Name {
    /// This name with a version: `host/repository:tag` or `host/repository@digest`.
    pub fn at(&self, version: &TagOrDigest) -> String {
        match version {
            TagOrDigest::Tag(tag) => format!("{self}:{tag}"),
            TagOrDigest::Digest(digest) => format!("{self}@{digest}"),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)
    }
}

impl Reference {
    /// The repository and its registry.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The digest, if the reference is pinned to one.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The tag as written, or `latest` where neither tag nor digest was.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// What the reference resolves by: the digest where there is one, which makes a tag beside it decoration.
    pub fn version(&self) -> TagOrDigest {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => TagOrDigest::Digest(*digest),
            (None, Some(tag)) => TagOrDigest::Tag(tag.clone()),
            (None, None) => TagOrDigest::Tag(Tag::latest()),
        }
    }

    /// The name that policies match: the digest replaces the tag, as in policy-controller.
    pub fn matched_name(&self) -> String {
        self.name.at(&self.version())
    }

    /// This reference pinned to a digest, its tag kept for the reader.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// The same version of an image of another name.
    #[must_use]
    pub fn renamed(&self, name: Name) -> Self {
        Self { name, ..self.clone() }
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (text, None),
        };
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag.parse()?)),
            _ => (rest, None),
        };
        let (host, repository) = match path.split_once('/') {
            Some((first, repository)) if Host::is_named_by(first) => (first.parse()?, repository.parse()?),
            _ => (Host::docker_hub(), path.parse::<Repository>()?),
        };
        let repository = match host.is_docker_hub() {
            true => repository.in_docker_hub()?,
            false => repository,
        };
        let tag = if digest.is_none() { tag.or_else(|| Some(Tag::latest())) } else { tag };
        Ok(Self { name: Name { host, repository }, tag, digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:5504f2a95018e3d8a52d80d9e1a128c6ea337581808ff9fe96f5628ce2336350";

    #[track_caller]
    fn parses(text: &str, canonical: &str) {
        assert_eq!(text.parse::<Reference>().unwrap().to_string(), canonical, "{text:?}");
    }

    #[test]
    fn what_runtimes_fill_in_is_filled_in() {
        parses("nginx", "index.docker.io/library/nginx:latest");
        parses("docker.io/nginx:1.27", "index.docker.io/library/nginx:1.27");
        parses("acme/app", "index.docker.io/acme/app:latest");
        parses("ghcr.io/foo", "ghcr.io/foo:latest");
        parses("localhost/app", "localhost/app:latest");
        parses("localhost:5000/app", "localhost:5000/app:latest");
        parses("[::1]:5000/app:v1", "[::1]:5000/app:v1");
    }

    #[test]
    fn an_image_stays_in_its_registry_when_its_canonical_form_is_read_again() {
        for text in
            ["registry:443/app:v1", "a.example:443/app:v1", "localhost:443/app:v1", "[::1]:443/app:v1"]
        {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string().parse(), Ok(reference), "{text}");
        }
    }

    #[test]
    fn a_digest_leaves_no_room_for_latest() {
        parses(&format!("ghcr.io/foo@{DIGEST}"), &format!("ghcr.io/foo@{DIGEST}"));
        let both = format!("ghcr.io/foo:v1@{DIGEST}");
        parses(&both, &both);
        let reference: Reference = both.parse().unwrap();
        assert_eq!(reference.matched_name(), format!("ghcr.io/foo@{DIGEST}"));
        assert_eq!(reference.version(), TagOrDigest::Digest(DIGEST.parse().unwrap()));
    }

    #[test]
    fn a_name_that_is_too_long_once_it_is_completed_is_refused() {
        let longest = "a".repeat(255 - "library/".len());
        parses(&longest, &format!("index.docker.io/library/{longest}:latest"));
        let refused = format!("{longest}a").parse::<Reference>();
        assert_eq!(refused, Err(InvalidReference::Name(InvalidName::TooLong)));
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in [
            "",
            ":",
            "@",
            "/",
            "foo:",
            "foo@",
            "Foo",
            "GHCR.io/foo",
            "ghcr.io/",
            "ghcr.io/Foo",
            "foo bar",
            "foo@sha256:ab",
            "ghcr.io/../foo",
            "ghcr.io/foo:a:b",
            "http://ghcr.io/foo",
            "ghcr.io//foo",
            "foo\n",
            "foo@sha256:a@sha256:b",
            "127.0.0.1",
            "host.example:5000",
        ] {
            // A host alone is a one-segment Docker Hub name to a runtime, if its characters allow it.
            if text == "127.0.0.1" {
                parses(text, "index.docker.io/library/127.0.0.1:latest");
                continue;
            }
            if text == "host.example:5000" {
                parses(text, "index.docker.io/library/host.example:5000");
                continue;
            }
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_a_fixed_point(text in "[a-z0-9./:@_-]{1,60}") {
            if let Ok(reference) = text.parse::<Reference>() {
                let canonical = reference.to_string();
                prop_assert_eq!(canonical.parse::<Reference>().unwrap(), reference);
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            drop(text.parse::<Reference>());
        }
    }
}
