//! Content whose address was computed from its bytes.

use bytes::Bytes;
use thiserror::Error;

use crate::Digest;

/// Bytes that hash to the digest they are kept with.
///
/// The only ways to hold one hash the bytes, so a function that takes a `Verified` cannot be handed
/// what merely claims to be the content.
///
/// ```compile_fail,E0451
/// # let digest = oci::Digest::of(b"");
/// let forged = oci::Verified { digest, bytes: bytes::Bytes::from_static(b"other") };
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified {
    digest: Digest,
    bytes: Bytes,
}

/// Content that is not what its address promises. Never served, never kept.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("content hashes to {got}, not to {want}")]
pub struct WrongContent {
    /// The digest that was asked for.
    pub want: Digest,
    /// The digest of what came.
    pub got: Digest,
}

impl Verified {
    /// Checks that these bytes are the content of this digest.
    pub fn check(want: Digest, bytes: Bytes) -> Result<Self, WrongContent> {
        let got = Digest::with(want.algorithm(), &bytes);
        if got == want { Ok(Self { digest: want, bytes }) } else { Err(WrongContent { want, got }) }
    }

    /// Takes bytes for what they are: their digest is computed, not claimed.
    pub fn of(bytes: Bytes) -> Self {
        Self { digest: Digest::of(&bytes), bytes }
    }

    /// The digest, computed from the bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The bytes, exactly as they came.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_held_only_under_its_own_address() {
        let bytes = Bytes::from_static(b"manifest");
        let digest = Digest::of(&bytes);
        assert_eq!(Verified::check(digest, bytes.clone()).unwrap().digest(), digest);

        let got = Digest::of(b"another");
        assert_eq!(
            Verified::check(digest, Bytes::from_static(b"another")),
            Err(WrongContent { want: digest, got })
        );
    }
}
