//! A platform, as image indexes and people write it.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use thiserror::Error;

/// What images are built for: `linux/amd64`, `linux/arm/v7`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct Platform {
    /// The operating system.
    pub os: String,
    /// The processor's architecture.
    pub architecture: String,
    /// Which of its variants; any without.
    #[serde(default)]
    pub variant: Option<String>,
}

/// That some text is no platform.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a platform is written OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT")]
pub struct InvalidPlatform;

impl Platform {
    /// Whether an image for that platform is one for this.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let same = (&self.os, &self.architecture) == (&other.os, &other.architecture);
        same && (self.variant.is_none() || self.variant == other.variant)
    }
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, InvalidPlatform> {
        let is_word = |part: &&str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return Err(InvalidPlatform),
        };
        if !parts.iter().all(|part| is_word(part)) {
            return Err(InvalidPlatform);
        }
        Ok(Self { os: os.into(), architecture: architecture.into(), variant: variant.map(Into::into) })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_two_words_or_three() {
        for text in ["linux/amd64", "linux/arm/v7", "windows/amd64"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
        for text in ["", "linux", "linux/", "/amd64", "Linux/amd64", "linux/arm/v7/x", "linux/amd 64"] {
            assert_eq!(text.parse::<Platform>(), Err(InvalidPlatform), "{text:?}");
        }
    }
}
