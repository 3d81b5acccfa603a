//! Seals: how what lies where others can write it is known to be our own.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use thiserror::Error;

use crate::KeyBytes;

/// The layout of what is sealed, and the meaning of what is in it. Another number is never opened.
pub(crate) const SCHEMA: u8 = 1;

/// How many secrets there may be: each is one more that somebody has to keep.
const SECRETS: usize = 8;

/// For how many domains keys are held. Those of more are derived each time.
const DOMAINS: usize = 1_000;

const KEY_ID: usize = 8;
const TIMES: usize = 16;
const HEAD: usize = 1 + KEY_ID + TIMES + NONCE_LEN;

/// How much longer a value is with its seal around it.
pub(crate) const OVERHEAD: usize = HEAD + 16;

const SALT: &[u8] = b"countersign cache seal";

/// The keys that seal, and open what was sealed.
///
/// AES-256-GCM with random nonces, under a key for each domain that HKDF-SHA256 derives from a secret which the store
/// never sees. A domain should see fewer than 2³² values before its secret is replaced (NIST SP 800-38D, 8.3): 50
/// days at a thousand a second.
pub struct Seals {
    keys: Vec<Key>,
    keyed: bool,
}

struct Key {
    id: [u8; KEY_ID],
    root: Prk,
    /// The keys that were derived: to derive one takes thrice as long as to use it.
    domains: RwLock<HashMap<Box<str>, Arc<RandomizedNonceKey>>>,
}

/// Why secrets make no seals.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum InvalidSecrets {
    /// There is none, and nothing could be sealed.
    #[error("no secret to seal with")]
    None,
    /// There are more than anybody rotates through.
    #[error("more than {SECRETS} secrets")]
    TooMany,
    /// A secret is no secret: all its bytes are the same.
    #[error("a secret whose bytes are all the same")]
    Guessable,
}

/// What a value is, and for whom. A value that is found under another label is not opened.
#[derive(Clone, Copy, Debug)]
pub struct Label<'a> {
    /// Whose it is: a tenant, or nobody's in particular.
    pub domain: &'a str,
    /// Which kind of thing it is.
    pub table: &'a str,
    /// Which build made it, where builds may differ in what they make of the same; empty where they may not.
    pub build: &'a str,
    /// What it is remembered under.
    pub key: &'a [u8],
}

/// What was sealed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Opened {
    /// The value.
    pub value: Vec<u8>,
    /// When it was sealed, in milliseconds since 1970 by the clock of whoever did.
    pub made: u64,
    /// When it is no longer believed, in the same way.
    pub expires: u64,
}

/// Why a value is not opened. All are a miss to whoever asked; the last means that somebody writes what we did not.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Broken {
    /// It has another layout, or none.
    #[error("not sealed in a way that this version knows")]
    Malformed,
    /// It was sealed with a secret that is not at hand.
    #[error("sealed with an unknown secret")]
    UnknownKey,
    /// It was ours and is no longer believed; a store that forgets in time has no such value.
    #[error("past its expiry")]
    Expired,
    /// It is not what was sealed, or not under this label.
    #[error("not sealed by us, or not for this")]
    Forged,
}

impl Seals {
    /// Seals of these secrets. The first seals and all open, so that a secret is replaced by putting a new one first
    /// and dropping the old one when nothing that it sealed is in use.
    ///
    /// # Errors
    /// As [`InvalidSecrets`] says.
    pub fn new(secrets: &[[u8; 32]]) -> Result<Self, InvalidSecrets> {
        if secrets.is_empty() {
            return Err(InvalidSecrets::None);
        }
        if secrets.len() > SECRETS {
            return Err(InvalidSecrets::TooMany);
        }
        if secrets.iter().any(|secret| secret.iter().all(|byte| *byte == secret[0])) {
            return Err(InvalidSecrets::Guessable);
        }
        Ok(Self { keys: secrets.iter().map(Key::of).collect(), keyed: true })
    }

    /// Seals that anybody can make. They find what is damaged or in the wrong place, and prove nothing.
    pub fn unkeyed() -> Self {
        Self { keys: vec![Key::of(&[0; 32])], keyed: false }
    }

    /// Whether they prove anything.
    pub fn are_keyed(&self) -> bool {
        self.keyed
    }

    /// Whether these are seals of the same secrets in the same order.
    pub(crate) fn are_those(&self, others: &Self) -> bool {
        self.keys.iter().map(|key| key.id).eq(others.keys.iter().map(|key| key.id))
    }

