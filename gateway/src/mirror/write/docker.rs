//! Docker Engine: its containerd image store, which can be closed, and `registry-mirrors`, which cannot.

use serde_json::json;
use upstream::Scheme;

use super::{File, Mirror, Written, certs_d};

/// The directory of hosts that Docker Engine reads from 28 on where its images are in containerd's store.
pub(super) fn image_store(mirror: &Mirror) -> Written {
    let daemon = json!({"features": {"containerd-snapshotter": true}});
    let mut files = vec![File::new("etc/docker/daemon.json", format!("{daemon:#}\n"))];
    files.extend(certs_d::tree(mirror, "etc/docker/certs.d"));
    files.extend(mirror.trust_files());
    let conditions = vec![
        "only Docker Engine from 28, with its images in containerd's store, reads hosts.toml: `docker info` must say \
         `driver-type: io.containerd.snapshotter.v1`. Any other goes to the registries and says nothing"
            .to_owned(),
        "daemon.json is to be merged into yours, from which registry-mirrors and insecure-registries are to go; restart the engine"
            .to_owned(),
    ];
    Written { files, holes: Vec::new(), conditions }
}

/// A mirror that the engine does not stop at.
pub(super) fn registry_mirrors(mirror: &Mirror) -> Written {
    let mut daemon = json!({"registry-mirrors": [mirror.registry.to_string()]});
    if mirror.registry.scheme() == Scheme::Http {
        daemon["insecure-registries"] = json!([mirror.authority()]);
    }
    let holes = vec![
        "registry-mirrors cannot be closed: after any error from the mirror, a denial too, the engine asks Docker Hub itself"
            .to_owned(),
        "registry-mirrors are for Docker Hub alone: images of every other registry do not come to the gateway".to_owned(),
    ];
    let conditions = vec![
        "the mirror is asked without a registry's name: registry.defaultUpstream must be docker.io"
            .to_owned(),
    ];
    Written { files: vec![File::new("etc/docker/daemon.json", format!("{daemon:#}\n"))], holes, conditions }
}
