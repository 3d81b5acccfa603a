//! Deciding: every image must be pinned, and allowed by every policy that matches it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use oci::{Digest, Reference, TagOrDigest};
use policies::{Admitted, Allowed, NoMatch, Request, Subject, Verdict};

use super::message::{Problems, denial, warnings};
use super::review::{AdmissionRequest, Answer, Ground};
use super::{AdmissionDoor, Image, Workload, images, message};
use crate::tags::Resolved;
use crate::undecided::Undecided;

/// What came of one image.
enum Outcome {
    Allowed(Allowed),
    Denied(Arc<Verdict>),
    /// It is nothing that could be judged: a message in policy-controller's words.
    Refused(String),
    Undecided(Subject, Undecided),
    Unresolved(String, Undecided),
}

/// The same, and how old what its tag means is, if that was not confirmed.
struct Judged {
    outcome: Outcome,
    stale: Option<Duration>,
}

impl From<Outcome> for Judged {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, stale: None }
    }
}

impl AdmissionDoor {
    pub(super) async fn validate<'a>(
        &self,
        request: &'a AdmissionRequest<'_>,
        deadline: Instant,
    ) -> Answer<'a> {
        if starts_nothing(request) {
            return Answer::allow(&request.uid, Ground::StartsNothing, Vec::new());
        }
        let images = match images::of(request) {
            Ok(images) => images,
            Err(error) => {
                return Answer::deny(&request.uid, format!("validation failed: {error}"), Vec::new());
            }
        };
        let pinned = Workload::of(request) == Some(Workload::Pod);
        let asking = asking(request);
        let outcomes = images.iter().map(|image| self.outcome(image, pinned, &asking, deadline));
        let outcomes = futures_util::future::join_all(outcomes).await;
        self.conclude(request, &images, outcomes)
    }

    fn conclude<'a>(
        &self,
        request: &'a AdmissionRequest<'_>,
        images: &[Image],
        outcomes: Vec<Judged>,
    ) -> Answer<'a> {
        let (mut problems, mut warned) = (Problems::default(), Problems::default());
        let mut allowed = Vec::with_capacity(outcomes.len());
        let mut undecided = None;
        for (image, Judged { outcome, stale }) in images.iter().zip(outcomes) {
            if let Some(age) = stale {
                warned.add(format!("{} {}", image.text, message::stale(age)), &image.path, "");
            }
            match outcome {
                Outcome::Allowed(proof) => {
                    self.warn(&mut warned, &image.path, &proof);
                    allowed.push(proof);
                }
                Outcome::Denied(verdict) => {
                    if let Verdict::Deny(denial) = &*verdict {
                        problems.deny(&image.path, denial);
                    }
                }
                Outcome::Refused(message) => problems.add(message, &image.path, ""),
                Outcome::Undecided(subject, why) => {
                    let details = format!("{}@{} {why}", subject.name, subject.digest);
                    problems.add("could not be verified", &image.path, details);
                    undecided = Some(why);
                }
                Outcome::Unresolved(reference, why) => {
                    problems.add(
                        "could not be resolved to a digest",
                        &image.path,
                        format!("{reference} {why}"),
                    );
                    undecided = Some(why);
                }
            }
        }
        // Every image is accounted for by a proof, or the answer is no.
        if allowed.len() == images.len() {
            return Answer::allow(&request.uid, Ground::Images(allowed), warnings(warned));
        }
        match undecided {
            Some(why) => {
                self.metrics.undecided(&why);
                Answer::undecided(&request.uid, denial(problems), warnings(warned))
            }
            None => Answer::deny(&request.uid, denial(problems), warnings(warned)),
        }
    }

    fn warn(&self, warned: &mut Problems, path: &str, allowed: &Allowed) {
        for failure in allowed.warnings() {
            warned.fail(path, allowed.subject(), failure);
        }
        for exempted in allowed.exempted() {
            warned.add(exempted.message(), path, "");
        }
        if matches!((allowed.ground(), self.no_match), (policies::Ground::NoMatch, NoMatch::Warn)) {
            let subject = allowed.subject();
            warned.add("no matching policies", path, format!("{}@{}", subject.name, subject.digest));
        }
    }

    /// Judges one image within the deadline. Work that outlasts it goes on, for whoever asks next.
    async fn outcome(
        &self,
        image: &Image,
        must_be_pinned: bool,
        asking: &Request,
        deadline: Instant,
    ) -> Judged {
        let Ok(reference) = image.text.parse::<Reference>() else {
            return Outcome::Refused(format!("could not parse reference: {}", image.text)).into();
        };
        if self.upstreams.is_canary(reference.name()) {
            self.metrics.canary_reviewed();
            let message = format!("{} is the canary, which is always denied", image.text);
            return Outcome::Refused(message).into();
        }
        let name = self.upstreams.canonical(reference.name());
        let resolved = match reference.digest() {
            Some(digest) => {
                let digest = self.judged_digest(&reference, digest, deadline).await;
                digest.map(|digest| Resolved { digest, stale: None })
            }
            // Templates stay as their authors wrote them; the Pods that they make are pinned.
            None if !must_be_pinned => self.resolve(&reference, deadline).await,
            None => {
                let message = format!("invalid value: {} must be an image digest", image.text);
                return Outcome::Refused(message).into();
            }
        };
        let Resolved { digest, stale } = match resolved {
            Ok(resolved) => resolved,
            Err(why) => return Outcome::Unresolved(reference.to_string(), why).into(),
        };
        let judging = self.verdicts.judge(&name, digest, self.no_match, asking);
        let judged = tokio::time::timeout_at(deadline.into(), judging);
        let outcome = match judged.await.unwrap_or(Err(Undecided::Deadline)) {
            Ok(ruling) => match &*ruling.verdict {
                Verdict::Allow(allowed) => Outcome::Allowed(allowed.clone()),
                Verdict::Deny(_) => Outcome::Denied(ruling.verdict),
            },
            Err(why) => Outcome::Undecided(Subject { name, digest }, why),
        };
        Judged { outcome, stale }
    }

    /// What a tag means, sha256.
    pub(super) async fn resolve(
        &self,
        reference: &Reference,
        deadline: Instant,
    ) -> Result<Resolved, Undecided> {
        let name = reference.name();
        let place = self.upstreams.place(name).ok_or_else(|| Undecided::NoUpstream(name.host.clone()))?;
        let TagOrDigest::Tag(tag) = reference.version() else {
            return Err(Undecided::Internal("a digest is not resolved".into()));
        };
        let resolved = tokio::time::timeout_at(deadline.into(), self.content.resolve(&place, &tag)).await;
        Ok(resolved.map_err(|_| Undecided::Deadline)??)
    }

    /// The digest that an image is judged by: its sha256, whatever it is pinned by.
    async fn judged_digest(
        &self,
        reference: &Reference,
        digest: Digest,
        deadline: Instant,
    ) -> Result<Digest, Undecided> {
        match digest.algorithm() {
            oci::Algorithm::Sha256 => Ok(digest),
            oci::Algorithm::Sha512 => {
                let name = reference.name();
                let place =
                    self.upstreams.place(name).ok_or_else(|| Undecided::NoUpstream(name.host.clone()))?;
                let known =
                    tokio::time::timeout_at(deadline.into(), self.content.manifest(&place, digest)).await;
                Ok(known.map_err(|_| Undecided::Deadline)??.judged)
            }
        }
    }
}

/// For what the images are judged: the object that is to be admitted.
fn asking(request: &AdmissionRequest<'_>) -> Request {
    let (kind, object) = (&request.kind, request.object.map_or("", |object| object.get()));
    Request::Admission(Arc::new(Admitted::new(
        request.namespace.as_deref().map(str::to_owned),
        kind.group.to_string(),
        kind.version.to_string(),
        kind.kind.to_string(),
        object.to_owned(),
    )))
}

/// Deletions start nothing; nor do writes to a part of an object that holds no image.
pub(super) fn starts_nothing(request: &AdmissionRequest<'_>) -> bool {
    let writes = matches!(&*request.operation, "CREATE" | "UPDATE");
    let part = request.sub_resource.as_deref().unwrap_or_default();
    !writes || !matches!(part, "" | "ephemeralcontainers")
}
