//! `registries.conf` and `policy.json`, as CRI-O, podman, skopeo and buildah read them.

use serde_json::json;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};
use upstream::Scheme;

use super::{File, Mirror, Runtime, Written, commented};
use crate::mirror::spelled;

pub(super) fn write(mirror: &Mirror, runtime: Runtime) -> Written {
    let registries = commented(
        &[
            "`blocked` is what keeps the registry itself from being asked; its mirror is asked all the same. There is no entry for",
            "all registries: those that are not listed are rejected by policy.json beside this.",
        ],
        &registries_conf(mirror),
    );
    let mut files = vec![
        // The last one wins where two speak of one registry.
        File::new("etc/containers/registries.conf.d/99-countersign.conf", registries),
        File::new("etc/containers/policy.json", policy_json(mirror)),
    ];
    files.extend(
        mirror.trust_files_as(&format!("etc/containers/certs.d/{}", mirror.authority()), "client.cert"),
    );
    let mut conditions = vec![
        "the files bind together: registries.conf guards the registries that it lists, policy.json rejects all others; an image \
         of yours that needs entries of its own in policy.json needs a registry here too"
            .to_owned(),
    ];
    conditions.push(match runtime {
        Runtime::Crio => "CRI-O reads both at start and on SIGHUP, unless crio.conf names another signature_policy".to_owned(),
        Runtime::Containerd
        | Runtime::Podman
        | Runtime::Docker
        | Runtime::DockerMirrors
        | Runtime::K3s
        | Runtime::Talos => "a user may have a registries.conf and a policy.json of their own below ~/.config/containers, and \
             --signature-policy and CONTAINERS_REGISTRIES_CONF name others: what stops them is the network"
            .to_owned(),
    });
    let nowhere = names(mirror).into_iter().filter(|(_, path)| path.is_none());
    conditions.extend(nowhere.map(|(name, _)| {
        format!("{name} has a port, which cannot be in a path: give that upstream an alias without one, or nothing of it can be pulled")
    }));
    Written { files, holes: Vec::new(), conditions }
}

/// Every name that an image of a registry may have here, and where the gateway has it. References to Docker Hub are
/// rewritten to `docker.io`, but for those that name the host that serves it.
fn names(mirror: &Mirror) -> Vec<(String, Option<String>)> {
    let mut names = Vec::new();
    for registry in &mirror.upstreams {
        let path = registry.path();
        for name in registry.names.iter().map(spelled) {
            if name == "docker.io" {
                names.push(("registry-1.docker.io".to_owned(), path.clone()));
            }
            names.push((name, path.clone()));
        }
    }
    names
}

fn registries_conf(mirror: &Mirror) -> String {
    let plain = mirror.registry.scheme() == Scheme::Http;
    let authority = mirror.authority();
    let mut registries = ArrayOfTables::new();
    for (name, path) in names(mirror) {
        let mut registry = Table::new();
        registry.insert("prefix", value(&name));
        registry.insert("location", value(&name));
        registry.insert("blocked", value(true));
        if let Some(path) = path {
            let mut at = Table::new();
            at.insert("location", value(format!("{authority}/{path}")));
            if plain {
                at.insert("insecure", value(true));
            }
            let mut mirrors = ArrayOfTables::new();
            mirrors.push(at);
            registry.insert("mirror", Item::ArrayOfTables(mirrors));
        }
        registries.push(registry);
    }
    if plain {
        let mut own = Table::new();
        own.insert("prefix", value(&authority));
        own.insert("location", value(&authority));
        own.insert("insecure", value(true));
        registries.push(own);
    }
    let mut document = DocumentMut::new();
    document.insert("registry", Item::ArrayOfTables(registries));
    document.to_string()
}

/// What the gateway guards is accepted: it has verified it. Images of any other registry are
/// rejected once their manifest is there, so that such a registry is asked, and nothing that it has is kept.
fn policy_json(mirror: &Mirror) -> String {
    let accept = json!([{"type": "insecureAcceptAnything"}]);
    let mut docker = serde_json::Map::new();
    docker.insert(String::new(), json!([{"type": "reject"}]));
    let names = names(mirror).into_iter().map(|(name, _)| name).chain([mirror.authority()]);
    docker.extend(names.map(|name| (name, accept.clone())));
    let policy = json!({"default": accept, "transports": {"docker": docker}});
    format!("{policy:#}\n")
}
