//! What those ask of the authority who sign by themselves, with keys of their own and at a time of their own.

use serde_json::Value;

use super::certificates::{armoured, pem};
use super::key::PublicKey;
use super::{Authority, Identity, Record};

impl Authority {
    /// A certificate for somebody's key, valid from a time in seconds since 1970, and those above it, the root last:
    /// each in PEM.
    ///
    /// # Panics
    /// If the identity cannot be put into a certificate, see [`San`](super::San).
    pub(crate) fn certify(&self, key: &PublicKey, identity: &Identity, now: u64) -> Vec<String> {
        let leaf = self.certificates.issue(key, identity, now, &[&self.certificate_log]);
        let [intermediate, root] = self.certificates.chain();
        [&leaf, intermediate, root].map(|certificate| pem([certificate])).into()
    }

    /// Records a body in a log of the first generation. Returns the name of the entry, and the entry as the log's
    /// API has it.
    pub(crate) fn record(&self, record: Record, body: Vec<u8>, now: u64) -> (String, Value) {
        let entry = self.logs.first.append(record, body, now);
        (entry.name(), entry.answered())
    }

    /// Records a body in a log of the second generation, and returns the entry as bundles carry it.
    pub(crate) fn record_in_second(&self, record: Record, body: Vec<u8>, now: u64) -> Value {
        self.logs.second.append(record, body, now).written()
    }

    /// Answers a question of RFC 3161 in DER, if the timestamp authority can.
    pub(crate) fn stamp(&self, query: &[u8], now: u64) -> Option<Vec<u8>> {
        self.timestamps.answer(query, now)
    }
}

/// A document in PEM as logs keep it, whatever it looked like before.
pub(crate) fn canonical_pem(kind: &str, document: &[u8]) -> String {
    armoured(kind, [document])
}
