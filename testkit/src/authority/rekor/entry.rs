//! One entry of a log, and what the log says of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::TransparencyLog;
use crate::authority::merkle::{self, Hash};
use crate::authority::recipe::Record;

/// One entry, and the log's promise to keep it.
#[derive(Clone, Debug)]
pub(in crate::authority) struct Entry<'a> {
    log: &'a TransparencyLog,
    record: Record,
    body: Vec<u8>,
    tree_index: usize,
    index: u64,
    promise: Option<Promise>,
    proof: Proof<'a>,
}

/// That an entry was recorded at some time, in seconds since 1970, and will be kept.
#[derive(Clone, Debug)]
struct Promise {
    time: u64,
    signature: Vec<u8>,
}

/// The way from an entry to the root of a tree, and the root as the log signed it.
struct Path {
    size: usize,
    root: Hash,
    hashes: Vec<Hash>,
    checkpoint: String,
}

/// Whether the entry comes with the proof that it is in the tree.
#[derive(Clone, Copy, Debug)]
pub(in crate::authority) enum Proof<'a> {
    /// It does.
    Right,
    /// It does not.
    Missing,
    /// The path leads elsewhere.
    Edited,
    /// The root is signed by this log, which has no such tree.
    SignedBy(&'a TransparencyLog),
}

impl<'a> Entry<'a> {
    pub(super) fn new(
        log: &'a TransparencyLog,
        record: Record,
        body: Vec<u8>,
        tree_index: usize,
        index: u64,
    ) -> Self {
        Self { log, record, body, tree_index, index, promise: None, proof: Proof::Right }
    }

    /// The same with the log's promise that it was recorded at this time.
    pub(super) fn promised(self, time: u64) -> Self {
        let signature = self.log.key.sign(self.promised_part(time).as_bytes());
        Self { promise: Some(Promise { time, signature }), ..self }
    }

    /// The same with a later time than the log promised.
    pub(in crate::authority) fn postdated(mut self) -> Self {
        self.promise.iter_mut().for_each(|promise| promise.time += 1);
        self
    }

    /// The same with another proof.
    pub(in crate::authority) fn proven(self, proof: Proof<'a>) -> Self {
        Self { proof, ..self }
    }

    /// The entry and its promise as cosign annotates a layer: the text of `dev.sigstore.cosign/bundle`. None
    /// without a promise.
    pub(in crate::authority) fn annotation(&self) -> Option<String> {
        let Promise { time, signature } = self.promise.as_ref()?;
        let (promise, promised) = (BASE64.encode(signature), self.promised_part(*time));
        Some(format!(r#"{{"SignedEntryTimestamp":"{promise}","Payload":{promised}}}"#))
    }

    /// The entry as bundles carry it: a `TransparencyLogEntry` with promise, proof and checkpoint.
    pub(in crate::authority) fn written(&self) -> Value {
        let (kind, version) = self.record.kind().unwrap_or_default();
        let mut entry = json!({
            "canonicalizedBody": BASE64.encode(&self.body),
            "kindVersion": {"kind": kind, "version": version},
            "logId": {"keyId": BASE64.encode(self.log.id)},
            "logIndex": self.index.to_string(),
        });
        if let Some(Promise { time, signature }) = &self.promise {
            entry["integratedTime"] = time.to_string().into();
            entry["inclusionPromise"] = json!({"signedEntryTimestamp": BASE64.encode(signature)});
        }
        if let Some(proof) = self.proof() {
            entry["inclusionProof"] = proof;
        }
        entry
    }

    /// The entry as the API of the first generation has it: what the log keeps, and what it says of it.
    pub(in crate::authority) fn answered(&self) -> Value {
        let promise = self.promise.as_ref();
        let proof = self.path().map(|path| {
            json!({
                "checkpoint": path.checkpoint,
                "hashes": path.hashes.iter().map(hex::encode).collect::<Vec<_>>(),
                "logIndex": self.tree_index,
                "rootHash": hex::encode(path.root),
                "treeSize": path.size,
            })
        });
        json!({
            "body": BASE64.encode(&self.body),
            "integratedTime": promise.map(|promise| promise.time),
            "logID": hex::encode(self.log.id),
            "logIndex": self.index,
            "verification": {
                "inclusionProof": proof,
                "signedEntryTimestamp": promise.map(|promise| BASE64.encode(&promise.signature)),
            },
        })
    }

    /// The name of the entry in the API of the first generation: the hash of its leaf.
    pub(in crate::authority) fn name(&self) -> String {
        hex::encode(merkle::leaf(&self.body))
    }

    fn proof(&self) -> Option<Value> {
        let path = self.path()?;
        Some(json!({
            "checkpoint": {"envelope": path.checkpoint},
            "hashes": path.hashes.iter().map(|hash| BASE64.encode(hash)).collect::<Vec<_>>(),
            "logIndex": self.tree_index.to_string(),
            "rootHash": BASE64.encode(path.root),
            "treeSize": path.size.to_string(),
        }))
    }

    /// The proof is against the tree as it is now.
    fn path(&self) -> Option<Path> {
        let (size, root, mut hashes) = self.log.path(self.tree_index);
        let checkpoint = match self.proof {
            Proof::Missing => return None,
            Proof::SignedBy(other) => other.checkpoint(size, &root),
            Proof::Edited => {
                hashes.first_mut().into_iter().for_each(|hash| hash[0] ^= 1);
                self.log.checkpoint(size, &root)
            }
            Proof::Right => self.log.checkpoint(size, &root),
        };
        Some(Path { size, root, hashes, checkpoint })
    }

    /// What the promise is signed over: canonical JSON (RFC 8785), whose keys are in this order.
    fn promised_part(&self, time: u64) -> String {
        format!(
            r#"{{"body":"{}","integratedTime":{time},"logID":"{}","logIndex":{}}}"#,
            BASE64.encode(&self.body),
            hex::encode(self.log.id),
            self.index,
        )
    }
}
