//! What may leave by the pull door, and on what ground.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use oci::{Digest, Manifest, TagOrDigest};
use policies::{Allowed, NoMatch, Request, Verdict};
use upstream::FetchError;

use super::refusal::Refusal;
use crate::content::{Content, ContentError, Known, scope};
use crate::place::Place;
use crate::undecided::Undecided;
use crate::verdicts::{Ruling, Source, Verdicts};

/// The proof that some content may be sent: only the gate makes one, and whatever sends content takes one by value.
#[derive(Debug)]
pub(crate) struct Permit {
    ground: Ground,
    source: Source,
    /// What was said of the image that policies were asked about, if they were.
    ruling: Option<Ruling>,
    /// The manifests by which a blob is let out, from the one that is allowed to the one that names it.
    by: Vec<Digest>,
}

/// Why content may be sent.
#[derive(Clone, Debug)]
pub(crate) enum Ground {
    /// Policies allow this image, or the one that a blob belongs to.
    Judged(Allowed),
    /// Policies allow the index that lists it.
    Descent(Allowed),
    /// It is made of signatures alone.
    Artefact,
    /// It is a list of referrers, asked for as such. It opens nothing that it lists.
    ReferrersList,
}

impl Permit {
    /// Why.
    pub(crate) fn ground(&self) -> &Ground {
        &self.ground
    }

    /// How far back the pipeline had to go.
    pub(crate) fn source(&self) -> Source {
        self.source
    }

    /// What was said of the image that policies were asked about, if they were.
    pub(super) fn ruling(&self) -> Option<&Ruling> {
        self.ruling.as_ref()
    }

    /// The manifests by which a blob is let out, each by the digest that it is judged by.
    pub(super) fn by(&self) -> &[Digest] {
        &self.by
    }

    fn of(ground: Ground) -> Self {
        Self { ground, source: Source::Memory, ruling: None, by: Vec::new() }
    }
}

/// How hard to look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Effort {
    /// Among remembered verdicts alone.
    Memory,
    /// With everything that it takes, on what is at hand.
    Full,
    /// The same, on what other replicas know of too, which the upstream has to give.
    Fleet,
}

/// How many manifests that name a child are judged for it. All of them are looked up among remembered verdicts, where
/// that is which a client has just pulled.
const JUDGED: usize = 16;

/// How deep an index may lie in another.
const DEPTH: usize = 2;

/// Decides what may leave. A clone is the same gate.
#[derive(Clone)]
pub(crate) struct Gate {
    content: Arc<Content>,
    verdicts: Arc<Verdicts>,
    no_match: NoMatch,
}

impl Gate {
    /// A gate over this pipeline.
    pub(crate) fn new(content: Arc<Content>, verdicts: Arc<Verdicts>, no_match: NoMatch) -> Self {
        Self { content, verdicts, no_match }
    }

    /// What the door does with images that no policy matches.
    pub(crate) fn no_match(&self) -> NoMatch {
        self.no_match
    }

    /// What it decides by.
    pub(super) fn verdicts(&self) -> &Verdicts {
        &self.verdicts
    }

    /// Whether a manifest may be sent that was asked for so.
    pub(crate) async fn manifest(
        &self,
        place: &Place,
        asked: &TagOrDigest,
        known: &Known,
    ) -> Result<Permit, Refusal> {
        if known.artefact {
            return Ok(Permit::of(Ground::Artefact));
        }
        if let (TagOrDigest::Tag(tag), Manifest::Index(_)) = (asked, &known.manifest)
            && tag.is_referrers_fallback()
        {
            return Ok(Permit::of(Ground::ReferrersList));
        }
        let remembered =
            self.verdicts.remembered(&place.name, known.judged, self.no_match, &Request::Pull).await;
        match remembered.as_ref().and_then(permit) {
            Some(permit) => Ok(permit),
            // On the heap: it is large, and a warm pull has no use for it.
            None => Box::pin(self.judged(place, known)).await,
        }
    }

    /// Whether a manifest may be sent of which no remembered verdict says so.
    async fn judged(&self, place: &Place, known: &Known) -> Result<Permit, Refusal> {
        for effort in [Effort::Memory, Effort::Full] {
            if let Some(permit) = self.descent(place, known, DEPTH, effort).await? {
                return Ok(permit);
            }
        }
        let ruling = self.verdicts.judge_at(place, known.judged, self.no_match, &Request::Pull).await?;
        if let Some(permit) = permit(&ruling) {
            return Ok(permit);
        }
        if self.content.has_fleet()
            && let Some(permit) = self.descent(place, known, DEPTH, Effort::Fleet).await?
        {
            return Ok(permit);
        }
        Err(Refusal::Denied(ruling))
    }

    /// Whether a blob may be sent, how large the manifest that opens it says that it is, and which that is.
    ///
    /// An image that opens it goes before an artefact that does, since the parts of an artefact are sent under conditions:
    /// somebody who can push must not be able to put those on the layers of others.
    pub(crate) async fn blob(&self, place: &Place, digest: Digest) -> Result<(Permit, u64, Digest), Refusal> {
        let (mut artefact, mut undecided) = (None, None);
        for effort in [Effort::Memory, Effort::Full, Effort::Fleet] {
            for parent in self.parents(place, digest, effort).await {
                match self.opens_child(place, parent, digest, effort).await {
                    Ok(Some((permit, size))) if matches!(permit.ground, Ground::Artefact) => {
                        artefact.get_or_insert((permit, size, parent));
                    }
                    Ok(Some((permit, size))) => return Ok((permit, size, parent)),
                    Ok(None) => {}
                    Err(error) => undecided = Some(error),
                }
            }
        }
        match (artefact, undecided) {
            (Some(permit), _) => Ok(permit),
            (None, Some(undecided)) => Err(Refusal::Undecided(undecided)),
            (None, None) => Err(Refusal::UnknownBlob),
        }
    }

