//! Metadata and who signed it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sigstore_tuf::metadata::Role;
use sigstore_tuf::{Key, Metadata, RoleKeys, Root};
use sigstore_verify::crypto::{SigningScheme, VerificationKey};
use sigstore_verify::types::{DerPublicKey, SignatureBytes};
use x509_cert::der::Decode as _;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use super::error::TufError;

/// The most signatures that one file may have. Sigstore's have five.
const SIGNATURE_LIMIT: usize = 64;

/// What precedes a P-256 point, and an Ed25519 key, in a SubjectPublicKeyInfo.
const P256_PREFIX: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
const ED25519_PREFIX: &str = "302a300506032b6570032100";

/// Reads the metadata of a role. Nobody has vouched for it yet.
pub(super) fn read<T: Role>(file: &str, bytes: &[u8]) -> Result<Metadata<T>, TufError> {
    let metadata = Metadata::from_slice(bytes).map_err(|error| TufError::malformed(file, error))?;
    if metadata.signatures().len() > SIGNATURE_LIMIT {
        return Err(TufError::malformed(file, format!("more than {SIGNATURE_LIMIT} signatures")));
    }
    Ok(metadata)
}

/// Passes where enough of a root's keys for the role signed.
pub(super) fn check_by_root<T: Role>(
    metadata: &Metadata<T>,
    root: &Root,
    role: &str,
) -> Result<(), TufError> {
    let keys = root
        .role(role)
        .ok_or_else(|| TufError::malformed("root.json", format!("the root has no role {role}")))?;
    check(metadata, &root.keys, keys, role)
}

/// Passes where enough of these keys signed.
///
/// What counts is keys, not names: one key counts once, however many names it has and signatures it made. A key that
/// cannot be used counts as one that did not sign.
pub(super) fn check<T: Role>(
    metadata: &Metadata<T>,
    keys: &BTreeMap<String, Key>,
    role: &RoleKeys,
    name: &str,
) -> Result<(), TufError> {
    if role.threshold == 0 {
        return Err(TufError::malformed(name, "a threshold of no signatures"));
    }
    let mut signed = BTreeSet::new();
    for signature in metadata.signatures() {
        let key = keys.get(&signature.keyid).filter(|_| role.keyids.contains(&signature.keyid));
        let Some((key, bytes)) = key.and_then(usable).zip(hex::decode(&signature.sig).ok()) else {
            continue;
        };
        if key.verification.verify(metadata.signed_canonical(), &SignatureBytes::new(bytes)).is_ok() {
            signed.insert(key.bits);
        }
    }
    if signed.len() >= role.threshold {
        Ok(())
    } else {
        Err(TufError::Unsigned { role: name.to_owned(), signed: signed.len(), threshold: role.threshold })
    }
}

/// Passes what has not expired. That something ends now means that it has ended.
pub(super) fn check_fresh(role: &impl Role, name: &str, now: Timestamp) -> Result<(), TufError> {
    if role.expires() <= now {
        return Err(TufError::Expired { role: name.to_owned(), at: role.expires() });
    }
    Ok(())
}

/// Whether two roots have the same keys sign for a role, and equally many.
pub(super) fn same_signers(one: &Root, other: &Root, role: &str) -> bool {
    let signers = |root: &Root| {
        let role = root.role(role)?;
        let keys = role.keyids.iter().filter_map(|id| usable(root.keys.get(id)?));
        Some((keys.map(|key| key.bits).collect::<BTreeSet<_>>(), role.threshold))
    };
    signers(one) == signers(other)
}

/// A key that signatures can be checked with.
struct Usable {
    verification: VerificationKey,
    /// The key itself, whatever is written around it.
    bits: Vec<u8>,
}

/// The key that an entry means: in PEM, or in hexadecimal as Ed25519 keys are and P-256 keys once were.
fn usable(key: &Key) -> Option<Usable> {
    let scheme = key.signing_scheme().ok()?;
    let text = key.keyval.public.trim();
    let der = if text.starts_with("-----BEGIN") {
        DerPublicKey::from_pem(text).ok()?
    } else if scheme == SigningScheme::Ed25519 {
        DerPublicKey::new(hex::decode(format!("{ED25519_PREFIX}{text}")).ok()?)
    } else if scheme == SigningScheme::EcdsaP256Sha256 {
        DerPublicKey::new(hex::decode(format!("{P256_PREFIX}{text}")).ok()?)
    } else {
        return None;
    };
    // What else there is signs something other than the metadata, or is no scheme of the specification.
    let known = matches!(
        scheme,
        SigningScheme::EcdsaP256Sha256
            | SigningScheme::EcdsaP384Sha384
            | SigningScheme::Ed25519
            | SigningScheme::RsaPssSha256
            | SigningScheme::RsaPssSha384
            | SigningScheme::RsaPssSha512
    );
    let info = SubjectPublicKeyInfoRef::from_der(der.as_bytes()).ok()?;
    let bits = info.subject_public_key.as_bytes()?.to_vec();
    let curve = matches!(scheme, SigningScheme::EcdsaP256Sha256 | SigningScheme::EcdsaP384Sha384);
    // A compressed point would be a second spelling of a key.
    if !known || (curve && bits.first() != Some(&4)) {
        return None;
    }
    Some(Usable { verification: VerificationKey::from_spki_with_scheme(&der, scheme).ok()?, bits })
}
