//! Downloads that are under way when what they send is revoked.
//!
//! A verdict that changes stops new requests. Whoever is being served is served to the end, except where the change is a
//! revocation: what is revoked may not even have been sent yet.

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use oci::Digest;
use policies::{Allowed, Cause, Denial, Reason, Request, Verdict};
use thiserror::Error;
use tokio::sync::watch;

use super::{Gate, Ground, Permit};
use crate::place::Place;
use crate::reply::BoxError;

/// Which revocations are in force, by the digest of them all.
pub(crate) type Revocations = watch::Receiver<Digest>;

/// Why a download ends early.
#[derive(Debug, Error)]
#[error("it is revoked")]
struct Cut;

/// A download, and what it is let out by.
pub(super) struct Download {
    gate: Gate,
    place: Place,
    blob: Digest,
    allowed: Option<Allowed>,
    /// The manifests between what is allowed and the blob, both ends among them.
    by: Vec<Digest>,
}

impl Download {
    pub(super) fn new(gate: Gate, place: Place, blob: Digest, permit: &Permit) -> Self {
        let allowed = match permit.ground() {
            Ground::Judged(allowed) | Ground::Descent(allowed) => Some(allowed.clone()),
            // Nobody's signature lets these out, so no revocation keeps them in.
            Ground::Artefact | Ground::ReferrersList => None,
        };
        Self { gate, place, blob, allowed, by: permit.by().to_vec() }
    }

    /// What is sent, until that is revoked: then an error in place of the rest. Nothing is sent while it is not known.
    pub(super) fn guard<S, E>(
        self,
        content: S,
        revocations: Revocations,
    ) -> impl Stream<Item = Result<Bytes, BoxError>> + Send + 'static
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let state = (self, Box::pin(content), revocations);
        stream::try_unfold(state, |(download, mut content, mut revocations)| async move {
            loop {
                let next: Option<Result<_, BoxError>> = tokio::select! {
                    biased;
                    () = changed(&mut revocations) => None,
                    next = content.next() => Some(next.transpose().map_err(Into::into)),
                };
                match next {
                    Some(next) => return Ok(next?.map(|piece| (piece, (download, content, revocations)))),
                    None if download.is_revoked().await => return Err(Cut.into()),
                    None => {}
                }
            }
        })
    }

    /// Whether what let this out does so no more because of a revocation, and nothing else lets it out. What cannot be
    /// told is taken for revoked: a verdict that stayed what it was can be told from what is known already.
    async fn is_revoked(&self) -> bool {
        let Some(allowed) = &self.allowed else { return false };
        let rules = self.gate.verdicts().rules();
        let by_digest = self.by.iter().any(|manifest| rules.policies.revokes(manifest));
        let revoked = by_digest || self.is_denied(allowed).await;
        let revoked = revoked && self.gate.blob(&self.place, self.blob).await.is_err();
        if revoked {
            metrics::counter!("countersign_streams_cut_total").increment(1);
            tracing::warn!(image = %self.place.name, blob = %self.blob, "a download is cut: what it is part of is revoked");
        }
        revoked
    }

    /// Whether what was allowed is denied now because of a revocation, or cannot be told.
    async fn is_denied(&self, allowed: &Allowed) -> bool {
        let (subject, no_match) = (allowed.subject(), self.gate.no_match());
        // It is an image of the same repository.
        let judged =
            self.gate.verdicts().judge_at(&self.place, subject.digest, no_match, &Request::Pull).await;
        match judged.as_ref().map(|ruling| &*ruling.verdict) {
            Ok(Verdict::Allow(_)) => false,
            Ok(Verdict::Deny(denial)) => is_by_revocation(denial),
            Err(_) => true,
        }
    }
}

/// Waits until other revocations are in force.
async fn changed(revocations: &mut Revocations) {
    if revocations.changed().await.is_err() {
        // Nobody is left who could revoke anything.
        std::future::pending::<()>().await;
    }
}

fn is_by_revocation(denial: &Denial) -> bool {
    match denial.cause() {
        Cause::Revoked(_) => true,
        Cause::NoMatchingPolicy => false,
        Cause::Failed(failures) => failures
            .iter()
            .flat_map(|failure| failure.authorities())
            .any(|authority| matches!(authority.reason, Reason::Revoked { .. })),
    }
}
