//! One act of signing, with every party to it exchangeable.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

use super::certificates::{CertificateAuthority, pem};
use super::identity::Identity;
use super::key::Key;
use super::rekor::{Entry, TransparencyLog};
use super::sct::CertificateLog;
use super::{Authority, START, SignedLayer, annotations};

/// What it takes to sign. An attack exchanges some of it before it is performed.
pub(super) struct Signing<'a> {
    /// What is signed.
    pub(super) payload: Bytes,
    certificates: &'a CertificateAuthority,
    certificate: Vec<u8>,
    key: Key,
    moment: Moment,
    log: &'a TransparencyLog,
}

/// When something is signed, in seconds since 1970.
#[derive(Clone, Copy)]
struct Moment {
    issued: u64,
    logged: u64,
}

impl<'a> Signing<'a> {
    /// The n-th signing of an authority, in which every party plays by the rules.
    pub(super) fn new(authority: &'a Authority, number: u64, payload: Bytes, identity: &Identity) -> Self {
        Self {
            payload,
            certificates: &authority.certificates,
            certificate: Vec::new(),
            key: Key::seeded(&format!("{}/leaf/{number}", authority.seed)),
            moment: Moment::of(number),
            log: &authority.log,
        }
        .certified(&authority.certificates, Some(&authority.certificate_log), identity)
    }

    /// The same under a certificate by this authority, with the timestamp of this log.
    pub(super) fn certified(
        self,
        certificates: &'a CertificateAuthority,
        log: Option<&CertificateLog>,
        identity: &Identity,
    ) -> Self {
        Self {
            certificates,
            certificate: certificates.issue(&self.key, identity, self.moment.issued, log),
            ..self
        }
    }

    /// The same over other content.
    pub(super) fn over(self, payload: Bytes) -> Self {
        Self { payload, ..self }
    }

    /// The same with the key of another signing, under the same certificate.
    pub(super) fn by_key_of(self, other: Self) -> Self {
        Self { key: other.key, ..self }
    }

    /// The same, recorded so many seconds after the certificate began.
    pub(super) fn logged_after(mut self, seconds: u64) -> Self {
        self.moment.logged = self.moment.issued + seconds;
        self
    }

    /// The same, recorded by another log.
    pub(super) fn recorded_by(self, log: &'a TransparencyLog) -> Self {
        Self { log, ..self }
    }

    /// Signs, and has the log record it. The signature is in DER.
    pub(super) fn record(&self) -> (Vec<u8>, Entry) {
        let signature = self.key.sign(&self.payload);
        let certificate = pem([self.certificate()]);
        let entry = self.log.record(&self.payload, &signature, &certificate, self.moment.logged);
        (signature, entry)
    }

    /// Signs, records and writes down.
    pub(super) fn perform(self) -> SignedLayer {
        let (signature, entry) = self.record();
        self.written(&signature, &entry)
    }

    /// The same, but with a later time in the entry than the log promised.
    pub(super) fn perform_postdated(self) -> SignedLayer {
        let (signature, entry) = self.record();
        self.written(&signature, &entry.postdated())
    }

    /// The certificate that goes with the signature, in DER.
    pub(super) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The log that records it.
    pub(super) fn log(&self) -> &'a TransparencyLog {
        self.log
    }

    /// Writes a signature down as cosign attaches it.
    fn written(self, signature: &[u8], entry: &Entry) -> SignedLayer {
        let annotations = [
            (annotations::SIGNATURE, BASE64.encode(signature)),
            (annotations::BUNDLE, entry.annotation()),
            (annotations::CERTIFICATE, pem([self.certificate()])),
            (annotations::CHAIN, pem(self.certificates.chain())),
        ];
        SignedLayer {
            payload: self.payload,
            annotations: BTreeMap::from(annotations.map(|(name, text)| (name.to_owned(), text))),
        }
    }
}

impl Moment {
    /// One signing each second, from a minute after the start, and recorded five seconds later.
    fn of(number: u64) -> Self {
        let issued = START + 60 + number;
        Self { issued, logged: issued + 5 }
    }
}
