//! The search for an image's signatures: `verify` plans it, and here its questions are asked.

use std::collections::VecDeque;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use oci::{Digest, ImageIndex, Manifest, MediaType, Tag, TagOrDigest, Verified};
use upstream::{FetchError, Fetched, NextPage, Referrers};
use verify::Candidate;
use verify::discovery::{Ask, Found, Page, Places, Plan};

use crate::material::Spot;
use crate::place::Place;
use crate::undecided::Undecided;

/// How many questions about one image are under way at once.
const CONCURRENT: usize = 16;

/// What the registry has.
enum Told {
    Tag(Tag, Manifest),
    Referrers(Vec<oci::Descriptor>, Option<NextPage>),
    Manifest(Manifest),
    Payload(Candidate, Verified),
    /// What is there is not what it was said to be.
    Unusable,
    /// It has nothing there.
    Nothing,
}

/// Everything that could be a signature of this digest, from everywhere in its repository where one may be.
///
/// # Errors
/// Any answer of the registry that neither gives what was asked for nor says that it is not there.
pub(crate) async fn search(spot: &Spot) -> Result<Found, Undecided> {
    let (place, digest) = (&spot.place, spot.digest);
    let tag_prefix = spot.tag_prefix.as_deref().unwrap_or_default();
    let (mut plan, asks) = Plan::start_at(digest, Places::Every, tag_prefix);
    let mut waiting = VecDeque::from(asks);
    let mut under_way = FuturesUnordered::new();
    let mut next_page = None;
    loop {
        while under_way.len() < CONCURRENT
            && let Some(ask) = waiting.pop_front()
        {
            under_way.push(question(place, digest, ask, next_page.clone()));
        }
        let Some(told) = under_way.next().await else { return Ok(plan.finish()) };
        waiting.extend(match told? {
            Told::Tag(tag, manifest) => plan.found_under_tag(&tag, &manifest),
            Told::Manifest(manifest) => plan.found_manifest(&manifest),
            Told::Payload(candidate, payload) => {
                plan.found_payload(candidate, payload);
                Vec::new()
            }
            Told::Referrers(manifests, next) => {
                let page = if next.is_some() { Page::More } else { Page::Last };
                next_page = next;
                let media_type = MediaType::new(MediaType::OCI_INDEX);
                plan.found_page(&Manifest::Index(ImageIndex { media_type, manifests }), page)
            }
            Told::Unusable => {
                plan.found_unusable();
                Vec::new()
            }
            Told::Nothing => Vec::new(),
        });
    }
}

/// Asks one question. Only the registry's own "not found" is an answer of no.
async fn question(
    place: &Place,
    digest: Digest,
    ask: Ask,
    next_page: Option<NextPage>,
) -> Result<Told, Undecided> {
    let (upstream, repository) = (&place.upstream, &place.name.repository);
    let told = match ask {
        Ask::Tag(tag) => {
            let fetched = upstream.manifest(repository, &TagOrDigest::Tag(tag.clone())).await;
            fetched
                .map(|fetched| parsed(&fetched).map_or(Told::Unusable, |manifest| Told::Tag(tag, manifest)))
        }
        Ask::Manifest(digest) => {
            let fetched = upstream.manifest(repository, &TagOrDigest::Digest(digest)).await;
            fetched.map(|fetched| parsed(&fetched).map_or(Told::Unusable, Told::Manifest))
        }
        Ask::Referrers => upstream.referrers(repository, &digest).await.map(listed),
        Ask::NextPage => match next_page {
            Some(page) => upstream.more_referrers(repository, &page).await.map(listed),
            None => Ok(Told::Nothing),
        },
        Ask::Payload(candidate) => {
            let payload = upstream.small_blob(repository, &candidate.payload, candidate.size).await;
            payload.map(|payload| Told::Payload(candidate, payload))
        }
    };
    match told {
        Err(FetchError::NotFound) => Ok(Told::Nothing),
        // Whoever may push can name a digest or a size that nothing has.
        Err(FetchError::WrongContent(_) | FetchError::TooLarge { .. }) => Ok(Told::Unusable),
        told => told.map_err(Undecided::Fetch),
    }
}

fn parsed(fetched: &Fetched) -> Option<Manifest> {
    Manifest::parse(&fetched.content, fetched.media_type.as_ref()).ok()
}

fn listed(referrers: Referrers) -> Told {
    match referrers {
        Referrers::Listed { manifests, next } => Told::Referrers(manifests, next),
        Referrers::NotOffered => Told::Nothing,
    }
}
