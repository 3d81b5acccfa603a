//! What a registry calls its repositories and their versions.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// The name of a repository within its registry: the specification's `<name>`.
///
/// Grammar of the [distribution specification](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests),
/// at most 255 characters. It has no empty, `.` or `..` segment, so it is safe to build a path from.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Repository(Arc<str>);

/// Why a string is not a [`Repository`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum InvalidName {
    /// Longer than 255 characters.
    #[error("repository name is longer than 255 characters")]
    TooLong,
    /// A segment is empty or has characters or separators outside the grammar.
    #[error("repository name is not lower-case segments joined by slashes")]
    Malformed,
}

/// A name for a version of an image: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tag(Arc<str>);

/// Why a string is not a [`Tag`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("tag is not 1 to 128 letters, digits, dots, dashes or underscores")]
pub struct InvalidTag;

impl Repository {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without its first segment, and that segment, if there are two or more.
    pub fn split_first(&self) -> Option<(&str, Self)> {
        self.0.split_once('/').map(|(first, rest)| (first, Self(rest.into())))
    }

    /// This name as Docker Hub means it: `library/` before a single segment.
    ///
    /// # Errors
    /// [`InvalidName::TooLong`] where that makes it so.
    pub fn in_docker_hub(&self) -> Result<Self, InvalidName> {
        if self.0.contains('/') { Ok(self.clone()) } else { format!("library/{}", self.0).parse() }
    }
}

/// One segment: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_segment(segment: &str) -> bool {
    let alphanumeric = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let bytes = segment.as_bytes();
    let ends = bytes.first().zip(bytes.last());
    ends.is_some_and(|(first, last)| alphanumeric(*first) && alphanumeric(*last))
        && segment.split(|character: char| character.is_ascii_lowercase() || character.is_ascii_digit()).all(
            |separator| matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-'),
        )
}

impl FromStr for Repository {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text.len() > 255 {
            return Err(InvalidName::TooLong);
        }
        if text.split('/').all(is_segment) { Ok(Self(text.into())) } else { Err(InvalidName::Malformed) }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Tag {
    /// The tag that a reference without one means.
    pub fn latest() -> Self {
        Self("latest".into())
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag under which registries without a referrers API keep the list of referrers of a digest:
    /// `<algorithm>-<hex>`, of whose digits there are 64 at most.
    pub fn referrers_fallback(digest: &crate::Digest) -> Option<Self> {
        format!("{}-{:.64}", digest.algorithm().as_str(), digest.hex()).parse().ok()
    }

    /// Whether this is the [tag](Self::referrers_fallback) under which registries without a referrers API keep the
    /// list of referrers of a digest: `<algorithm>-<hex>`, as the distribution specification's
    /// [referrers tag schema](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema) says.
    pub fn is_referrers_fallback(&self) -> bool {
        let hash = self.0.strip_prefix("sha256-").or_else(|| self.0.strip_prefix("sha512-"));
        hash.is_some_and(|hash| format!("sha256:{hash}").parse::<crate::Digest>().is_ok())
    }
}

impl FromStr for Tag {
    type Err = InvalidTag;

    fn from_str(text: &str) -> Result<Self, InvalidTag> {
        let bytes = text.as_bytes();
        let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let known = bytes.len() <= 128
            && bytes.first().is_some_and(word)
            && bytes.iter().all(|byte| word(byte) || matches!(byte, b'.' | b'-'));
        if known { Ok(Self(text.into())) } else { Err(InvalidTag) }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_grammar() {
        for text in ["nginx", "library/nginx", "a/b/c/d/e/f/g/h/i", "a.b", "a_b", "a__b", "a---b", "0/9"] {
            assert_eq!(text.parse::<Repository>().map(|name| name.to_string()).as_deref(), Ok(text));
        }
        for text in [
            "", "/", "a/", "/a", "a//b", "A", "a/../b", ".", "..", "a..b", "a___b", "a._b", "-a", "a-", ".a",
            "a b", "a\n", "a%2f", "a:b", "a@b", "ä",
        ] {
            assert_eq!(text.parse::<Repository>(), Err(InvalidName::Malformed), "{text:?}");
        }
        assert_eq!("a".repeat(256).parse::<Repository>(), Err(InvalidName::TooLong));
    }

    #[test]
    fn tags_follow_the_grammar() {
        let longest = "a".repeat(128);
        for text in ["latest", "v1.2-3_4", "_", "1", &longest] {
            assert!(text.parse::<Tag>().is_ok(), "{text:?}");
        }
        let too_long = "a".repeat(129);
        for text in ["", ".a", "-a", "a/b", "a:b", "a b", "a\n", "ä", &too_long] {
            assert_eq!(text.parse::<Tag>(), Err(InvalidTag), "{text:?}");
        }
    }

    #[test]
    fn a_referrers_list_has_its_own_kind_of_tag() {
        let hex = "ab".repeat(32);
        let is = |text: &str| text.parse::<Tag>().unwrap().is_referrers_fallback();
        assert!(is(&format!("sha256-{hex}")));
        let digest = crate::Digest::of(b"");
        assert!(is(Tag::referrers_fallback(&digest).unwrap().as_str()));
        let long = crate::Digest::with(crate::Algorithm::Sha512, b"");
        let cut = Tag::referrers_fallback(&long).unwrap();
        assert_eq!(cut.as_str(), &format!("sha512-{}", long.hex())[..7 + 64]);
        assert!(!is(&format!("sha256-{hex}.sig")));
        assert!(is(&format!("sha512-{hex}")));
        assert!(!is(&format!("sha512-{hex}ab")));
        assert!(!is(&format!("md5-{hex}")));
        assert!(!is("sha256-ab"));
        assert!(!is("latest"));
    }

    #[test]
    fn only_one_segment_is_in_the_library() {
        let hub = |text: &str| text.parse::<Repository>().unwrap().in_docker_hub().unwrap().to_string();
        assert_eq!(hub("nginx"), "library/nginx");
        assert_eq!(hub("acme/app"), "acme/app");
    }
}
