//! Public keys as policies write them: PEM ([RFC 7468](https://www.rfc-editor.org/rfc/rfc7468)).

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912::{ID_EC_PUBLIC_KEY, RSA_ENCRYPTION, SECP_256_R_1, SECP_384_R_1, SECP_521_R_1};
use const_oid::db::rfc8410::ID_ED_25519;
use spki::der::asn1::{AnyRef, BitStringRef, UintRef};
use spki::der::{Decode, Encode, Reader, SliceReader};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use thiserror::Error;

use crate::key::{HashAlgorithm, PublicKey};

/// Why a text does not become keys.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum InvalidKeys {
    /// Policy-controller does not accept it either, and has no words for why.
    #[error("not a public key in PEM")]
    NotKeys,
    /// A public key, and of a kind that no signature is checked with.
    #[error("only keys of RSA (2048 to 4096 bits), ECDSA (P-256, P-384, P-521) and Ed25519 are checked")]
    Unsupported,
    /// More keys than are read.
    #[error("more than {KEY_LIMIT} keys")]
    TooMany,
}

/// How many keys one text may hold. Every signature is checked with every key.
const KEY_LIMIT: usize = 16;

/// Reads every key of a text. What stands between the blocks is passed over.
///
/// # Errors
/// [`InvalidKeys`] if there is none, or anything is wrong with any: a key that is passed over would be one that the
/// author takes for trusted.
pub(crate) fn parse(text: &str, hash: HashAlgorithm) -> Result<Vec<PublicKey>, InvalidKeys> {
    let blocks = pem::parse_many(text).map_err(|_| InvalidKeys::NotKeys)?;
    if blocks.is_empty() || blocks.len() != text.matches("-----BEGIN").count() {
        return Err(InvalidKeys::NotKeys);
    }
    if blocks.len() > KEY_LIMIT {
        return Err(InvalidKeys::TooMany);
    }
    let mut keys = Vec::with_capacity(blocks.len());
    for block in &blocks {
        let der = match block.tag() {
            "PUBLIC KEY" => block.contents().to_vec(),
            "RSA PUBLIC KEY" => wrapped(block.contents())?,
            _ => return Err(InvalidKeys::NotKeys),
        };
        supported(&der)?;
        let key = PublicKey { der: der.into(), hash };
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// A bare RSA key (PKCS #1) as the SubjectPublicKeyInfo that it is of.
fn wrapped(rsa: &[u8]) -> Result<Vec<u8>, InvalidKeys> {
    let key = BitStringRef::from_bytes(rsa).map_err(|_| InvalidKeys::NotKeys)?;
    let algorithm = AlgorithmIdentifierRef { oid: RSA_ENCRYPTION, parameters: Some(AnyRef::NULL) };
    let wrapped = SubjectPublicKeyInfoRef { algorithm, subject_public_key: key };
    wrapped.to_der().map_err(|_| InvalidKeys::NotKeys)
}

/// Checks that a key is of a kind that signatures are checked with, and of the right length. Whether a point is on its
/// curve is for the verifier to find.
fn supported(der: &[u8]) -> Result<(), InvalidKeys> {
    let key = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| InvalidKeys::NotKeys)?;
    let bytes = key.subject_public_key.as_bytes().ok_or(InvalidKeys::NotKeys)?;
    let fits = match key.algorithm.oid {
        RSA_ENCRYPTION => return rsa(bytes),
        ID_ED_25519 => bytes.len() == 32,
        ID_EC_PUBLIC_KEY => {
            let curve = key.algorithm.parameters_oid().map_err(|_| InvalidKeys::NotKeys)?;
            bytes.first() == Some(&4) && bytes.len() == 1 + 2 * coordinate(curve)?
        }
        _ => return Err(InvalidKeys::Unsupported),
    };
    if fits { Ok(()) } else { Err(InvalidKeys::NotKeys) }
}

/// How many bytes a coordinate of a point on the curve takes.
fn coordinate(curve: ObjectIdentifier) -> Result<usize, InvalidKeys> {
    match curve {
        SECP_256_R_1 => Ok(32),
        SECP_384_R_1 => Ok(48),
        SECP_521_R_1 => Ok(66),
        _ => Err(InvalidKeys::Unsupported),
    }
}

fn rsa(der: &[u8]) -> Result<(), InvalidKeys> {
    let modulus = || -> spki::der::Result<usize> {
        let mut reader = SliceReader::new(der)?;
        let modulus = reader.sequence(|fields| {
            let modulus = UintRef::decode(fields)?;
            UintRef::decode(fields)?;
            Ok(modulus)
        })?;
        reader.finish(usize::try_from(modulus.len())?)
    };
    match modulus() {
        Ok(256..=512) => Ok(()),
        Ok(_) => Err(InvalidKeys::Unsupported),
        Err(_) => Err(InvalidKeys::NotKeys),
    }
}

#[cfg(test)]
mod tests;
