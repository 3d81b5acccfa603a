//! A signature with all that was made along with it, which can be written down in several ways.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::{Value, json};

use super::annotations::{BUNDLE, CERTIFICATE, CHAIN, PREDICATE_TYPE, SIGNATURE, TIMESTAMP};
use super::certificates::pem;
use super::managed_key::ManagedKey;
use super::recipe::Content;
use super::rekor::Entry;

/// A signature, and what goes with it: [`layer`](Self::layer) writes it down as cosign attaches it up to version
/// 2, [`bundle`](Self::bundle) as a Sigstore bundle.
#[derive(Clone, Debug)]
pub struct Minted<'a> {
    pub(super) content: Content,
    pub(super) signature: Vec<u8>,
    pub(super) credential: Credential,
    pub(super) entry: Option<Entry<'a>>,
    pub(super) stamps: Option<Stamps>,
}

/// What tells whose signature it is.
#[derive(Clone, Debug)]
pub(super) enum Credential {
    /// A certificate, and those above it, the root last.
    Certificate { leaf: Vec<u8>, chain: [Vec<u8>; 2] },
    /// Nothing but a hint at the key.
    Key(ManagedKey),
}

/// What the timestamp authority answered.
#[derive(Clone, Debug)]
pub(super) struct Stamps {
    pub(super) of_signature: Vec<u8>,
    /// What goes with a layer: of the signature, but cosign has the whole envelope stamped where there is one.
    pub(super) of_layer: Vec<u8>,
}

/// One signature as cosign attaches it: a layer of the `.sig` or the `.att` manifest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedLayer {
    /// The layer's content: the simple-signing document that was signed, or the envelope with statement and
    /// signature.
    pub payload: Bytes,
    /// The signature, the certificate with its chain, and the log's promise: the layer's annotations.
    pub annotations: BTreeMap<String, String>,
}

impl<'a> Minted<'a> {
    /// The same with something done to its entry.
    pub(super) fn map_entry(self, change: impl FnOnce(Entry<'a>) -> Entry<'a>) -> Self {
        Self { entry: self.entry.map(change), ..self }
    }

    /// The signature as cosign attaches it under a tag.
    ///
    /// An entry of a log of the second generation has no place in it and is left out.
    pub fn layer(&self) -> SignedLayer {
        let (payload, signature) = match &self.content {
            Content::Message(message) => (message.clone(), BASE64.encode(&self.signature)),
            // It is in the envelope, and cosign leaves the annotation empty.
            Content::Envelope(envelope) => (envelope.closed(&self.signature), String::new()),
        };
        let mut annotations = BTreeMap::from([(SIGNATURE, signature)]);
        annotations.extend(self.predicate_type().map(|kind| (PREDICATE_TYPE, kind)));
        annotations.extend(self.entry.as_ref().and_then(Entry::annotation).map(|text| (BUNDLE, text)));
        if let Credential::Certificate { leaf, chain } = &self.credential {
            annotations.insert(CERTIFICATE, pem([&leaf[..]]));
            annotations.insert(CHAIN, pem(chain.iter().map(Vec::as_slice)));
        }
        if let Some(stamps) = &self.stamps {
            let answer = json!({"SignedRFC3161Timestamp": BASE64.encode(&stamps.of_layer)});
            annotations.insert(TIMESTAMP, answer.to_string());
        }
        let annotations = annotations.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
        SignedLayer { payload, annotations }
    }

    /// The predicate type of the statement that was signed, if it is one.
    fn predicate_type(&self) -> Option<String> {
        let Content::Envelope(envelope) = &self.content else {
            return None;
        };
        let statement: Value = serde_json::from_slice(&envelope.payload).ok()?;
        Some(statement.get("predicateType")?.as_str()?.to_owned())
    }
}
