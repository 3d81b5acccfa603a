//! Every image of every kind that makes Pods, and where in the object it stands.

use thiserror::Error;

use super::fields::{Field, Fields, Unread};
use super::review::AdmissionRequest;
use crate::config::Kind;
use crate::field_path::FieldPath;

/// The kinds of objects whose images are looked for.
#[derive(Clone, Debug)]
pub struct Kinds(Vec<Workload>);

/// A kind of object that makes Pods, or is one.
#[derive(Clone, Debug)]
pub struct Workload {
    group: Box<str>,
    kind: Box<str>,
    is: Makes,
    fields: Fields,
    /// Where its Pods name what they are pulled with.
    secrets: Fields,
}

/// How a kind comes to Pods.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Makes {
    /// It is one.
    Itself,
    /// As many of one template as `spec.replicas` says.
    Replicas,
    /// In any other way.
    Otherwise,
}

/// One image and where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Image {
    /// The path of the field, as messages name it: `spec.containers[0].image`.
    pub path: String,
    /// What is written there.
    pub text: String,
}

/// The images of an object.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Images {
    /// Each, in the order in which the kubelet would start them.
    pub images: Vec<Image>,
    /// What the API server will make the object's name of, where it has none yet.
    pub generate_name: Option<String>,
}

/// What the Pods of an object are pulled with.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PullSecretNames {
    /// The names of Secrets, each once.
    pub secrets: Vec<String>,
    /// The name of the service account, where it is known what its Pods are like.
    pub account: Option<String>,
}

/// Why the images of an object are not known.
#[derive(Debug, Error)]
pub enum InvalidObject {
    /// The request has no object.
    #[error("the request has no object")]
    Missing,
    /// The kind is not one whose images we know how to find.
    #[error("{0} is no kind that this webhook knows the images of: admission.kinds may say where they are")]
    UnknownKind(String),
    /// The object is not what its kind promises.
    #[error("the object cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It has more images than are looked at.
    #[error("the object has more than {IMAGE_LIMIT} images")]
    TooMany,
}

/// The most images that one object may have.
const IMAGE_LIMIT: usize = 1024;

/// Where images stand in the specification of a Pod.
pub(crate) const POD_SPEC: [&str; 4] = [
    "initContainers[*].image",
    "containers[*].image",
    "ephemeralContainers[*].image",
    "volumes[*].image.reference",
];

/// Where a Pod's specification names Secrets to pull with, and its service account: by the name of today or the older one.
const SECRET: &str = "imagePullSecrets[*].name";
const ACCOUNT: [&str; 2] = ["serviceAccountName", "serviceAccount"];

/// The service account of Pods that name none.
const DEFAULT_ACCOUNT: &str = "default";

/// The most of these fields that are looked at.
const SECRET_LIMIT: usize = 1024;

/// The kinds that come with Kubernetes, and where each has the specification of its Pods.
const BUILT_IN: [(&str, &str, Makes, &str); 9] = [
    ("", "Pod", Makes::Itself, "spec"),
    ("", "PodTemplate", Makes::Otherwise, "template.spec"),
    ("", "ReplicationController", Makes::Replicas, "spec.template.spec"),
    ("apps", "Deployment", Makes::Replicas, "spec.template.spec"),
    ("apps", "ReplicaSet", Makes::Replicas, "spec.template.spec"),
    ("apps", "StatefulSet", Makes::Replicas, "spec.template.spec"),
    ("apps", "DaemonSet", Makes::Otherwise, "spec.template.spec"),
    ("batch", "Job", Makes::Otherwise, "spec.template.spec"),
    ("batch", "CronJob", Makes::Otherwise, "spec.jobTemplate.spec.template.spec"),
];

/// The number of the path that leads to no image, after all of those that do.
const GENERATE_NAME: usize = usize::MAX;

impl Kinds {
    /// Those that come with Kubernetes, and others by where their images are.
    pub fn new(others: &[Kind]) -> Self {
        let built_in = BUILT_IN.iter().map(|(group, kind, is, spec)| {
            let paths: Vec<_> = POD_SPEC.iter().map(|path| format!("{spec}.{path}")).collect();
            let pods: Vec<_> = spec.parse().into_iter().collect();
            Workload::new(group, kind, *is, paths.iter().filter_map(|path| path.parse().ok()), &pods)
        });
        let others = others.iter().map(|other| {
            let paths = other.paths.iter().cloned();
            Workload::new(&other.group, &other.kind, Makes::Otherwise, paths, &other.pod_specs)
        });
        Self(built_in.chain(others).collect())
    }

