//! Keys that policies name.

use std::sync::Arc;

use oci::Digest;

use crate::public_keys::{self, InvalidKeys};

/// A public key that a policy trusts, and the hash that signatures by it are made over.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PublicKey {
    /// The key: DER of a SubjectPublicKeyInfo (RFC 5280).
    pub der: Arc<[u8]>,
    /// The hash that is signed.
    pub hash: HashAlgorithm,
}

/// A hash that signatures are made over, as `hashAlgorithm` names it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum HashAlgorithm {
    /// SHA-224.
    Sha224,
    /// SHA-256, which is meant where nothing is said.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl PublicKey {
    /// Every key of a text in PEM, for signatures over this hash.
    ///
    /// # Errors
    /// [`InvalidKeys`] if there is none, or anything is wrong with any.
    pub fn from_pem(text: &str, hash: HashAlgorithm) -> Result<Vec<Self>, InvalidKeys> {
        public_keys::parse(text, hash)
    }

    /// The sha256 of the key, which it is known by.
    pub fn id(&self) -> Digest {
        Digest::of(&self.der)
    }
}

impl HashAlgorithm {
    /// The name, as policies spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha224 => "sha224",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }
}
