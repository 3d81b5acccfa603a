//! Every image of every pod-bearing kind, and where in the object it stands.

use std::borrow::Cow;

use serde::Deserialize;
use thiserror::Error;

use super::review::AdmissionRequest;

/// A kind of object that makes Pods, or is one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Workload {
    /// `v1 Pod`.
    Pod,
    /// Kinds with a Pod template at `spec.template`.
    Template,
    /// `v1 PodTemplate`, whose template is at its top.
    PodTemplate,
    /// `batch CronJob`, whose template is its Job's.
    CronJob,
}

/// One image and where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Image {
    /// The path of the field, as messages name it: `spec.containers[0].image`.
    pub path: String,
    /// The same path as a JSON Pointer (RFC 6901).
    pub pointer: String,
    /// What is written there.
    pub text: String,
}

/// Why the images of an object are not known.
#[derive(Debug, Error)]
pub enum InvalidObject {
    /// The request has no object.
    #[error("the request has no object")]
    Missing,
    /// The kind is not one whose images we know how to find.
    #[error("{0} is no kind that this webhook knows the images of")]
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

#[derive(Deserialize)]
struct WithSpec<S> {
    #[serde(default = "none")]
    spec: Option<S>,
}

#[derive(Deserialize)]
struct WithTemplate<'a> {
    #[serde(borrow, default)]
    template: Option<WithSpec<PodSpec<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WithJobTemplate<'a> {
    #[serde(borrow, default)]
    job_template: Option<WithSpec<WithTemplate<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec<'a> {
    #[serde(borrow, default)]
    init_containers: Option<Vec<Container<'a>>>,
    #[serde(borrow, default)]
    containers: Option<Vec<Container<'a>>>,
    #[serde(borrow, default)]
    ephemeral_containers: Option<Vec<Container<'a>>>,
    #[serde(borrow, default)]
    volumes: Option<Vec<Volume<'a>>>,
}

#[derive(Deserialize)]
struct Container<'a> {
    #[serde(borrow, default)]
    image: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Volume<'a> {
    #[serde(borrow, default)]
    image: Option<ImageVolume<'a>>,
}

#[derive(Deserialize)]
struct ImageVolume<'a> {
    #[serde(borrow, default)]
    reference: Option<Cow<'a, str>>,
}

fn none<T>() -> Option<T> {
    None
}

impl Workload {
    /// The workload that a request is about, if it is one.
    pub fn of(request: &AdmissionRequest<'_>) -> Option<Self> {
        match (&*request.kind.group, &*request.kind.kind) {
            ("", "Pod") => Some(Self::Pod),
            ("", "PodTemplate") => Some(Self::PodTemplate),
            ("", "ReplicationController")
            | ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet")
            | ("batch", "Job") => Some(Self::Template),
            ("batch", "CronJob") => Some(Self::CronJob),
            _ => None,
        }
    }

