use serde_json::json;

use super::*;

fn workload(kind: &str) -> Workload {
    Kinds::new(&[]).all().find(|workload| workload.kind() == kind).unwrap().clone()
}

#[track_caller]
fn check(workload: &Workload, object: &serde_json::Value, expected: &[(&str, &str)]) {
    let images = workload.images(&object.to_string()).unwrap().images;
    let found: Vec<_> = images.iter().map(|image| (image.path.as_str(), image.text.as_str())).collect();
    assert_eq!(found, expected);
    for image in &images {
        assert_eq!(object.pointer(&image.pointer()).unwrap(), image.text.as_str());
    }
}

#[test]
fn every_list_of_a_pod_is_read() {
    let spec = json!({
        "initContainers": [{"image": "i"}],
        "containers": [{"image": "a"}, {"name": "no image"}, {"image": "b"}],
        "ephemeralContainers": [{"image": "e"}],
        "volumes": [{"emptyDir": {}}, {"image": {"reference": "v"}}],
    });
    check(
        &workload("Pod"),
        &json!({"spec": spec}),
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
    let pod = json!({"spec": {"containers": [{"image": "a\u{e4}\n"}]}});
    let at = |path| [(path, "a\u{e4}\n")];
    for kind in ["ReplicationController", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job"] {
        check(
            &workload(kind),
            &json!({"spec": {"template": pod}}),
            &at("spec.template.spec.containers[0].image"),
        );
    }
    check(&workload("PodTemplate"), &json!({"template": pod}), &at("template.spec.containers[0].image"));
    check(
        &workload("CronJob"),
        &json!({"spec": {"jobTemplate": {"spec": {"template": pod}}}}),
        &at("spec.jobTemplate.spec.template.spec.containers[0].image"),
    );
}

#[test]
fn the_images_of_other_kinds_are_where_it_is_configured() {
    let paths = ["spec.steps[*].image", "spec.sidecar.image"].map(|path| path.parse().unwrap()).to_vec();
    let (group, kind, resource) = ("tekton.dev".into(), "Task".into(), "tasks".into());
    let task = Kind { group, kind, resource, paths, pod_specs: Vec::new() };
    let kinds = Kinds::new(&[task]);
    let workload = kinds.all().find(|workload| workload.kind() == "Task").unwrap();
    check(
        workload,
        &json!({"metadata": {"generateName": "t-"}, "spec": {"sidecar": {"image": "s"}, "steps": [{"image": "a"}, {"script": "b"}]}}),
        &[("spec.steps[0].image", "a"), ("spec.sidecar.image", "s")],
    );
    assert!(workload.images(r#"{"spec": {"steps": {"image": "a"}}}"#).is_err());
}

#[test]
fn what_pods_are_pulled_with_is_what_they_name_and_their_account() {
    let pod = json!({"imagePullSecrets": [{"name": "a"}, {"name": "b"}, {"name": "a"}, {}], "serviceAccountName": "builder"});
    let named = |secrets: &[&str], account: Option<&str>| PullSecretNames {
        secrets: secrets.iter().map(|name| (*name).to_owned()).collect(),
        account: account.map(str::to_owned),
    };
    let is = named(&["a", "b"], Some("builder"));
    assert_eq!(workload("Pod").pull_secrets(&json!({"spec": pod}).to_string()), is);
    let cron = json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": pod}}}}});
    assert_eq!(workload("CronJob").pull_secrets(&cron.to_string()), is);
    let older = json!({"spec": {"serviceAccount": "older"}}).to_string();
    assert_eq!(workload("Pod").pull_secrets(&older), named(&[], Some("older")));
    assert_eq!(workload("Pod").pull_secrets("{}"), named(&[], Some("default")));

    let rollout = |pod_specs: &[&str]| {
        let (group, kind, resource) = ("argoproj.io".into(), "Rollout".into(), "rollouts".into());
        let paths = vec!["spec.template.spec.containers[*].image".parse().unwrap()];
        let pod_specs = pod_specs.iter().map(|path| path.parse().unwrap()).collect();
        let kinds = Kinds::new(&[Kind { group, kind, resource, paths, pod_specs }]);
        kinds.all().find(|workload| workload.kind() == "Rollout").unwrap().clone()
    };
    let object = json!({"spec": {"template": {"spec": pod}}}).to_string();
    assert_eq!(rollout(&["spec.template.spec"]).pull_secrets(&object), is);
    assert_eq!(rollout(&[]).pull_secrets(&object), PullSecretNames::default());
}

#[test]
fn what_a_name_will_be_made_of_is_known() {
    let named =
        workload("Pod").images(r#"{"metadata": {"generateName": "web-7d4f-", "labels": {"a": "b"}}}"#);
    assert_eq!(named.unwrap().generate_name.as_deref(), Some("web-7d4f-"));
}

#[test]
fn an_object_that_is_not_what_its_kind_promises_is_refused() {
    for object in
        [r#"{"spec": {"containers": "a"}}"#, r#"{"spec": {"containers": [{"image": 1}]}}"#, "[", "7"]
    {
        assert!(workload("Pod").images(object).is_err(), "{object}");
    }
    let many = json!({"spec": {"containers": vec![json!({"image": "a"}); 1025]}});
    assert!(matches!(workload("Pod").images(&many.to_string()), Err(InvalidObject::TooMany)));
}

/// What Kubernetes itself has that is called an image: by release, the kind, the path, and whether a text stands there.
/// `scripts/image-fields` writes it from the OpenAPI documents of the releases.
const FIELDS: &str = include_str!("image-fields.tsv");

/// What is called an image and is none that anything starts, by how its path ends.
const INERT: [(&str, &str); 4] = [
    (".imagePullPolicy", "when to pull"),
    (".pullPolicy", "when to pull"),
    ("imagePullSecrets[*].name", "by which Secret to pull"),
    (".rbd.image", "a block device of Ceph"),
];

#[test]
fn every_field_of_every_supported_release_that_is_called_an_image_is_known() {
    let kinds = Kinds::new(&[]);
    let mut found = Vec::new();
    for line in FIELDS.lines().filter(|line| !line.starts_with('#')) {
        let [releases, group, kind, path] = *line.split('\t').collect::<Vec<_>>() else { panic!("{line:?}") };
        if path.starts_with("status.") || INERT.iter().any(|(end, _)| path.ends_with(end)) {
            continue;
        }
        let workload = kinds.all().find(|known| (&*known.group, &*known.kind) == (group, kind));
        let workload =
            workload.unwrap_or_else(|| panic!("{group} {kind} has an image in {releases}: {path}"));
        let images = workload.images(&object_with(path).to_string()).unwrap().images;
        let texts: Vec<_> = images.iter().map(|image| image.path.replace("[0]", "[*]")).collect();
        assert_eq!(texts, [path], "{group} {kind} in {releases}");
        found.push((group, kind, path));
    }
    // Nothing is looked for that no release has.
    assert_eq!(found.len(), kinds.all().count() * POD_SPEC.len());
}

/// An object that has nothing but a text at a path.
fn object_with(path: &str) -> serde_json::Value {
    path.rsplit('.').fold(json!("image"), |value, step| match step.strip_suffix("[*]") {
        Some(name) => json!({name: [value]}),
        None => json!({step: value}),
    })
}
