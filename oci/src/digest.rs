//! Addresses of content, and the hashing that checks them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;
use thiserror::Error;

/// The address of some content: an algorithm and the hash it produced.
///
/// A `Digest` says which bytes are *meant*; it does not say that anyone has checked them. Bytes that
/// have been checked are a [`Verified`](crate::Verified).
///
/// `sha256` and `sha512` are accepted, in lower case only, as the
/// [image specification](https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests) registers
/// them. One image has an address under each; what is remembered of an image is kept under `sha256` alone, or a
/// verdict could be found under one spelling and missed under the other.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Digest(Hash);

#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Hash {
    Sha256([u8; 32]),
    Sha512([u8; 64]),
}

/// The function that a [`Digest`] was made with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
}

/// Why a string is not a [`Digest`].
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidDigest {
    /// There is no `algorithm:` prefix.
    #[error("no algorithm before the hash")]
    MissingAlgorithm,
    /// The algorithm is not one that content is kept under.
    #[error("algorithm is neither sha256 nor sha512")]
    UnsupportedAlgorithm,
    /// The hash has the wrong length or other characters than lower-case hexadecimal digits.
    #[error("hash is not lower-case hexadecimal of the algorithm's length")]
    MalformedHash,
}

impl Digest {
    /// The `sha256` address of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Hash::Sha256(sha2::Sha256::digest(bytes).into()))
    }

    /// The address of these bytes under a chosen algorithm.
    pub fn with(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The `sha256` address made of a hash that was computed elsewhere.
    pub fn from_sha256(hash: [u8; 32]) -> Self {
        Self(Hash::Sha256(hash))
    }

    /// The function this digest was made with.
    pub fn algorithm(&self) -> Algorithm {
        match self.0 {
            Hash::Sha256(_) => Algorithm::Sha256,
            Hash::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// The hash as bytes, 32 or 64 of them.
    pub fn hash(&self) -> &[u8] {
        match &self.0 {
            Hash::Sha256(hash) => hash,
            Hash::Sha512(hash) => hash,
        }
    }

    /// The hash in lower-case hexadecimal, without the algorithm.
    pub fn hex(&self) -> String {
        self.hash().iter().fold(String::with_capacity(128), |mut out, byte| {
            out.push(nibble(byte >> 4));
            out.push(nibble(byte & 15));
            out
        })
    }
}

impl Algorithm {
    /// The name in front of the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}

fn nibble(value: u8) -> char {
    char::from(if value < 10 { b'0' + value } else { b'a' + value - 10 })
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Exactly `N` bytes of lower-case hexadecimal.
fn unhex<const N: usize>(text: &str) -> Result<[u8; N], InvalidDigest> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return Err(InvalidDigest::MalformedHash);
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        match (value(pair[0]), value(pair[1])) {
            (Some(high), Some(low)) => *byte = high << 4 | low,
            _ => return Err(InvalidDigest::MalformedHash),
        }
    }
    Ok(out)
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let (algorithm, hash) = text.split_once(':').ok_or(InvalidDigest::MissingAlgorithm)?;
        match algorithm {
            "sha256" => Ok(Self(Hash::Sha256(unhex(hash)?))),
            "sha512" => Ok(Self(Hash::Sha512(unhex(hash)?))),
            _ => Err(InvalidDigest::UnsupportedAlgorithm),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm().as_str(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A hash in the making, for content that arrives in pieces.
#[derive(Clone, Debug)]
pub struct Hasher(Running);

#[derive(Clone, Debug)]
enum Running {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// A hash of no bytes yet.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => Running::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => Running::Sha512(sha2::Sha512::new()),
        })
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Running::Sha256(hasher) => hasher.update(bytes),
            Running::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The address of all the bytes taken.
    pub fn finish(self) -> Digest {
        Digest(match self.0 {
            Running::Sha256(hasher) => Hash::Sha256(hasher.finalize().into()),
            Running::Sha512(hasher) => Hash::Sha512(hasher.finalize().into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refuses(text: &str, why: InvalidDigest) {
        assert_eq!(text.parse::<Digest>(), Err(why), "{text:?}");
    }

    #[test]
    fn only_one_spelling_of_an_address_is_accepted() {
        let hash = "ab".repeat(32);
        let text = format!("sha256:{hash}");
        assert_eq!(text.parse::<Digest>().unwrap().to_string(), text);

        refuses(&hash, InvalidDigest::MissingAlgorithm);
        refuses(&format!("SHA256:{hash}"), InvalidDigest::UnsupportedAlgorithm);
        refuses(&format!("md5:{hash}"), InvalidDigest::UnsupportedAlgorithm);
        refuses(&format!("sha256:{}", hash.to_uppercase()), InvalidDigest::MalformedHash);
        refuses(&format!("sha256:{hash}\n"), InvalidDigest::MalformedHash);
        refuses(&format!("sha512:{hash}"), InvalidDigest::MalformedHash);
        refuses("sha256:../../etc/passwd", InvalidDigest::MalformedHash);
        refuses("sha256:", InvalidDigest::MalformedHash);
    }

    #[test]
    fn pieces_hash_as_the_whole() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(b"coun");
            hasher.update(b"tersign");
            assert_eq!(hasher.finish(), Digest::with(algorithm, b"countersign"));
        }
    }

    #[test]
    fn the_empty_content_has_its_known_address() {
        assert_eq!(
            Digest::of(b"").to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
