//! A patch of Talos Linux's machine configuration.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::k3s::yaml;
use super::{File, Mirror, Written, commented};

#[derive(Serialize)]
struct Patch {
    machine: Machine,
}

#[derive(Serialize)]
struct Machine {
    registries: Registries,
}

#[derive(Serialize)]
struct Registries {
    mirrors: BTreeMap<String, Endpoints>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    config: BTreeMap<String, Config>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Endpoints {
    endpoints: [String; 1],
    skip_fallback: bool,
}

#[derive(Serialize)]
struct Config {
    tls: Tls,
}

/// The configuration holds certificates themselves, in base64.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tls {
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_identity: Option<Identity>,
}

#[derive(Serialize)]
struct Identity {
    crt: String,
    key: String,
}

pub(super) fn write(mirror: &Mirror) -> Written {
    let text =
        commented(&["Apply it with `talosctl patch machineconfig --patch @FILE`."], &yaml(&patch(mirror)));
    let file = File { path: "talos/countersign.yaml".to_owned(), text, secret: mirror.client.is_some() };
    let conditions = vec![
        "Talos from 1.9 knows skipFallback; older ones refuse the patch".to_owned(),
        "Talos pulls its own images, those of its installer too, by the same configuration: the gateway has to be there before an upgrade"
            .to_owned(),
    ];
    Written { files: vec![file], holes: Vec::new(), conditions }
}

fn patch(mirror: &Mirror) -> Patch {
    let endpoints =
        |name| (name, Endpoints { endpoints: [mirror.registry.to_string()], skip_fallback: true });
    let client_identity = mirror.client.as_ref().map(|client| Identity {
        crt: STANDARD.encode(&client.certificate),
        key: STANDARD.encode(&client.key),
    });
    let tls = Tls { ca: mirror.ca.as_ref().map(|ca| STANDARD.encode(ca)), client_identity };
    let config =
        (tls.ca.is_some() || tls.client_identity.is_some()).then(|| (mirror.authority(), Config { tls }));
    let mirrors = mirror.names().chain(["*".to_owned()]).map(endpoints).collect();
    Patch { machine: Machine { registries: Registries { mirrors, config: config.into_iter().collect() } } }
}
