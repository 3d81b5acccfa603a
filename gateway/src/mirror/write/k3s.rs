//! `registries.yaml`, as k3s and RKE2 read it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{File, Mirror, TRUST, Written, commented, on_node};

#[derive(Serialize)]
struct Registries {
    mirrors: BTreeMap<String, Endpoints>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    configs: BTreeMap<String, Config>,
}

#[derive(Serialize)]
struct Endpoints {
    endpoint: [String; 1],
}

#[derive(Serialize)]
struct Config {
    tls: Tls,
}

#[derive(Serialize)]
struct Tls {
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cert_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Agent {
    disable_default_registry_endpoint: bool,
}

pub(super) fn write(mirror: &Mirror) -> Written {
    let registries = commented(
        &[
            "It closes nothing without disable-default-registry-endpoint, which is in config.yaml.d beside it.",
        ],
        &yaml(&registries(mirror)),
    );
    let agent = commented(
        &["Without this every registry is asked itself after the gateway has said no."],
        &yaml(&Agent { disable_default_registry_endpoint: true }),
    );
    let mut files = vec![
        File::new("etc/rancher/k3s/registries.yaml", registries),
        File::new("etc/rancher/k3s/config.yaml.d/50-countersign.yaml", agent),
    ];
    files.extend(mirror.trust_files());
    let conditions = vec![
        "k3s from 1.26.13, 1.27.10 or 1.29.1 knows disable-default-registry-endpoint; older ones ignore it and stay open".to_owned(),
        "it must be on every server and agent, which read these files at start; RKE2 reads them below /etc/rancher/rke2".to_owned(),
        "no registry may have an entry of its own under `configs`: k3s then keeps its default endpoint".to_owned(),
        "with --docker or --container-runtime-endpoint k3s does not read registries.yaml: configure that runtime".to_owned(),
    ];
    Written { files, holes: Vec::new(), conditions }
}

fn registries(mirror: &Mirror) -> Registries {
    let endpoints = |name| (name, Endpoints { endpoint: [mirror.registry.to_string()] });
    let file = |there: bool, name: &str| there.then(|| on_node(TRUST, name));
    let (ca, client) = (mirror.ca.is_some(), mirror.client.is_some());
    let tls = Tls {
        ca_file: file(ca, "ca.crt"),
        cert_file: file(client, "client.crt"),
        key_file: file(client, "client.key"),
    };
    let config = (ca || client).then(|| (mirror.authority(), Config { tls }));
    Registries {
        mirrors: mirror.names().chain(["*".to_owned()]).map(endpoints).collect(),
        configs: config.into_iter().collect(),
    }
}

/// These types have nothing that YAML could not say.
pub(super) fn yaml<T: Serialize>(document: &T) -> String {
    serde_saphyr::to_string(document).unwrap_or_default()
}
