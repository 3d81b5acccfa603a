//! Where the signatures of an image are looked for, as a plan that somebody else performs.
//!
//! Three places, and all that is found counts (union): the tags of cosign's scheme, the [referrers
//! API](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers), and the tag
//! that stands in for it. What a list says of the kind of its entries is not believed, since registries get
//! it wrong: every manifest in it is fetched, and its own layers say what it is.
//!
//! [`Plan::start`] gives the first questions. Whatever is found is told to the plan, which answers with
//! further questions until there are none; then [`Plan::finish`] gives the material. A registry's own 404 is
//! simply not told, and what is not what it was said to be is [told as such](Plan::found_unusable); any other
//! failure means that it is not known whether the image is signed. All questions that are open at a time are
//! to be asked at once, which makes for these round trips, one after another:
//!
//! 1. the tags and the first page of referrers,
//! 2. the payloads under the tags, the listed manifests, and the second page, if there is one,
//! 3. the payloads of these manifests, the manifests of the second page,
//! 4. and their payloads.
//!
//! So there are four at most where the list of referrers has no more than two pages, and three where it has
//! one.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use oci::{Attachment, Descriptor, Digest, MANIFEST_LIMIT, Manifest, Tag, Verified};

use crate::material::SIGNATURES_LIMIT;
use crate::{Candidate, CandidateKind, Candidates, InvalidMaterial, Material};

/// The most pages of referrers that are read.
pub const PAGES_LIMIT: usize = 10;

/// The most manifests that are fetched because a list has them. Bills of materials and scans are among them.
pub const MANIFESTS_LIMIT: usize = 128;

/// The most bytes that all payloads of one image may have, by what manifests say of them.
pub const TOTAL_LIMIT: u64 = 64 * 1024 * 1024;

/// Which of the places are looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Places {
    /// All of them.
    Every,
    /// The tags of cosign's scheme.
    Tags,
}

/// Something to ask the registry for, in the repository that the image is in, or that its signatures are in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ask {
    /// The manifest under a tag, for [`Plan::found_under_tag`].
    Tag(Tag),
    /// The first page of what refers to the image, for [`Plan::found_page`].
    Referrers,
    /// The page after the one that was found last, for [`Plan::found_page`].
    NextPage,
    /// A manifest that a list has, for [`Plan::found_manifest`]: at most 4 MiB.
    Manifest(Digest),
    /// The payload of a signature, for [`Plan::found_payload`]: [`Candidate::size`] says how large it is.
    Payload(Candidate),
}

/// Whether a page of referrers is the last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Page {
    /// The registry names no other.
    Last,
    /// It names another.
    More,
}

/// What was found of an image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// All the material, each piece once, in order of its digest.
    pub materials: Vec<Material>,
    /// The first limit that kept more from being looked at.
    ///
    /// Where no material is enough, this is why it is unknown whether the image is signed. It takes nothing
    /// from material that is.
    pub beyond: Option<InvalidMaterial>,
}

/// The search for one image's signatures: what was asked for and found so far.
#[derive(Debug)]
pub struct Plan {
    digest: Digest,
    pages: usize,
    manifests: BTreeSet<Digest>,
    payloads: HashSet<(CandidateKind, Digest, u64)>,
    signatures: usize,
    bytes: u64,
    materials: BTreeMap<Digest, Material>,
    beyond: Option<InvalidMaterial>,
}

impl Plan {
    /// A plan for an image, and what to ask for at first.
    ///
    /// A `sha512` digest is too long for a tag, so only the referrers API is asked about it.
    pub fn start(digest: Digest) -> (Self, Vec<Ask>) {
        Self::start_at(digest, Places::Every, "")
    }

    /// A plan for an image whose signatures are kept otherwise than is usual, and what to ask for at first.
    ///
    /// The prefix is that of cosign's tags alone. With one that makes no [tag](Attachment::tag), none of those is
    /// asked for.
    pub fn start_at(digest: Digest, places: Places, tag_prefix: &str) -> (Self, Vec<Ask>) {
        let plan = Self {
            digest,
            pages: 0,
            manifests: BTreeSet::new(),
            payloads: HashSet::new(),
            signatures: 0,
            bytes: 0,
            materials: BTreeMap::new(),
            beyond: None,
        };
        let attached =
            [Attachment::Signatures, Attachment::Attestations].map(|kind| kind.tag(&digest, tag_prefix));
        let mut asks: Vec<_> = attached.into_iter().flatten().map(Ask::Tag).collect();
        match places {
            Places::Every => {
                asks.extend(Tag::referrers_fallback(&digest).map(Ask::Tag));
                asks.push(Ask::Referrers);
            }
            Places::Tags => {}
        }
        (plan, asks)
    }