    /// Seals a value at this time until that, both in milliseconds since 1970. `None` only when the system has no
    /// randomness, or the value is larger than any that is sealed.
    pub fn seal(&self, label: Label<'_>, value: &[u8], expires: u64, now: u64) -> Option<Vec<u8>> {
        let key = self.keys.first()?;
        let times = times(now, expires);
        let mut sealed = value.to_vec();
        let associated = Aad::from(label.associated(&key.id, &times));
        let nonce = key.of_domain(label.domain)?.seal_in_place_append_tag(associated, &mut sealed).ok()?;
        Some([&[SCHEMA], key.id.as_slice(), &times, nonce.as_ref(), &sealed].concat())
    }

    /// Opens what was sealed under this label.
    ///
    /// # Errors
    /// As [`Broken`] says.
    pub fn open(&self, label: Label<'_>, sealed: &[u8], now: u64) -> Result<Opened, Broken> {
        let (head, sealed) = sealed.split_at_checked(HEAD).ok_or(Broken::Malformed)?;
        let (schema, head) = head.split_first().ok_or(Broken::Malformed)?;
        if *schema != SCHEMA {
            return Err(Broken::Malformed);
        }
        let (id, head) = head.split_at(KEY_ID);
        let (times, nonce) = head.split_at(TIMES);
        let key = self.keys.iter().find(|key| key.id == id).ok_or(Broken::UnknownKey)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Broken::Malformed)?;
        let mut value = sealed.to_vec();
        let associated = Aad::from(label.associated(id, times));
        let opener = key.of_domain(label.domain).ok_or(Broken::Forged)?;
        let length = opener.open_in_place(nonce, associated, &mut value).map_err(|_| Broken::Forged)?.len();
        value.truncate(length);
        let (made, expires) = times.split_at(TIMES / 2);
        let opened = Opened { value, made: number(made), expires: number(expires) };
        // Only now: a time that is not sealed says nothing.
        if now < opened.expires { Ok(opened) } else { Err(Broken::Expired) }
    }
}

impl Key {
    fn of(secret: &[u8; 32]) -> Self {
        let root = Salt::new(HKDF_SHA256, SALT).extract(secret);
        let mut id = [0; KEY_ID];
        id.copy_from_slice(&expand(&root, b"id", b"")[..KEY_ID]);
        Self { id, root, domains: RwLock::default() }
    }

    fn of_domain(&self, domain: &str) -> Option<Arc<RandomizedNonceKey>> {
        let known = self.domains.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = known.get(domain) {
            return Some(key.clone());
        }
        drop(known);
        let key = expand(&self.root, b"domain", domain.as_bytes());
        let key = Arc::new(RandomizedNonceKey::new(&AES_256_GCM, &key).ok()?);
        let mut known = self.domains.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < DOMAINS {
            known.insert(domain.into(), key.clone());
        }
        Some(key)
    }
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

/// 32 bytes for one purpose, and within it for one name.
#[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8160 bytes")]
fn expand(root: &Prk, purpose: &[u8], name: &[u8]) -> [u8; 32] {
    let mut of = KeyBytes::default();
    of.field(purpose);
    of.field(&[SCHEMA]);
    of.field(name);
    let mut key = [0; 32];
    let of = [of.as_slice()];
    let filled = root.expand(&of, Length).and_then(|bytes| bytes.fill(&mut key));
    filled.expect("32 bytes can be derived");
    key
}

impl Label<'_> {
    /// Where in the store a value under this label is: no two labels have the same bytes.
    pub(crate) fn place(&self) -> KeyBytes {
        let mut place = KeyBytes::default();
        place.field(&[SCHEMA]);
        for field in [self.domain.as_bytes(), self.table.as_bytes(), self.build.as_bytes(), self.key] {
            place.field(field);
        }
        place
    }

    fn associated(&self, key_id: &[u8], times: &[u8]) -> Vec<u8> {
        let mut associated = self.place();
        associated.field(key_id);
        associated.field(times);
        associated.into_vec()
    }
}

fn times(made: u64, expires: u64) -> [u8; TIMES] {
    let mut times = [0; TIMES];
    times[..8].copy_from_slice(&made.to_be_bytes());
    times[8..].copy_from_slice(&expires.to_be_bytes());
    times
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// How many secrets there are, and nothing of what they are.
impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seals").field("secrets", &self.keys.len()).field("keyed", &self.keyed).finish()
    }
}

#[cfg(test)]
mod tests;
