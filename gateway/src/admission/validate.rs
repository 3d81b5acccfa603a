//! Deciding: every image must be pinned, and allowed by every policy that matches it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use oci::{Digest, Name, Reference, TagOrDigest};
use policies::{Admitted, Allowed, NoMatch, Request, Subject, Verdict};

use super::before::Before;
use super::images::{Images, InvalidObject, Workload};
use super::message::{Problems, denial, warnings};
use super::passing::Passing;
use super::review::{AdmissionRequest, Answer, Ground};
use super::reviewed::Reviewed;
use super::rights::{Given, Rights};
use super::{AdmissionDoor, Image, message};
use crate::config::Mutate;
use crate::records::{self, Came};
use crate::tags::Resolved;
use crate::undecided::Undecided;
use crate::verdicts::Ruling;

/// What came of one image.
enum Outcome {
    Ruled(Ruling),
    /// It is nothing that could be judged: a message in policy-controller's words.
    Refused(String),
    /// It is always denied: the same.
    Canary(String),
    Undecided(Subject, Undecided),
    Unresolved(String, Undecided),
}

/// For whom, and until when, the images of an object are judged.
struct Asked<'a> {
    rights: Rights<'a>,
    by: Request,
    deadline: Instant,
}

/// The same, how old what its tag means is, if that was not confirmed, and how long it took.
struct Judged {
    outcome: Outcome,
    stale: Option<Duration>,
    took: Duration,
}

impl From<Outcome> for Judged {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, stale: None, took: Duration::ZERO }
    }
}