    /// Whether a kind comes with Kubernetes, so that nobody has to say where its images are.
    pub(crate) fn has_built_in(group: &str, kind: &str) -> bool {
        BUILT_IN.iter().any(|(known, its, ..)| (*known, *its) == (group, kind))
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Workload> {
        self.0.iter()
    }

    /// The kind that a request is about, whatever its version, if it is one of these.
    pub(super) fn of(&self, request: &AdmissionRequest<'_>) -> Option<&Workload> {
        let (group, kind) = (&*request.kind.group, &*request.kind.kind);
        self.0.iter().find(|workload| (&*workload.group, &*workload.kind) == (group, kind))
    }

    /// The same, where it has to be one.
    pub(super) fn known(&self, request: &AdmissionRequest<'_>) -> Result<&Workload, InvalidObject> {
        let (group, kind) = (&request.kind.group, &request.kind.kind);
        let named = || if group.is_empty() { kind.to_string() } else { format!("{kind}.{group}") };
        self.of(request).ok_or_else(|| InvalidObject::UnknownKind(named()))
    }
}

impl Workload {
    fn new(
        group: &str,
        kind: &str,
        is: Makes,
        paths: impl Iterator<Item = FieldPath>,
        pods: &[FieldPath],
    ) -> Self {
        let mut fields = Fields::default();
        paths.enumerate().for_each(|(number, path)| fields.add(&path, number));
        fields.generate_name();
        let mut secrets = Fields::default();
        for (number, named) in std::iter::once(SECRET).chain(ACCOUNT).enumerate() {
            let named: Option<FieldPath> = named.parse().ok();
            pods.iter()
                .zip(named.iter().cycle())
                .for_each(|(pod, named)| secrets.add(&pod.join(named), number));
        }
        Self { group: group.into(), kind: kind.into(), is, fields, secrets }
    }

    /// What the kind is called in its group.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Whether it is a Pod, which is what is pinned.
    pub(super) fn is_pod(&self) -> bool {
        self.is == Makes::Itself
    }

    /// Whether a smaller `spec.replicas` only ends Pods.
    pub(super) fn scales(&self) -> bool {
        self.is == Makes::Replicas
    }

    /// Every image of an object of this kind, as JSON.
    ///
    /// # Errors
    /// [`InvalidObject`] where it is none of this kind, or has too many.
    pub fn images(&self, object: &str) -> Result<Images, InvalidObject> {
        let fields = self.fields.of(object, IMAGE_LIMIT + 1).map_err(|unread| match unread {
            Unread::TooMany => InvalidObject::TooMany,
            Unread::Malformed(error) => InvalidObject::Malformed(error),
        })?;
        let mut found = Images::default();
        for Field { of, path, text } in fields {
            if of == GENERATE_NAME {
                found.generate_name = Some(text);
            } else {
                found.images.push(Image { path, text });
            }
        }
        if found.images.len() > IMAGE_LIMIT { Err(InvalidObject::TooMany) } else { Ok(found) }
    }
}

impl Workload {
    /// What the Pods of an object of this kind are pulled with. Of what cannot be read there is nothing.
    pub fn pull_secrets(&self, object: &str) -> PullSecretNames {
        let mut named = PullSecretNames::default();
        for Field { of, text, .. } in self.secrets.of(object, SECRET_LIMIT).unwrap_or_default() {
            if of != 0 {
                named.account.get_or_insert(text);
            } else if !named.secrets.contains(&text) {
                named.secrets.push(text);
            }
        }
        if !self.secrets.is_empty() {
            named.account.get_or_insert_with(|| DEFAULT_ACCOUNT.to_owned());
        }
        named
    }
}

impl Fields {
    fn generate_name(&mut self) {
        self.add(&FieldPath::of_metadata("generateName"), GENERATE_NAME);
    }
}

impl Image {
    /// The path as a JSON Pointer (RFC 6901).
    pub fn pointer(&self) -> String {
        format!("/{}", self.path.replace(['.', '['], "/").replace(']', ""))
    }
}

#[cfg(test)]
mod tests;
