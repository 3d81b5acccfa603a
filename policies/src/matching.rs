//! What speaks of one image.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use oci::{Algorithm, Digest, Hasher};
use serde_json::Value;

use crate::facts::{Basis, Source};
use crate::moment::Seconds;
use crate::node::digest_text;
use crate::policy::{Mode, Policy};
use crate::program::PolicyProgram;
use crate::request::Request;
use crate::revocation::Revocations;

/// The policies that speak of one image when it is asked for by one request. All of them bind.
#[derive(Clone, Debug)]
pub struct Matching<'a> {
    bound: Vec<Bound<'a>>,
    /// Those that speak of the image, and are left to admission.
    deferred: Vec<&'a Policy>,
    covered: bool,
    request: &'a Request,
    revocations: &'a Revocations,
}

/// That a policy speaks of an image, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Spoken {
    /// The policy's name.
    pub policy: Arc<str>,
    /// The first of its patterns that the image matches.
    pub pattern: String,
    /// Whether it only warns.
    pub only_warns: bool,
    /// Whether it is left to admission, because a pull is not all that it looks at.
    pub left_to_admission: bool,
}

/// A policy, and how much of it binds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound<'a> {
    pub(crate) policy: &'a Policy,
    /// Its program, where that has a say.
    pub(crate) program: Option<&'a PolicyProgram>,
    /// Why it denies whatever was found, if so.
    pub(crate) unusable: Option<&'a str>,
}

/// What a policy is to a request.
enum Standing<'a> {
    Binds(Bound<'a>),
    /// It speaks of the image, and is left to admission.
    Deferred,
    /// It is for other objects.
    Elsewhere,
}

impl<'a> Matching<'a> {
    /// Of the policies that speak of an image, in order of name.
    pub(crate) fn new(
        policies: impl Iterator<Item = &'a Policy>,
        request: &'a Request,
        revocations: &'a Revocations,
    ) -> Self {
        let mut matching =
            Self { bound: Vec::new(), deferred: Vec::new(), covered: false, request, revocations };
        for policy in policies {
            match standing(policy, request) {
                Standing::Binds(bound) => {
                    matching.covered |= policy.namespace.is_none();
                    matching.bound.push(bound);
                }
                Standing::Deferred => {
                    matching.covered = true;
                    matching.deferred.push(policy);
                }
                Standing::Elsewhere => {}
            }
        }
        matching
    }

    /// Whether no policy of the whole cluster speaks of the image. What a namespace adds for itself is no coverage, or
    /// it could let in what the cluster keeps out; where only a pull is known, what admission will say of it is.
    pub fn is_uncovered(&self) -> bool {
        !self.covered
    }

    /// What evidence [`judge`](crate::judge()) needs: where to look, and what it must rest on. Nothing where no more than
    /// static authorities have a say.
    pub fn sources(&self) -> BTreeMap<&'a Source, BTreeSet<&'a Basis>> {
        let mut sources = BTreeMap::<_, BTreeSet<_>>::new();
        let usable = self.bound.iter().filter(|bound| bound.unusable.is_none());
        for wanted in
            usable.flat_map(|bound| &bound.policy.authorities).filter_map(|authority| authority.kind.wanted())
        {
            sources.entry(&wanted.source).or_default().extend(&wanted.bases);
        }
        sources
    }

