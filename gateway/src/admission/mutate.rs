//! Pinning: tags are replaced by the digests that they mean now, so that what was judged is what runs.

use std::time::Instant;

use oci::Reference;
use serde_json::json;

use super::message::{Problems, denial, stale};
use super::review::{AdmissionRequest, Answer, Ground};
use super::validate::starts_nothing;
use super::{AdmissionDoor, Image, Workload, images};
use crate::config::Mutate;
use crate::undecided::Undecided;

impl AdmissionDoor {
    pub(super) async fn mutate<'a>(
        &self,
        request: &'a AdmissionRequest<'_>,
        deadline: Instant,
    ) -> Answer<'a> {
        let pinned = match (self.mutate, Workload::of(request)) {
            (Mutate::All, Some(_)) | (Mutate::Pods, Some(Workload::Pod)) => true,
            (Mutate::None, _) | (Mutate::Pods | Mutate::All, _) => false,
        };
        if !pinned || starts_nothing(request) {
            return Answer::allow(&request.uid, Ground::Mutation, Vec::new());
        }
        let images = match images::of(request) {
            Ok(images) => images,
            Err(error) => {
                return Answer::deny(&request.uid, format!("mutation failed: {error}"), Vec::new());
            }
        };
        let tagged: Vec<(&Image, Reference)> = images
            .iter()
            .filter_map(|image| Some((image, image.text.parse::<Reference>().ok()?)))
            // No registry is asked for a canary, which validation denies.
            .filter(|(_, reference)| reference.digest().is_none() && !self.upstreams.is_canary(reference.name()))
            .collect();
        let resolutions = tagged.iter().map(|(_, reference)| self.resolve(reference, deadline));
        let resolutions = futures_util::future::join_all(resolutions).await;
        let (mut patch, mut problems, mut warnings) = (Vec::new(), Problems::default(), Vec::new());
        for ((image, reference), resolved) in tagged.iter().zip(resolutions) {
            match resolved {
                Ok(resolved) => {
                    if let Some(age) = resolved.stale {
                        warnings.push(format!("{}: {reference} {}", image.path, stale(age)));
                    }
                    // The API server applies the patch to the object that it sent, or not at all.
                    patch.push(json!({"op": "test", "path": image.pointer, "value": image.text}));
                    let pinned = reference.pinned(resolved.digest).to_string();
                    patch.push(json!({"op": "replace", "path": image.pointer, "value": pinned}));
                }
                // Left as it is for validation, which knows whether a registry that we do not ask matters.
                Err(Undecided::NoUpstream(host)) => {
                    warnings.push(format!("{}: {host} is not asked, so its tag stays", image.path));
                }
                Err(why) => {
                    let details = format!("{reference} {why}");
                    problems.add("could not be resolved to a digest", &image.path, details);
                }
            }
        }
        if !problems.is_empty() {
            return Answer::undecided(&request.uid, denial(problems), warnings);
        }
        let patch =
            if patch.is_empty() { Vec::new() } else { serde_json::to_vec(&patch).unwrap_or_default() };
        Answer::patched(&request.uid, &patch, warnings)
    }
}
