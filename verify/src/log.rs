//! Whether a transparency log recorded an entry: its promise, and its proof.
//!
//! The library does the same for signatures under certificates. It takes fewer kinds of keys than policies
//! may name, so for signatures by a key the log is asked here.

use jiff::Timestamp;
use oci::{Algorithm, Hasher};
use policies::{Flaw, FlawKind};
use sigstore_verify::crypto::VerificationKey;
use sigstore_verify::types::{
    Checkpoint, InclusionProof, KindVersion, LogIndex, Sha256Hash, SignatureBytes, TransparencyLogEntry,
};

use crate::TrustRoot;
use crate::flaw::flaw;
use crate::log_entry::Promised;
use crate::notary::promised;

/// The most hashes that a proof may have: one for every bit of a size.
const PATH_LIMIT: usize = 64;

/// Verifies whatever of promise and proof an entry has, and gives the time that the log vouches for, if it
/// does.
///
/// That one of them has to be there is not decided here, nor whether the entry is of the right thing.
///
/// # Errors
/// [`FlawKind::LogEntry`] where one of them does not verify.
pub(crate) fn verify(
    entry: &TransparencyLogEntry,
    trust_root: &TrustRoot,
) -> Result<Option<Timestamp>, Flaw> {
    if let Some(proof) = &entry.inclusion_proof {
        verify_proof(entry, proof, trust_root)?;
    }
    let Some(promise) = &entry.inclusion_promise else {
        return Ok(None);
    };
    let time = entry.integrated_time.ok_or_else(|| broken("the log promised an entry without a time"))?;
    let promise = promise.signed_entry_timestamp.as_bytes();
    let log = entry.log_id.key_id.as_bytes();
    verify_signed(entry.canonicalized_body.as_bytes(), time, log, entry.log_index, promise, trust_root)?;
    // In the second generation of logs nothing promises, and the time is not what a promise would be for.
    Ok(Some(time).filter(|_| entry.kind_version != KindVersion::HashedRekordV002))
}

/// Where in the log an entry is, once what it has of promise and proof is verified, and [whose](verify_name)
/// they are.
///
/// # Errors
/// [`FlawKind::LogEntry`] where nobody vouches for it. In the first generation of logs, which are in pieces, a
/// proof is of the index in one piece: for the one in the whole, a promise alone vouches. Whoever could choose
/// it at will could evade a revocation by it.
pub(crate) fn index(entry: &TransparencyLogEntry) -> Result<policies::LogIndex, Flaw> {
    let second = entry.kind_version == KindVersion::HashedRekordV002;
    if entry.inclusion_promise.is_none() && !(second && entry.inclusion_proof.is_some()) {
        return Err(broken("the log does not vouch for the index of the entry"));
    }
    Ok(policies::LogIndex { log: hex::encode(entry.log_id.key_id.as_bytes()), index: entry.log_index.get() })
}

/// Passes where it is the log that an entry names that vouches for it. Whatever promise and proof it has is
/// verified already.
///
/// A promise is verified with the key of the log that is named. The library takes a checkpoint by any log that
/// is trusted, and in an entry without a promise nothing else vouches for the name.
///
/// # Errors
/// [`FlawKind::LogEntry`].
pub(crate) fn verify_name(entry: &TransparencyLogEntry, trust_root: &TrustRoot) -> Result<(), Flaw> {
    match (&entry.inclusion_promise, &entry.inclusion_proof) {
        (None, Some(proof)) => verify_checkpoint(checkpoint(proof)?, entry, trust_root),
        (Some(_), _) | (None, None) => Ok(()),
    }
}

/// Passes where a trusted log promised this, at a time at which it was trusted.
///
/// # Errors
/// [`FlawKind::LogEntry`].
pub(crate) fn verify_promise(entry: &Promised, trust_root: &TrustRoot) -> Result<(), Flaw> {
    verify_signed(&entry.body, entry.time, &entry.log, entry.index, &entry.promise, trust_root)
}

fn verify_signed(
    body: &[u8],
    time: Timestamp,
    log: &[u8],
    index: LogIndex,
    promise: &[u8],
    trust_root: &TrustRoot,
) -> Result<(), Flaw> {
    let id = log_id(log)?;
    let key = trust_root.log_keys().key_at(&id, time);
    let key = key.ok_or_else(|| broken(&format!("no log {} is trusted at {time}", id.to_hex())))?;
    key.verify(promised(body, time, log, index), &SignatureBytes::new(promise.to_vec()))
        .map_err(|error| broken(&format!("the log's promise does not verify: {error}")))
}

