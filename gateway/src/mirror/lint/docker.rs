//! Docker Engine's `daemon.json`.

use super::address::Whose;
use super::files::{Files, Form};
use super::{Expected, Finder, Hole, Kind};
use crate::mirror::document::{self, Node};

pub(super) fn lint(files: &Files, expected: &Expected) -> Vec<Hole> {
    let mut holes = Vec::new();
    for source in files.of(Form::Docker) {
        let mut finder = Finder::new(&source.path, expected);
        match document::json(&source.text) {
            Ok(root) => finder.daemon(&root),
            Err(error) => finder.unparsable(&error, "the engine does not start with it"),
        }
        let certs = source.path.with_file_name("certs.d");
        if !files.of(Form::HostsToml).any(|hosts| hosts.path.starts_with(&certs)) {
            finder.found(
                None,
                Kind::NotCovered,
                "there is no certs.d/*/hosts.toml beside it: the engine asks every registry itself",
                "certs.d/_default/hosts.toml, with the gateway as its server and host",
            );
        }
        holes.extend(finder.holes);
    }
    holes
}

impl Finder<'_> {
    fn daemon(&mut self, root: &Node) {
        if let Some(mirrors) = root.get("registry-mirrors").filter(|mirrors| !mirrors.node.items().is_empty())
        {
            self.found(
                mirrors.line,
                Kind::RegistryMirrors,
                "registry-mirrors end at Docker Hub itself whatever the mirror says, and are for no other registry",
                "no registry-mirrors; certs.d/_default/hosts.toml, and the containerd image store",
            );
        }
        let store = root.below(&["features", "containerd-snapshotter"]);
        if !store.is_some_and(|store| store.node.is_true()) {
            self.found(
                store.and_then(|store| store.line),
                Kind::ImageStore,
                "the containerd image store is not asked for, and without it the engine reads no hosts.toml",
                "\"features\": {\"containerd-snapshotter\": true}, on an engine from 28",
            );
        }
        let insecure = root.get("insecure-registries").map(|entry| entry.node.items()).unwrap_or_default();
        for item in insecure {
            let Some(address) = item.node.text() else { continue };
            let host = address.split(':').next().unwrap_or(address);
            let on_node = host == "localhost" || host.starts_with("127.");
            if !on_node {
                let whose = match self.whose(address, None) {
                    Whose::Ours => "the gateway's",
                    Whose::Registry | Whose::Other => "its",
                };
                let what =
                    format!("{address} is not verified: whoever is on the way can answer in {whose} place");
                self.found(item.line, Kind::SkipVerify, what, "ca in hosts.toml");
            }
        }
    }
}
