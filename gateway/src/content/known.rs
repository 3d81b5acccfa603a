//! What is known of a manifest that a repository has.

use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;
use oci::{ArtefactLimits, Digest, InvalidManifest, Manifest, MediaType, Verified};

use crate::clock::seconds_since_1970;
use crate::reply::{entity_tag, header_value};

/// A manifest that this repository is known to have.
#[derive(Debug)]
pub struct Known {
    /// Its bytes, under the digest they were asked for by.
    pub content: Verified,
    /// What they say.
    pub manifest: Manifest,
    /// The digest it is judged by: sha256, whatever it was asked for by.
    pub judged: Digest,
    /// Whether it is made of signatures alone.
    pub artefact: bool,
    /// What answers that carry it say of it.
    pub head: Head,
    /// When its links were last renewed, in seconds since 1970.
    linked_at: AtomicU64,
    /// When it was last seen that a pull of it is under way, the same.
    pulled_at: AtomicU64,
}

/// What every answer with a manifest says of it, ready to be sent.
#[derive(Clone, Debug)]
pub struct Head {
    /// Its media type.
    pub media_type: HeaderValue,
    /// Its digest.
    pub digest: HeaderValue,
    /// What tells it from other content, which is its digest too.
    pub entity_tag: HeaderValue,
}

/// How long links are believed to be there without looking, in seconds: less than they are kept for certain.
const LINKED_FOR: u64 = 60;

/// For how long it is not noted again that a manifest is pulled, in seconds.
const PULLED_FOR: u64 = 60;

/// What a manifest takes besides its bytes and what they say.
const EACH: usize = 2048;

impl Known {
    /// How many bytes it takes, more or less: what its bytes say takes as many again.
    pub(super) fn weight(&self) -> u32 {
        u32::try_from(2 * self.content.bytes().len() + EACH).unwrap_or(u32::MAX)
    }

    /// What these bytes say, which were sent as this media type.
    pub(super) fn read(content: Verified, sent_as: Option<&MediaType>) -> Result<Self, InvalidManifest> {
        let manifest = Manifest::parse(&content, sent_as)?;
        let judged = match content.digest().algorithm() {
            oci::Algorithm::Sha256 => content.digest(),
            oci::Algorithm::Sha512 => Digest::of(content.bytes()),
        };
        let artefact = manifest.is_signature_artefact(ArtefactLimits::default());
        let head = Head {
            media_type: header_value(manifest.media_type().as_str()),
            digest: header_value(&content.digest().to_string()),
            entity_tag: entity_tag(content.digest()),
        };
        Ok(Self {
            content,
            manifest,
            judged,
            artefact,
            head,
            linked_at: AtomicU64::new(0),
            pulled_at: AtomicU64::new(0),
        })
    }

    /// Whether its links are believed to be there now, in seconds since 1970.
    pub(super) fn is_linked(&self, now: u64) -> bool {
        now.saturating_sub(self.linked_at.load(Ordering::Relaxed)) < LINKED_FOR
    }

    /// Notes that its links were renewed, which began then.
    pub(super) fn linked(&self, began: u64) {
        self.linked_at.store(began, Ordering::Relaxed);
    }

    /// Notes that it is pulled. Says whether this was not noted lately.
    pub(super) fn pulled(&self) -> bool {
        let now = seconds_since_1970();
        now.saturating_sub(self.pulled_at.swap(now, Ordering::Relaxed)) >= PULLED_FOR
    }
}