    /// Every image of the object, in the order in which the kubelet would start them.
    pub fn images(self, object: &str) -> Result<Vec<Image>, InvalidObject> {
        let (at, spec) = match self {
            Self::Pod => ("spec", serde_json::from_str::<WithSpec<PodSpec<'_>>>(object)?.spec),
            Self::PodTemplate => (
                "template.spec",
                serde_json::from_str::<WithTemplate<'_>>(object)?.template.and_then(|it| it.spec),
            ),
            Self::Template => {
                let object: WithSpec<WithTemplate<'_>> = serde_json::from_str(object)?;
                ("spec.template.spec", object.spec.and_then(|it| it.template).and_then(|it| it.spec))
            }
            Self::CronJob => {
                let object: WithSpec<WithJobTemplate<'_>> = serde_json::from_str(object)?;
                let job = object.spec.and_then(|it| it.job_template).and_then(|it| it.spec);
                ("spec.jobTemplate.spec.template.spec", job.and_then(|it| it.template).and_then(|it| it.spec))
            }
        };
        spec.map_or_else(|| Ok(Vec::new()), |spec| spec.images(at))
    }
}

/// Every image that a request would start.
pub(super) fn of(request: &AdmissionRequest<'_>) -> Result<Vec<Image>, InvalidObject> {
    let GroupOf { group, kind } = GroupOf::of(request);
    let workload = Workload::of(request).ok_or_else(|| {
        InvalidObject::UnknownKind(if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") })
    })?;
    workload.images(request.object.ok_or(InvalidObject::Missing)?.get())
}

struct GroupOf<'a> {
    group: &'a str,
    kind: &'a str,
}

impl<'a> GroupOf<'a> {
    fn of(request: &'a AdmissionRequest<'_>) -> Self {
        Self { group: &request.kind.group, kind: &request.kind.kind }
    }
}

impl PodSpec<'_> {
    fn images(self, at: &str) -> Result<Vec<Image>, InvalidObject> {
        let mut images = Vec::new();
        for (list, containers) in [
            ("initContainers", self.init_containers),
            ("containers", self.containers),
            ("ephemeralContainers", self.ephemeral_containers),
        ] {
            for (index, container) in containers.into_iter().flatten().enumerate() {
                // A container without an image takes its template's default, or is refused by the API server.
                if let Some(text) = container.image.filter(|image| !image.is_empty()) {
                    images.push(Image::at(format!("{at}.{list}[{index}].image"), text));
                }
            }
        }
        for (index, volume) in self.volumes.into_iter().flatten().enumerate() {
            let reference = volume.image.and_then(|image| image.reference).filter(|text| !text.is_empty());
            if let Some(text) = reference {
                images.push(Image::at(format!("{at}.volumes[{index}].image.reference"), text));
            }
        }
        if images.len() > IMAGE_LIMIT { Err(InvalidObject::TooMany) } else { Ok(images) }
    }
}

impl Image {
    fn at(path: String, text: Cow<'_, str>) -> Self {
        let pointer = format!("/{}", path.replace(['.', '['], "/").replace(']', ""));
        Self { path, pointer, text: text.into_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(workload: Workload, object: &serde_json::Value, expected: &[(&str, &str)]) {
        let images = workload.images(&object.to_string()).unwrap();
        let found: Vec<_> = images.iter().map(|image| (image.path.as_str(), image.text.as_str())).collect();
        assert_eq!(found, expected);
        for image in &images {
            assert_eq!(object.pointer(&image.pointer).unwrap(), image.text.as_str());
        }
    }

    #[test]
    fn every_list_of_a_pod_is_read() {
        let spec = serde_json::json!({
            "initContainers": [{"image": "i"}],
            "containers": [{"image": "a"}, {"name": "no image"}, {"image": "b"}],
            "ephemeralContainers": [{"image": "e"}],
            "volumes": [{"emptyDir": {}}, {"image": {"reference": "v"}}],
        });
        check(
            Workload::Pod,
            &serde_json::json!({"spec": spec}),
            &[
                ("spec.initContainers[0].image", "i"),
                ("spec.containers[0].image", "a"),
                ("spec.containers[2].image", "b"),
                ("spec.ephemeralContainers[0].image", "e"),
                ("spec.volumes[1].image.reference", "v"),
            ],
        );
    }

    #[test]
    fn templates_are_found_where_each_kind_has_them() {
        let pod = serde_json::json!({"spec": {"containers": [{"image": "a\u{e4}\n"}]}});
        let at = |path| [(path, "a\u{e4}\n")];
        check(
            Workload::Template,
            &serde_json::json!({"spec": {"template": pod}}),
            &at("spec.template.spec.containers[0].image"),
        );
        check(
            Workload::PodTemplate,
            &serde_json::json!({"template": pod}),
            &at("template.spec.containers[0].image"),
        );
        check(
            Workload::CronJob,
            &serde_json::json!({"spec": {"jobTemplate": {"spec": {"template": pod}}}}),
            &at("spec.jobTemplate.spec.template.spec.containers[0].image"),
        );
    }

    #[test]
    fn an_object_that_is_not_what_its_kind_promises_is_refused() {
        for object in
            [r#"{"spec": {"containers": "a"}}"#, r#"{"spec": {"containers": [{"image": 1}]}}"#, "[", "7"]
        {
            assert!(Workload::Pod.images(object).is_err(), "{object}");
        }
        let many = serde_json::json!({"spec": {"containers": vec![serde_json::json!({"image": "a"}); 1025]}});
        assert!(matches!(Workload::Pod.images(&many.to_string()), Err(InvalidObject::TooMany)));
    }
}
