//! A log of our own, in memory alone: how entries that were verified here are told to the library.
//!
//! The library verifies chains, certificate timestamps and signatures, but gives no way to say "at this time,
//! which was verified already". It does believe a log's promise. So this promises: with a key that is made
//! anew in every process, never leaves it, and is known to no other verifier than those made here.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use oci::Digest;
use serde_json::json;
use sigstore_verify::crypto::{KeyPair, sha256};
use sigstore_verify::trust_root::{TransparencyLog, TrustedRoot};
use sigstore_verify::types::{
    CanonicalizedBody, InclusionPromise, KindVersion, LogId, LogIndex, LogKeyId, SignedTimestamp,
    TransparencyLogEntry,
};
use sigstore_verify::{Error, Verifier};

use crate::envelope::Envelope;

/// Makes it, once, and says why where it cannot be made.
static NOTARY: LazyLock<Result<Notary, String>> =
    LazyLock::new(|| Notary::make().map_err(|error| error.to_string()));

/// A log that promises what was verified here.
pub(crate) struct Notary {
    key: KeyPair,
    id: Vec<u8>,
    log: TransparencyLog,
}

impl Notary {
    /// The one of this process.
    ///
    /// # Errors
    /// What kept its key from being made.
    pub(crate) fn get() -> Result<&'static Self, String> {
        NOTARY.as_ref().map_err(Clone::clone)
    }

    fn make() -> Result<Self, Box<dyn std::error::Error>> {
        let key = KeyPair::generate_ecdsa_p256()?;
        let public = key.public_key_der()?;
        let id = sha256(public.as_bytes()).as_bytes().to_vec();
        let log = serde_json::from_value(json!({
            "baseUrl": "",
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": STANDARD.encode(public.as_bytes()),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            },
            "logId": {"keyId": STANDARD.encode(&id)},
        }))?;
        Ok(Self { key, id, log })
    }

    /// A verifier that believes this log, and no other. For the rest it believes whom the root names.
    pub(crate) fn verifier(&self, mut root: TrustedRoot) -> Result<Verifier, Error> {
        root.tlogs = vec![self.log.clone()];
        Verifier::new(&root)
    }

    /// An entry of an envelope. Whoever asks for it knows that somebody trusted saw the envelope by this
    /// time, and the verifier, a certificate or a key in PEM, along with it or in it.
    ///
    /// It says no more than was verified. `index` is any that helps a person; it proves nothing.
    ///
    /// # Errors
    /// What kept it from being signed.
    pub(crate) fn entry(
        &self,
        envelope: &Envelope,
        verifier: &[u8],
        index: LogIndex,
        time: Timestamp,
    ) -> Result<TransparencyLogEntry, Error> {
        let body = body(envelope, verifier);
        let promise = self.key.sign(promised(&body, time, &self.id, index).as_bytes())?;
        let log = LogId::new(LogKeyId::new(self.id.clone()));
        Ok(TransparencyLogEntry::new(index, log, KindVersion::DsseV001, CanonicalizedBody::new(body))
            .with_integrated_time(time)
            .with_inclusion_promise(InclusionPromise::new(SignedTimestamp::new(promise.as_bytes().to_vec()))))
    }
}

/// What a `dsse` entry in version 0.0.1 records of an envelope.
fn body(envelope: &Envelope, verifier: &[u8]) -> Vec<u8> {
    let payload = json!({"algorithm": "sha256", "value": Digest::of(&envelope.payload).hex()});
    let signature =
        json!({"signature": STANDARD.encode(&envelope.signature), "verifier": STANDARD.encode(verifier)});
    let body = json!({
        "apiVersion": "0.0.1",
        "kind": "dsse",
        // The library does not look at the hash of the envelope, for it does not know how that was spelled.
        "spec": {"envelopeHash": payload, "payloadHash": payload, "signatures": [signature]},
    });
    body.to_string().into_bytes()
}

/// What a log signs when it promises to record something: JSON with its names in order
/// ([RFC 8785](https://www.rfc-editor.org/rfc/rfc8785)), in which nothing needs an escape.
pub(crate) fn promised(body: &[u8], time: Timestamp, log: &[u8], index: LogIndex) -> String {
    format!(
        r#"{{"body":"{}","integratedTime":{},"logID":"{}","logIndex":{}}}"#,
        STANDARD.encode(body),
        time.as_second(),
        hex::encode(log),
        index.get(),
    )
}