    /// The manifests that are said to name this child. Others say so of what is theirs too: it is to be seen in the
    /// manifest itself.
    async fn parents(&self, place: &Place, child: Digest, effort: Effort) -> Vec<Digest> {
        let links = self.content.links();
        let (parents, looked_at) = match effort {
            Effort::Memory => (links.parents(&scope(place), &child).await, usize::MAX),
            Effort::Full => (links.parents(&scope(place), &child).await, JUDGED),
            Effort::Fleet if self.content.has_fleet() => {
                (links.parents_in_fleet(&scope(place), &child).await, JUDGED)
            }
            Effort::Fleet => (Vec::new(), 0),
        };
        parents.iter().take(looked_at).map(|link| link.parent).collect()
    }

    /// A manifest that something rests on.
    async fn known(
        &self,
        place: &Place,
        manifest: Digest,
        effort: Effort,
    ) -> Result<Option<Arc<Known>>, Undecided> {
        match effort {
            Effort::Memory | Effort::Full => Ok(self.content.manifest_at_hand(place, manifest).await),
            Effort::Fleet => match self.content.manifest(place, manifest).await {
                Ok(known) => Ok(Some(known)),
                Err(ContentError::Fetch(FetchError::NotFound)) => Ok(None),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// Whether a manifest opens this child, and how large it says that the child is.
    async fn opens_child(
        &self,
        place: &Place,
        manifest: Digest,
        child: Digest,
        effort: Effort,
    ) -> Result<Option<(Permit, u64)>, Undecided> {
        let Some(known) = self.known(place, manifest, effort).await? else {
            return Ok(None);
        };
        let Some(size) = size_in(&known, child) else {
            return Ok(None);
        };
        Ok(self.opens(place, manifest, DEPTH, effort).await?.map(|permit| (permit, size)))
    }

    /// Whether a manifest opens what it names.
    fn opens<'a>(
        &'a self,
        place: &'a Place,
        manifest: Digest,
        depth: usize,
        effort: Effort,
    ) -> BoxFuture<'a, Result<Option<Permit>, Undecided>> {
        async move {
            let Some(known) = self.known(place, manifest, effort).await? else {
                return Ok(None);
            };
            if known.artefact {
                return Ok(Some(Permit::of(Ground::Artefact)));
            }
            if let Some(permit) = self.descent(place, &known, depth, effort).await? {
                return Ok(Some(by_way_of(&known, permit)));
            }
            let ruling = match effort {
                Effort::Memory => {
                    self.verdicts.remembered(&place.name, known.judged, self.no_match, &Request::Pull).await
                }
                Effort::Full | Effort::Fleet => {
                    Some(self.verdicts.judge_at(place, known.judged, self.no_match, &Request::Pull).await?)
                }
            };
            Ok(ruling.as_ref().and_then(permit).map(|permit| by_way_of(&known, permit)))
        }
        .boxed()
    }

    /// Whether an index that lists this manifest is allowed. A policy that matches the manifest and not its index is
    /// not satisfied by what the index has, and what is revoked itself is let out by nothing.
    async fn descent(
        &self,
        place: &Place,
        known: &Known,
        depth: usize,
        effort: Effort,
    ) -> Result<Option<Permit>, Undecided> {
        let Some(depth) = depth.checked_sub(1) else {
            return Ok(None);
        };
        if self.verdicts.rules().policies.revokes(&known.judged) {
            return Ok(None);
        }
        let child = known.content.digest();
        for parent in self.parents(place, child, effort).await {
            let Some(index) = self.known(place, parent, effort).await? else {
                continue;
            };
            let lists = matches!(index.manifest, Manifest::Index(_)) && size_in(&index, child).is_some();
            if !lists || !self.covers(place, &index, known) {
                continue;
            }
            if let Some(Permit {
                ground: Ground::Judged(allowed) | Ground::Descent(allowed),
                source,
                ruling,
                by,
            }) = self.opens(place, parent, depth, effort).await?
            {
                return Ok(Some(Permit { ground: Ground::Descent(allowed), source, ruling, by }));
            }
        }
        Ok(None)
    }

    /// Whether every policy that matches the child matches its index too.
    fn covers(&self, place: &Place, index: &Known, child: &Known) -> bool {
        let rules = self.verdicts.rules();
        if rules.in_force().is_err() {
            // No policy matches either then, which says nothing.
            return false;
        }
        let of_index =
            rules.policies.matching(&place.name, &TagOrDigest::Digest(index.judged), &Request::Pull);
        let of_index: HashSet<&str> = of_index.names().collect();
        let of_child =
            rules.policies.matching(&place.name, &TagOrDigest::Digest(child.judged), &Request::Pull);
        of_child.names().all(|policy| of_index.contains(policy))
    }
}

/// How large a manifest says that something is that it names.
fn size_in(known: &Known, child: Digest) -> Option<u64> {
    known.manifest.children().find(|named| named.digest == child).map(|named| named.size)
}

/// The same permit, for what this manifest names.
fn by_way_of(known: &Known, mut permit: Permit) -> Permit {
    permit.by.push(known.judged);
    permit
}

fn permit(ruling: &Ruling) -> Option<Permit> {
    match &*ruling.verdict {
        Verdict::Allow(allowed) => {
            let permit = Permit::of(Ground::Judged(allowed.clone()));
            Some(Permit { source: ruling.source, ruling: Some(ruling.clone()), ..permit })
        }
        Verdict::Deny(_) => None,
    }
}