    /// Whether no evidence could change the verdict on an image, by its digest: it is revoked, or every policy exempts it or
    /// wants none.
    pub fn is_settled(&self, digest: &Digest, now: Seconds) -> bool {
        let settled = |bound: &Bound<'_>| {
            bound.unusable.is_some()
                || bound.policy.exemption(digest, now).is_some()
                || bound.policy.authorities.iter().all(|authority| authority.kind.wanted().is_none())
        };
        self.revocations.of_image(digest).is_some() || self.bound.iter().all(settled)
    }

    /// Whether judging runs programs, which takes longer than comparing does.
    pub fn runs_programs(&self) -> bool {
        self.bound.iter().any(|bound| {
            let attestations =
                bound.policy.authorities.iter().filter_map(|authority| authority.kind.wanted());
            bound.program.is_some()
                || attestations
                    .flat_map(|wanted| &wanted.attestations)
                    .any(|attestation| attestation.program.is_some())
        })
    }

    /// The policies' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.bound.iter().map(|bound| &*bound.policy.name)
    }

    /// The policies that speak of the image of this name, each with why it does, and those that are left to admission last.
    pub fn spoken(&self, name: &str) -> impl Iterator<Item = Spoken> {
        let of = move |policy: &Policy, left_to_admission| {
            let pattern = policy.images.iter().find(|pattern| pattern.matches(name));
            Spoken {
                policy: policy.name.clone(),
                pattern: pattern.map(ToString::to_string).unwrap_or_default(),
                only_warns: policy.mode == Mode::Warn,
                left_to_admission,
            }
        };
        let bound = self.bound.iter().map(move |bound| of(bound.policy, false));
        bound.chain(self.deferred.iter().map(move |policy| of(policy, true)))
    }

    /// The digest of everything in the request that the verdict depends on: which policies bind, and what of the object
    /// their programs are shown.
    pub fn distinction(&self) -> Digest {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(&[u8::from(self.covered)]);
        for bound in &self.bound {
            digest_text(&bound.policy.name, &mut hasher);
            let reading = bound.program.filter(|program| program.reads_object());
            let input = reading.map_or(Value::Null, |program| Value::Object(self.object_input(program)));
            digest_text(&input.to_string(), &mut hasher);
        }
        hasher.finish()
    }

    /// What of the object a program is shown.
    pub(crate) fn object_input(&self, program: &PolicyProgram) -> serde_json::Map<String, Value> {
        let mut input = serde_json::Map::new();
        let Request::Admission(object) = self.request else { return input };
        for (name, wanted) in [("spec", program.spec), ("metadata", program.metadata)] {
            if let Some(part) = object.part(name).filter(|part| wanted && !part.is_null()) {
                input.insert(name.to_owned(), part.clone());
            }
        }
        if program.type_meta {
            let type_meta = serde_json::json!({"kind": object.kind, "apiVersion": object.api_version()});
            input.insert("typemeta".to_owned(), type_meta);
        }
        input
    }

    /// The policies, in order of name.
    pub(crate) fn bound(&self) -> impl Iterator<Item = Bound<'a>> + '_ {
        self.bound.iter().copied()
    }

    /// The policies that speak of the image and are left to admission, in order of name.
    pub(crate) fn deferred(&self) -> impl Iterator<Item = &'a Policy> + '_ {
        self.deferred.iter().copied()
    }

    /// What is revoked.
    pub(crate) fn revocations(&self) -> &'a Revocations {
        self.revocations
    }
}

fn standing<'a>(policy: &'a Policy, request: &Request) -> Standing<'a> {
    let mut bound = Bound { policy, program: policy.program.as_ref(), unusable: policy.unusable.as_deref() };
    let object = match request {
        Request::Pull if policy.namespace.is_some() || !policy.resources.is_empty() => {
            return Standing::Deferred;
        }
        Request::Pull => {
            bound.program = bound.program.filter(|program| !program.reads_object());
            return Standing::Binds(bound);
        }
        Request::Admission(object) => object,
    };
    if policy.namespace.as_deref().is_some_and(|namespace| Some(namespace) != object.namespace.as_deref()) {
        return Standing::Elsewhere;
    }
    let reads = policy.resources.iter().any(crate::match_resource::MatchResource::reads_labels)
        || policy.program.as_ref().is_some_and(PolicyProgram::reads_object);
    if reads && object.part("metadata").is_none() {
        bound.unusable = Some("the object cannot be read");
        return Standing::Binds(bound);
    }
    let selected = policy.resources.is_empty() || policy.resources.iter().any(|entry| entry.selects(object));
    if selected { Standing::Binds(bound) } else { Standing::Elsewhere }
}
