//! Pinning: tags are replaced by the digests that they mean now, so that what was judged is what runs. Where it is
//! configured, origins are replaced by the gateway too.

use std::time::Instant;

use oci::Reference;
use serde_json::json;

use super::before::Before;
use super::message::{Problems, denial, stale};
use super::passing::Passing;
use super::review::{AdmissionRequest, Answer, Ground};
use super::reviewed::Reviewed;
use super::rights::Rights;
use super::{AdmissionDoor, Image};
use crate::config::Mutate;
use crate::tags::Resolved;
use crate::undecided::Undecided;

/// What becomes of one image: nothing, or another text in its place.
struct Change {
    /// The text, and how old what its tag means is if that was not confirmed.
    text: Result<(String, Option<std::time::Duration>), Undecided>,
    reference: Reference,
    /// Why it cannot be fetched through the gateway, if it should be and cannot.
    unnameable: bool,
}

impl AdmissionDoor {
    pub(super) async fn mutate<'a>(
        &self,
        request: &'a AdmissionRequest<'_>,
        deadline: Instant,
    ) -> Reviewed<'a> {
        let nothing = || Reviewed::of(Answer::allow(&request.uid, Ground::Mutation, Vec::new()));
        let Some(workload) = self.kinds.of(request).filter(|workload| match self.mutate {
            Mutate::All => true,
            Mutate::Pods => workload.is_pod(),
            Mutate::None => false,
        }) else {
            return nothing();
        };
        if self.observe || Passing::of(request, &self.kinds).is_some() {
            return nothing();
        }
        let Some(object) = request.object else { return nothing() };
        let found = match workload.images(object.get()) {
            Ok(found) => found,
            Err(error) => {
                let message = format!("mutation failed: {error}");
                return Reviewed::of(Answer::deny(&request.uid, message, Vec::new()));
            }
        };
        // Whoever changes one image has not asked for another to be touched, and of some objects none can be.
        let before = Before::of(request, workload);
        let brought: Vec<&Image> = found.images.iter().filter(|image| !before.had(image)).collect();
        let rights = Rights::of(self, request, workload);
        let changes = brought.iter().map(|image| self.change(image, &rights, deadline));
        let changes = futures_util::future::join_all(changes).await;
        let answer = patched(request, &brought, changes);
        Reviewed { generate_name: found.generate_name, ..Reviewed::of(answer) }
    }

    /// What becomes of an image, if anything does. What is no reference is left for validation to say so, and no
    /// registry is asked for a canary, which validation denies.
    async fn change(&self, image: &Image, rights: &Rights<'_>, deadline: Instant) -> Option<Change> {
        let reference = image.text.parse::<Reference>().ok()?;
        if self.upstreams.is_canary(reference.name()) {
            return None;
        }
        let through = self.rewrite.then(|| self.upstreams.through_gateway(reference.name())).flatten();
        let (named, unnameable) = match through {
            Some(Ok(name)) => (reference.renamed(name), false),
            Some(Err(_)) => (reference.clone(), true),
            None => (reference.clone(), false),
        };
        let text = match reference.digest() {
            Some(_) if named == reference && !unnameable => return None,
            Some(_) => Ok((named.to_string(), None)),
            None => self
                .tag_meaning(&reference, rights, deadline)
                .await
                .map(|Resolved { digest, stale }| (named.pinned(digest).to_string(), stale)),
        };
        Some(Change { text, reference, unnameable })
    }
}

fn patched<'a>(
    request: &'a AdmissionRequest<'_>,
    brought: &[&Image],
    changes: Vec<Option<Change>>,
) -> Answer<'a> {
    let (mut patch, mut problems, mut warnings) = (Vec::new(), Problems::default(), Vec::new());
    let changes = brought.iter().zip(changes).filter_map(|(image, change)| Some((image, change?)));
    for (image, Change { text, reference, unnameable }) in changes {
        let path = &image.path;
        if unnameable {
            warnings
                .push(format!("{path}: {reference} has no name below the gateway's, so its origin stays"));
        }
        match text {
            Ok((text, age)) => {
                if let Some(age) = age {
                    warnings.push(format!("{path}: {reference} {}", stale(age)));
                }
                if text != image.text {
                    // The API server applies the patch to the object that it sent, or not at all.
                    patch.push(json!({"op": "test", "path": image.pointer(), "value": image.text}));
                    patch.push(json!({"op": "replace", "path": image.pointer(), "value": text}));
                }
            }
            // Left as it is for validation, which knows whether a registry that we do not ask matters.
            Err(Undecided::NoUpstream(host)) => {
                warnings.push(format!("{path}: {host} is not asked, so its tag stays"));
            }
            Err(why) => {
                problems.add("could not be resolved to a digest", path, format!("{reference} {why}"));
            }
        }
    }
    if !problems.is_empty() {
        return Answer::undecided(&request.uid, denial(problems), warnings);
    }
    let patch = if patch.is_empty() { Vec::new() } else { serde_json::to_vec(&patch).unwrap_or_default() };
    Answer::patched(&request.uid, &patch, warnings)
}