impl AdmissionDoor {
    pub(super) async fn validate<'a>(
        &self,
        request: &'a AdmissionRequest<'_>,
        deadline: Instant,
    ) -> Reviewed<'a> {
        if let Some(passing) = Passing::of(request, &self.kinds) {
            let answer = Answer::allow(&request.uid, Ground::StartsNothing, Vec::new());
            return Reviewed { passing: Some(passing), ..Reviewed::of(answer) };
        }
        let (workload, Images { images, generate_name }) = match self.read(request) {
            Ok(read) => read,
            Err(error) => {
                let message = format!("validation failed: {error}");
                return Reviewed::of(Answer::deny(&request.uid, message, Vec::new()));
            }
        };
        let before = Before::of(request, workload);
        let asked = Asked { rights: Rights::of(self, request, workload), by: asking(request), deadline };
        let outcomes = images.iter().map(|image| {
            let must_be_pinned = workload.is_pod() && !self.would_be_pinned() && !before.had(image);
            self.timed(image, must_be_pinned, &asked)
        });
        let outcomes = futures_util::future::join_all(outcomes).await;
        Reviewed { generate_name, ..self.conclude(request, images, outcomes) }
    }

    fn read(&self, request: &AdmissionRequest<'_>) -> Result<(&Workload, Images), InvalidObject> {
        let workload = self.kinds.known(request)?;
        Ok((workload, workload.images(request.object.ok_or(InvalidObject::Missing)?.get())?))
    }

    /// Whether what is seen here was not pinned only because this gateway is not to change anything.
    fn would_be_pinned(&self) -> bool {
        self.observe && self.mutate != Mutate::None
    }

    fn conclude<'a>(
        &self,
        request: &'a AdmissionRequest<'_>,
        images: Vec<Image>,
        outcomes: Vec<Judged>,
    ) -> Reviewed<'a> {
        let (mut problems, mut warned) = (Problems::default(), Problems::default());
        let mut allowed = Vec::with_capacity(outcomes.len());
        let mut undecided = None;
        let mut kept = Vec::with_capacity(outcomes.len());
        for (Image { path, text }, Judged { outcome, stale, took }) in images.into_iter().zip(outcomes) {
            if let Some(age) = stale {
                warned.add(format!("{text} {}", message::stale(age)), &path, "");
            }
            let came = match outcome {
                Outcome::Ruled(ruling) => {
                    match &*ruling.verdict {
                        Verdict::Allow(proof) => {
                            warn(&mut warned, &path, proof, ruling.hearing.no_match);
                            allowed.push(proof.clone());
                        }
                        Verdict::Deny(denial) => problems.deny(&path, denial),
                    }
                    Came::Ruled(ruling)
                }
                Outcome::Refused(message) => {
                    problems.add(message, &path, "");
                    Came::Refused
                }
                Outcome::Canary(message) => {
                    if !request.is_dry_run() {
                        self.metrics.canary_reviewed();
                    }
                    problems.add(message, &path, "");
                    Came::Refused
                }
                Outcome::Undecided(subject, why) => {
                    problems.add("could not be verified", &path, format!("{subject} {why}"));
                    Came::Undecided { subject: Some(subject), why: undecided.insert(why).clone() }
                }
                Outcome::Unresolved(reference, why) => {
                    let details = format!("{reference} {why}");
                    problems.add("could not be resolved to a digest", &path, details);
                    Came::Undecided { subject: None, why: undecided.insert(why).clone() }
                }
            };
            kept.push(records::Image { path, asked: text.into(), took, came });
        }
        // Every image is accounted for by a proof, or the answer is no.
        let answer = if allowed.len() == kept.len() {
            Answer::allow(&request.uid, Ground::Images(allowed), warnings(warned))
        } else if let Some(why) = undecided {
            if !request.is_dry_run() {
                self.metrics.undecided(&why);
            }
            Answer::undecided(&request.uid, denial(problems), warnings(warned))
        } else {
            Answer::deny(&request.uid, denial(problems), warnings(warned))
        };
        Reviewed { images: kept, ..Reviewed::of(answer) }
    }

    async fn timed(&self, image: &Image, must_be_pinned: bool, asked: &Asked<'_>) -> Judged {
        let began = Instant::now();
        let judged = self.outcome(image, must_be_pinned, asked).await;
        Judged { took: began.elapsed(), ..judged }
    }

    /// Judges one image within the deadline. Work that outlasts it goes on, for whoever asks next.
    async fn outcome(&self, image: &Image, must_be_pinned: bool, asked: &Asked<'_>) -> Judged {
        let Ok(reference) = image.text.parse::<Reference>() else {
            return Outcome::Refused(format!("could not parse reference: {}", image.text)).into();
        };
        if self.upstreams.is_canary(reference.name()) {
            return Outcome::Canary(format!("{} is the canary, which is always denied", image.text)).into();
        }
        let name = self.upstreams.canonical(reference.name());
        if must_be_pinned && reference.digest().is_none() {
            let message = format!("invalid value: {} must be an image digest", image.text);
            return Outcome::Refused(message).into();
        }
        let given = match within(asked.deadline, asked.rights.given(&name, &reference.version())).await {
            Ok(given) => given,
            Err(why) => return Outcome::Unresolved(reference.to_string(), why).into(),
        };
        // Templates stay as their authors wrote them; the Pods that they make are pinned. What ran before an update is not
        // what the update starts.
        let resolved = self.resolve(&reference, given.as_ref());
        let Resolved { digest, stale } = match within(asked.deadline, resolved).await {
            Ok(resolved) => resolved,
            Err(why) => {
                asked.rights.doubt(given.as_ref(), &why);
                return Outcome::Unresolved(reference.to_string(), why).into();
            }
        };
        let outcome = match within(asked.deadline, self.judge(&name, digest, given.as_ref(), &asked.by)).await
        {
            Ok(ruling) => Outcome::Ruled(ruling),
            Err(why) => {
                asked.rights.doubt(given.as_ref(), &why);
                Outcome::Undecided(Subject { name, digest }, why)
            }
        };
        Judged { stale, ..outcome.into() }
    }

    async fn judge(
        &self,
        name: &Name,
        digest: Digest,
        given: Option<&Given>,
        by: &Request,
    ) -> Result<Ruling, Undecided> {
        match given {
            Some(given) => self.verdicts.judge_at(&given.place, digest, self.no_match, by).await,
            None => self.verdicts.judge(name, digest, self.no_match, by).await,
        }
    }

    /// What a tag means for whoever an object is of.
    pub(super) async fn tag_meaning(
        &self,
        reference: &Reference,
        rights: &Rights<'_>,
        deadline: Instant,
    ) -> Result<Resolved, Undecided> {
        let name = self.upstreams.canonical(reference.name());
        let given = within(deadline, rights.given(&name, &reference.version())).await?;
        within(deadline, self.resolve(reference, given.as_ref())).await
    }

    /// The digest that an image is judged by: its sha256, whether it names a tag or is pinned by another.
    async fn resolve(&self, reference: &Reference, given: Option<&Given>) -> Result<Resolved, Undecided> {
        let version = reference.version();
        if let TagOrDigest::Digest(digest) = version
            && digest.algorithm() == oci::Algorithm::Sha256
        {
            return Ok(Resolved { digest, stale: None });
        }
        let name = reference.name();
        let place = given.map(|given| given.place.clone()).or_else(|| self.upstreams.place(name));
        let place = place.ok_or_else(|| Undecided::NoUpstream(name.host.clone()))?;
        match version {
            TagOrDigest::Tag(tag) => Ok(self.content.resolve(&place, &tag).await?),
            TagOrDigest::Digest(digest) => {
                let known = self.content.manifest(&place, digest).await?;
                Ok(Resolved { digest: known.judged, stale: None })
            }
        }
    }
}

/// What comes of work that goes on, for whoever asks next, where it outlasts the deadline.
async fn within<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, Undecided>>,
) -> Result<T, Undecided> {
    tokio::time::timeout_at(deadline.into(), work).await.unwrap_or(Err(Undecided::Deadline))
}

fn warn(warned: &mut Problems, path: &str, allowed: &Allowed, no_match: NoMatch) {
    for failure in allowed.warnings() {
        warned.fail(path, allowed.subject(), failure);
    }
    for exempted in allowed.exempted() {
        warned.add(exempted.message(), path, "");
    }
    if matches!((allowed.ground(), no_match), (policies::Ground::NoMatch, NoMatch::Warn)) {
        warned.add("no matching policies", path, allowed.subject().to_string());
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
