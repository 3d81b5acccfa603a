//! The files of a run: the gateway's configuration, and what is asked of it.

use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use oci::Digest;
use serde_json::{Value, json};
use testkit::policy::POLICY;

/// Writes all of them.
pub(crate) fn write(
    directory: &Path,
    origin: &str,
    trusted_root: &str,
    bare: SocketAddr,
    digests: &[Digest],
) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory.join("policies"))?;
    let put = |name: &str, text: String| std::fs::write(directory.join(name), text);
    put("policies/policy.yaml", POLICY.to_owned())?;
    put("trusted_root.json", trusted_root.to_owned())?;
    let at = directory.display();
    put(
        "countersign.yaml",
        format!(
            "storage: {{path: {at}/storage}}\ntrust: {{root: {{file: {at}/trusted_root.json}}}}\n\
             policies: {{directory: {at}/policies}}\nupstreams: [{{host: registry.example, endpoint: '{origin}'}}]\n\
             log: {{level: warn}}\n"
        ),
    )?;
    put("bare", format!("http://{bare}/v2/registry.example/acme/app/manifests/x\n"))?;
    put("digests.json", json!(digests.iter().map(ToString::to_string).collect::<Vec<_>>()).to_string())?;
    put("review.json", review(&digests[..3.min(digests.len())]).to_string())?;
    Ok(())
}

/// A review of a Pod with these images, of the usual six kilobytes.
/// Writes what a comparison with other servers is made of: the layers as files, each with the path of its image and its
/// own, and where the origin is.
pub(crate) fn write_layers(directory: &Path, origin: &str, layers: &[(Digest, Bytes)]) -> anyhow::Result<()> {
    let files = directory.join("layers");
    std::fs::create_dir_all(&files)?;
    std::fs::write(directory.join("origin"), format!("{origin}\n"))?;
    for (image, layer) in layers {
        let name = format!("{}MiB", layer.len() / 1024 / 1024);
        std::fs::write(files.join(&name), layer)?;
        let paths = format!("/acme/app/manifests/{image}\n/acme/app/blobs/{}\n", Digest::of(layer));
        std::fs::write(directory.join(name), paths)?;
    }
    Ok(())
}

fn review(digests: &[Digest]) -> Value {
    let more = padding();
    let containers: Vec<Value> = digests
        .iter()
        .enumerate()
        .map(|(index, digest)| {
            json!({
                "name": format!("container-{index}"),
                "image": format!("registry.example/acme/app@{digest}"),
                "imagePullPolicy": "IfNotPresent",
                "env": more["env"],
                "resources": {"limits": {"cpu": "500m", "memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
                "terminationMessagePath": "/dev/termination-log",
            })
        })
        .collect();
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "name": "app-7d9c6b8f5-x2x9k",
            "namespace": "default",
            "operation": "CREATE",
            "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller", "groups": ["system:authenticated"]},
            "object": {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"generateName": "app-7d9c6b8f5-", "namespace": "default", "labels": {"app": "app"}},
                "spec": {"containers": containers, "serviceAccountName": "default", "restartPolicy": "Always"},
            },
            "oldObject": null,
            "dryRun": false,
        },
    })
}

/// What brings a Pod of three containers to the usual six kilobytes.
fn padding() -> Value {
    let variables: Vec<Value> = (0..18)
        .map(|index| json!({"name": format!("SETTING_{index}"), "value": "a value of the usual length, which nobody reads"}))
        .collect();
    json!({"env": variables})
}
