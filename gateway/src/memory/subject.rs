//! What an operator speaks of: an image, however it is named.

use std::str::FromStr;

use cache::Beginning;
use oci::{Digest, InvalidDigest, InvalidReference, Name, Reference, Tag};
use thiserror::Error;

use crate::place::Upstreams;

/// What is asked about, or forgotten.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Subject {
    /// Every image of a repository.
    Repository(Name),
    /// Whatever a tag is remembered to mean.
    Tag(Name, Tag),
    /// One image.
    Image(Name, Digest),
    /// One image, in whichever repositories it is.
    Digest(Digest),
}

/// Why some text names nothing that could be remembered.
#[derive(Debug, Error)]
pub(crate) enum InvalidSubject {
    /// It is no reference.
    #[error("no image reference")]
    Reference(#[from] InvalidReference),
    /// It is no digest.
    #[error("no digest")]
    Digest(#[from] InvalidDigest),
    /// Nothing is judged under another algorithm, and so nothing is remembered.
    #[error("images are remembered by sha256")]
    Algorithm,
}

impl Subject {
    /// A digest, in whichever repositories.
    pub(crate) fn of_digest(text: &str) -> Result<Self, InvalidSubject> {
        Ok(Self::Digest(sha256(text.parse()?)?))
    }

    /// The same by the name under which it is remembered.
    pub(crate) fn canonical(self, upstreams: &Upstreams) -> Self {
        match self {
            Self::Repository(name) => Self::Repository(upstreams.canonical(&name)),
            Self::Tag(name, tag) => Self::Tag(upstreams.canonical(&name), tag),
            Self::Image(name, digest) => Self::Image(upstreams.canonical(&name), digest),
            Self::Digest(digest) => Self::Digest(digest),
        }
    }

    /// How the keys of its images begin. A tag is none.
    pub(super) fn beginning(&self) -> Option<Beginning> {
        match self {
            Self::Repository(name) => Some(Beginning::of(name)),
            Self::Image(name, digest) => Some(Beginning::of(name).then(digest)),
            Self::Digest(digest) => Some(Beginning::of_all().then_any().then_any().then(digest)),
            Self::Tag(..) => None,
        }
    }
}

/// `NAME`, `NAME:TAG` or `NAME@DIGEST`. Here a name alone is the repository, and not its tag `latest`.
impl FromStr for Subject {
    type Err = InvalidSubject;

    fn from_str(text: &str) -> Result<Self, InvalidSubject> {
        let reference: Reference = text.parse()?;
        let name = reference.name().clone();
        let is_tagged = text.rsplit('/').next().is_some_and(|last| last.contains(':'));
        match (reference.digest(), reference.tag()) {
            (Some(digest), _) => Ok(Self::Image(name, sha256(digest)?)),
            (None, Some(tag)) if is_tagged => Ok(Self::Tag(name, tag.clone())),
            (None, _) => Ok(Self::Repository(name)),
        }
    }
}

fn sha256(digest: Digest) -> Result<Digest, InvalidSubject> {
    match digest.algorithm() {
        oci::Algorithm::Sha256 => Ok(digest),
        oci::Algorithm::Sha512 => Err(InvalidSubject::Algorithm),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_alone_is_the_repository() {
        let name = |text: &str| text.parse::<Reference>().unwrap().name().clone();
        let digest = Digest::of(b"image");
        let tag = |tag: &str| tag.parse().unwrap();
        for (text, subject) in [
            ("ghcr.io/acme/app".to_owned(), Subject::Repository(name("ghcr.io/acme/app"))),
            ("localhost:5000/app".to_owned(), Subject::Repository(name("localhost:5000/app"))),
            ("nginx".to_owned(), Subject::Repository(name("docker.io/library/nginx"))),
            ("nginx:1".to_owned(), Subject::Tag(name("nginx"), tag("1"))),
            ("nginx:latest".to_owned(), Subject::Tag(name("nginx"), tag("latest"))),
            (format!("nginx@{digest}"), Subject::Image(name("nginx"), digest)),
            (format!("nginx:1@{digest}"), Subject::Image(name("nginx"), digest)),
        ] {
            assert_eq!(text.parse::<Subject>().unwrap(), subject, "{text}");
        }
        assert_eq!(Subject::of_digest(&digest.to_string()).unwrap(), Subject::Digest(digest));
        let long = Digest::with(oci::Algorithm::Sha512, b"image").to_string();
        assert!(matches!(Subject::of_digest(&long), Err(InvalidSubject::Algorithm)));
        assert!("Not An Image".parse::<Subject>().is_err() && Subject::of_digest("sha256:1").is_err());
    }
}
