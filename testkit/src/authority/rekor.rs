//! A transparency log as Rekor v1 is one: entries, promises, inclusion proofs and checkpoints.

use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use oci::Digest;
use serde_json::{Value, json};

use super::key::Key;
use super::merkle::{self, Hash};

/// The name that checkpoints are signed under. It must hold no space.
const NAME: &str = "rekor.testkit.example";
/// What a checkpoint says first: the name and the number of the tree.
const ORIGIN: &str = "rekor.testkit.example - 4242";
/// How many entries earlier trees of the log hold, so that an entry's two numbers differ.
const EARLIER_ENTRIES: u64 = 1_000_000;
/// How many entries of others the tree begins with, so that a proof has some length.
const ENTRIES_OF_OTHERS: u8 = 37;

/// A log that signs what it is given.
#[derive(Debug)]
pub(super) struct TransparencyLog {
    key: Key,
    id: [u8; 32],
    leaves: Mutex<Vec<Hash>>,
}

/// One entry, and the log's promise to keep it.
pub(super) struct Entry {
    body: Vec<u8>,
    tree_index: usize,
    integrated_time: u64,
    log_id: [u8; 32],
    promise: Vec<u8>,
}

impl TransparencyLog {
    pub(super) fn new(key: Key) -> Self {
        let entries_of_others = (0..ENTRIES_OF_OTHERS).map(|number| merkle::leaf(&[number]));
        Self { id: key.log_id(), key, leaves: Mutex::new(entries_of_others.collect()) }
    }

    /// A log that goes by the identifier of another, but does not have its key.
    pub(super) fn impersonating(other: &Self, key: Key) -> Self {
        Self { id: other.id, ..Self::new(key) }
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// Logs a `hashedrekord` of version 0.0.1: that a certificate signed something with this hash.
    pub(super) fn record(&self, artifact: &[u8], signature: &[u8], certificate: &str, time: u64) -> Entry {
        let body = hashed_record(artifact, signature, certificate);
        let tree_index = {
            let mut leaves = self.leaves();
            leaves.push(merkle::leaf(&body));
            leaves.len() - 1
        };
        let mut entry =
            Entry { body, tree_index, integrated_time: time, log_id: self.id, promise: Vec::new() };
        entry.promise = self.key.sign(entry.signed_part().as_bytes());
        entry
    }

    /// The entry as bundles carry it: a `TransparencyLogEntry` with promise, proof and checkpoint.
    ///
    /// The proof is against the tree as it is now. It hashes the whole tree, and so is made only on demand.
    pub(super) fn prove(&self, entry: &Entry) -> Value {
        let leaves = self.leaves();
        let root = merkle::root(&leaves);
        let path = merkle::path(entry.tree_index, &leaves).unwrap_or_default();
        json!({
            "canonicalizedBody": BASE64.encode(&entry.body),
            "inclusionPromise": {"signedEntryTimestamp": BASE64.encode(&entry.promise)},
            "inclusionProof": {
                "checkpoint": {"envelope": self.checkpoint(leaves.len(), &root)},
                "hashes": path.iter().map(|hash| BASE64.encode(hash)).collect::<Vec<_>>(),
                "logIndex": entry.tree_index.to_string(),
                "rootHash": BASE64.encode(root),
                "treeSize": leaves.len().to_string(),
            },
            "integratedTime": entry.integrated_time.to_string(),
            "kindVersion": {"kind": "hashedrekord", "version": "0.0.1"},
            "logId": {"keyId": BASE64.encode(entry.log_id)},
            "logIndex": entry.log_index().to_string(),
        })
    }

    /// A [signed note](https://github.com/C2SP/C2SP/blob/main/signed-note.md): the signature follows the first four
    /// bytes of the key's identifier.
    fn checkpoint(&self, size: usize, root: &Hash) -> String {
        let note = format!("{ORIGIN}\n{size}\n{}\n", BASE64.encode(root));
        let signature = [&self.id[..4], &self.key.sign(note.as_bytes())].concat();
        format!("{note}\n\u{2014} {NAME} {}\n", BASE64.encode(signature))
    }

    /// A push cannot be half done, so what a panic leaves behind is a good tree.
    fn leaves(&self) -> MutexGuard<'_, Vec<Hash>> {
        self.leaves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// The entry and its promise as cosign annotates a layer: the text of `dev.sigstore.cosign/bundle`.
    pub(super) fn annotation(&self) -> String {
        let promise = BASE64.encode(&self.promise);
        format!(r#"{{"SignedEntryTimestamp":"{promise}","Payload":{}}}"#, self.signed_part())
    }

    /// The entry with a later time than the log promised.
    pub(super) fn postdated(self) -> Self {
        Self { integrated_time: self.integrated_time + 1, ..self }
    }

    /// What the promise is signed over: canonical JSON (RFC 8785), whose keys are in this order.
    fn signed_part(&self) -> String {
        format!(
            r#"{{"body":"{}","integratedTime":{},"logID":"{}","logIndex":{}}}"#,
            BASE64.encode(&self.body),
            self.integrated_time,
            hex::encode(self.log_id),
            self.log_index(),
        )
    }

    fn log_index(&self) -> u64 {
        EARLIER_ENTRIES + self.tree_index as u64
    }
}

/// The canonical body of the entry: keys sorted, no space.
fn hashed_record(artifact: &[u8], signature: &[u8], certificate: &str) -> Vec<u8> {
    json!({
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": Digest::of(artifact).hex()}},
            "signature": {
                "content": BASE64.encode(signature),
                "publicKey": {"content": BASE64.encode(certificate)},
            },
        },
    })
    .to_string()
    .into_bytes()
}