    /// What to ask for further, now that this is found under a tag: an index lists referrers, and anything
    /// else may hold signatures itself.
    ///
    /// An index under cosign's own tags is no list: nobody writes one there.
    pub fn found_under_tag(&mut self, tag: &Tag, manifest: &Manifest) -> Vec<Ask> {
        match manifest {
            Manifest::Image(_) => self.payloads_of(manifest),
            Manifest::Index(index) if tag.is_referrers_fallback() => self.listed(&index.manifests),
            Manifest::Index(_) => Vec::new(),
        }
    }

    /// What to ask for further, now that this page of referrers is found.
    pub fn found_page(&mut self, list: &Manifest, page: Page) -> Vec<Ask> {
        self.pages += 1;
        let mut asks = match list {
            Manifest::Index(index) => self.listed(&index.manifests),
            Manifest::Image(_) => Vec::new(),
        };
        match page {
            Page::More if self.pages < PAGES_LIMIT => asks.push(Ask::NextPage),
            Page::More => self.limit(InvalidMaterial::TooManyPages),
            Page::Last => {}
        }
        asks
    }

    /// What to ask for further, now that this manifest, which a list has, is found.
    ///
    /// One that says that it belongs to another image is left out: a list that has it is wrong.
    pub fn found_manifest(&mut self, manifest: &Manifest) -> Vec<Ask> {
        match manifest {
            Manifest::Image(image) if image.subject.as_ref().is_none_or(|of| of.digest == self.digest) => {
                self.payloads_of(manifest)
            }
            Manifest::Image(_) | Manifest::Index(_) => Vec::new(),
        }
    }

    /// Takes the payload of a signature. There is nothing further to ask for.
    pub fn found_payload(&mut self, candidate: Candidate, payload: Verified) {
        match candidate.material(payload) {
            Ok(material) => {
                self.materials.insert(material.digest(), material);
            }
            Err(limit) => self.limit(limit),
        }
    }

    /// Takes note that something that was asked for is there, but is not what it was said to be: it has
    /// another digest or size, or is no manifest.
    ///
    /// Whoever may push to a repository can put such things there, so it takes nothing from what is sound.
    pub fn found_unusable(&mut self) {
        self.limit(InvalidMaterial::Unusable);
    }

    /// What was found, once nothing is left to ask for.
    pub fn finish(self) -> Found {
        Found { materials: self.materials.into_values().collect(), beyond: self.beyond }
    }

    fn listed(&mut self, entries: &[Descriptor]) -> Vec<Ask> {
        let mut asks = Vec::new();
        for entry in entries.iter().filter(|entry| entry.media_type.is_image()) {
            if self.manifests.contains(&entry.digest) {
                continue;
            }
            if entry.size > MANIFEST_LIMIT as u64 {
                self.limit(InvalidMaterial::PayloadTooLarge { limit: MANIFEST_LIMIT });
            } else if self.manifests.len() >= MANIFESTS_LIMIT {
                self.limit(InvalidMaterial::TooManyManifests);
            } else {
                self.manifests.insert(entry.digest);
                asks.push(Ask::Manifest(entry.digest));
            }
        }
        asks
    }

    fn payloads_of(&mut self, manifest: &Manifest) -> Vec<Ask> {
        let Candidates { list, beyond } = Candidates::of(manifest);
        if let Some(limit) = beyond {
            self.limit(limit);
        }
        let mut asks = Vec::new();
        for candidate in list {
            // One bundle may be in several manifests, and then is asked for once, unless they disagree about
            // it. Of the tag scheme, two signatures may share a payload.
            let named = (candidate.kind, candidate.payload, candidate.size);
            if candidate.annotations.is_empty() && !self.payloads.insert(named) {
                continue;
            }
            if self.signatures >= SIGNATURES_LIMIT {
                self.limit(InvalidMaterial::TooManySignatures);
            } else if self.bytes + candidate.size > TOTAL_LIMIT {
                self.limit(InvalidMaterial::TooMuch);
            } else {
                self.signatures += 1;
                self.bytes += candidate.size;
                asks.push(Ask::Payload(candidate));
            }
        }
        asks
    }

    fn limit(&mut self, limit: InvalidMaterial) {
        self.beyond.get_or_insert(limit);
    }
}

#[cfg(test)]
mod tests;