/// Passes where an entry is in a tree whose root a trusted log signed.
fn verify_proof(
    entry: &TransparencyLogEntry,
    proof: &InclusionProof,
    trust_root: &TrustRoot,
) -> Result<(), Flaw> {
    let checkpoint = checkpoint(proof)?;
    let (index, size) = match entry.kind_version {
        // What stands in the proof besides is what nobody signed.
        KindVersion::HashedRekordV002 => (entry.log_index.get(), checkpoint.tree_size()),
        // Logs of the first generation are in pieces, so an entry has one index in the whole and one in its
        // piece.
        KindVersion::HashedRekordV001 | KindVersion::DsseV001 | KindVersion::IntotoV002 => {
            if *checkpoint.root_hash() != proof.root_hash {
                return Err(broken("the log's proof is of another root than its checkpoint"));
            }
            (proof.log_index.get(), proof.tree_size)
        }
        other => return Err(broken(&format!("entries of kind {} are not checked here", other.kind()))),
    };
    let leaf = hash(&[&[0], entry.canonicalized_body.as_bytes()]);
    if root(leaf, index, size, &proof.hashes) != Some(*checkpoint.root_hash().as_bytes()) {
        return Err(broken("the log's proof does not lead to its checkpoint"));
    }
    verify_checkpoint(checkpoint, entry, trust_root)
}

fn checkpoint(proof: &InclusionProof) -> Result<&Checkpoint, Flaw> {
    proof.checkpoint.checkpoint().ok_or_else(|| broken("the log's proof has no checkpoint"))
}

/// Passes where the log that the entry names signed this, and is trusted. Others may have signed it too.
fn verify_checkpoint(
    checkpoint: &Checkpoint,
    entry: &TransparencyLogEntry,
    trust_root: &TrustRoot,
) -> Result<(), Flaw> {
    let id = log_id(entry.log_id.key_id.as_bytes())?;
    let key = trust_root.log_keys().key_started_by(&id, Timestamp::now());
    let hint = id.as_bytes().first_chunk();
    let mut signatures = checkpoint.signatures().iter();
    let signed = signatures.any(|signature| {
        let named = hint == Some(signature.key_id.as_bytes());
        let by = |key: &VerificationKey| key.verify(checkpoint.signed_data(), &signature.signature).is_ok();
        named && key.is_some_and(by)
    });
    if signed {
        Ok(())
    } else {
        Err(broken("the log's checkpoint is not signed by the log, or it is not trusted"))
    }
}

fn log_id(name: &[u8]) -> Result<Sha256Hash, Flaw> {
    Sha256Hash::try_from(name).map_err(|_| broken("the log's name is no sha256"))
}

/// The root that a path leads to, if it is as long as it has to be ([RFC
/// 9162](https://www.rfc-editor.org/rfc/rfc9162), 2.1.3.2).
fn root(leaf: [u8; 32], index: u64, size: u64, path: &[Sha256Hash]) -> Option<[u8; 32]> {
    if index >= size || path.len() > PATH_LIMIT {
        return None;
    }
    let (mut node, mut last, mut root) = (index, size - 1, leaf);
    for beside in path {
        if last == 0 {
            return None;
        }
        if node % 2 == 1 || node == last {
            root = hash(&[&[1], beside.as_bytes(), &root]);
            while node % 2 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            root = hash(&[&[1], &root, beside.as_bytes()]);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    parts.iter().for_each(|part| hasher.update(part));
    let mut hash = [0; 32];
    hash.copy_from_slice(hasher.finish().hash());
    hash
}

fn broken(detail: &str) -> Flaw {
    flaw(FlawKind::LogEntry, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The root over some leaves, and the path to each (RFC 9162, 2.1.1 and 2.1.3.1).
    fn tree(leaves: &[[u8; 32]]) -> ([u8; 32], Vec<Vec<Sha256Hash>>) {
        let [leaf] = leaves else {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            let ((left, mut paths), (right, right_paths)) = (tree(left), tree(right));
            paths.iter_mut().for_each(|path| path.push(Sha256Hash::new(right)));
            paths.extend(right_paths.into_iter().map(|mut path| {
                path.push(Sha256Hash::new(left));
                path
            }));
            return (hash(&[&[1], &left, &right]), paths);
        };
        (*leaf, vec![Vec::new()])
    }

    #[test]
    fn every_leaf_of_every_small_tree_leads_to_its_root_and_to_no_other() {
        let leaves: Vec<_> = (0..20_u8).map(|number| hash(&[&[0, number]])).collect();
        for size in 1..=leaves.len() {
            let (top, paths) = tree(&leaves[..size]);
            for (index, path) in paths.iter().enumerate() {
                let at = |leaf: usize, index: usize, path: &[Sha256Hash]| {
                    root(leaves[leaf], index as u64, size as u64, path) == Some(top)
                };
                assert!(at(index, index, path), "{index} of {size}");
                for other in (0..size).filter(|other| *other != index) {
                    assert!(!at(other, index, path) && !at(index, other, path), "{index} of {size}");
                }
                let longer = [&path[..], &[Sha256Hash::new(top)]].concat();
                assert!(!at(index, index, &longer));
                if let Some((_, shorter)) = path.split_last() {
                    assert!(!at(index, index, shorter));
                }
            }
            assert_eq!(root(leaves[0], size as u64, size as u64, &paths[0]), None);
        }
        assert_eq!(root(leaves[0], 0, 0, &[]), None);
        let endless = vec![Sha256Hash::new(leaves[0]); PATH_LIMIT + 1];
        assert_eq!(root(leaves[0], u64::MAX - 1, u64::MAX, &endless), None);
        assert!(
            root(leaves[0], 0, u64::MAX, &endless[1..]).is_some(),
            "the largest tree has this many levels"
        );
    }
}
